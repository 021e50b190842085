"""Duplicates in the admin site: merging from a list or from a record's page, undoing it, and the rules."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminSelectWidget

from core import labels
from core.access import Permission
from core.admin import record_page, verbs
from core.admin.captured import CapturedAdmin, CapturedForm
from core.admin.home import Panel, PanelLine, page_url
from core.admin.navigation import DATA, Link, Menu, links
from core.admin.read_only import ReadOnlyAdmin
from core.admin.records import RecordAdmin
from core.duplicates import groups_page
from core.duplicates.choices import choices
from core.duplicates.groups_page import ids_in, merge_url
from core.duplicates.merging import MergeRequest, merge
from core.duplicates.models import AT_MOST, Merge
from core.duplicates.possible import PossibleDuplicate, possible_duplicates_of
from core.duplicates.unmerging import undo
from core.entities import Entity, duplicate_rules, entities, entity_of
from core.entities.blanking import seen_by
from core.entities.models import DuplicateRule
from core.errors import ConflictError

CHOICE = "choice-"


def build(record: Any, user: Any) -> Panel | None:
    """Records that may be the same, each with a way to merge them, or to look at it where it is of another
    kind; None where there are none."""
    entity = entity_of(record)
    if entity.merging is None or record.archived_at is not None:
        return None
    found = possible_duplicates_of(record, entity, user)
    if not found:
        return None
    lines = [PanelLine(twin.name, _url(entity, record, twin), _detail(entity, twin)) for twin in found]
    own = [twin.pk for twin in found if twin.entity.name == entity.name]
    url = merge_url(entity.model, [record.pk, *own]) if own else lines[0].url
    return Panel(_("Possible duplicates"), "merge", url, lines, "")


def _url(entity: Entity, record: Any, twin: PossibleDuplicate) -> str:
    if twin.entity.name == entity.name:
        return merge_url(entity.model, [record.pk, twin.pk])
    return page_url(twin.entity.model, twin.pk)


def _detail(entity: Entity, twin: PossibleDuplicate) -> str:
    if twin.entity.name == entity.name:
        return _("Merge: same %(what)s") % {"what": twin.agreeing}
    return _("%(kind)s: same %(what)s") % {"kind": labels.titled(twin.entity.name), "what": twin.agreeing}


record_page.related.register("duplicates", build)
links.register(
    "duplicates", Link(Menu(DATA, "content_copy", 60), gettext_lazy("Duplicates"), "admin:core_duplicates")
)


class MergeForm(verbs.VerbForm):
    """Which record stays, and whose value it gets where they differ."""

    def __init__(self, request: HttpRequest, entity: Entity, records: Sequence[Any]) -> None:
        super().__init__(request)
        self.records = records
        seen = seen_by(request.user, entity.model.objects.filter(pk__in=[record.pk for record in records]))
        names = {record.pk: str(record) for record in seen}
        named = [(record.pk, f"{names[record.pk]} ({record.pk})") for record in records]
        self.fields["survivor"] = _radio(_("Record that stays"), named, records[0].pk)
        for choice in choices(entity, records, request.user):
            self.fields[CHOICE + choice.name] = _radio(choice.label, choice.options, choice.chosen)

    def asked(self) -> MergeRequest:
        given = {name: int(pk) for name, pk in self.cleaned_data.items()}
        survivor = given.pop("survivor")
        merged = [record.pk for record in self.records if record.pk != survivor]
        return MergeRequest(survivor, merged, {n.removeprefix(CHOICE): pk for n, pk in given.items()})


def _radio(label: str, options: Sequence[tuple[int, str]], chosen: int) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label, choices=options, initial=chosen, widget=UnfoldAdminRadioSelectWidget
    )


class MergeableAdmin(RecordAdmin):
    """Base of the pages of entities whose records can be merged."""

    actions: Any = (*RecordAdmin.actions, "merge_selected")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.merge_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_merge"
        return [path("merge/", view, name=name), *super().get_urls()]

    @admin.action(description=gettext_lazy("Merge …"), permissions=["change"])
    def merge_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse:
        ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: AT_MOST + 2])
        return HttpResponseRedirect(merge_url(self.model, ids))

    def merge_view(self, request: HttpRequest) -> HttpResponse:
        """Asks which record stays and whose values count; merges when the answer is sent."""
        back = (
            ""
            if request.method == "POST"
            else reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        )
        return self.excused(request, lambda: self._merge(request), back)

    def _merge(self, request: HttpRequest) -> HttpResponse:
        form = MergeForm(request, self.entity, self._asked(request))
        if not form.is_valid():
            title = _("Merge %(n)s records") % {"n": len(form.records)}
            return verbs.page(self, request, title, form, [], {})
        made = merge(self.entity, form.asked(), request.user)
        self.message_user(
            request,
            _("Merged. Under Data, Merges it can be undone (merge %(id)s).") % {"id": made.pk},
            messages.SUCCESS,
        )
        return HttpResponseRedirect(self.page_of(made.object_id))

    def _asked(self, request: HttpRequest) -> list[Any]:
        """The records in the address that the user may change. Raises ConflictError for too few or many."""
        ids = ids_in(request.GET.get("ids", ""))
        rows = self.entity.visible_to(request.user, Permission.CHANGE).filter(archived_at=None)
        found = rows.in_bulk(ids[: AT_MOST + 2])
        if not 2 <= len(found) <= AT_MOST + 1:
            raise ConflictError(_("Choose 2 to %(n)s records that you may change.") % {"n": AT_MOST + 1})
        return [found[pk] for pk in ids if pk in found]


@admin.register(Merge)
class MergeAdmin(ReadOnlyAdmin):
    """Merges, to look at and to undo."""

    menu = Menu(DATA, "merge", 62)
    list_display = ("merged_at", "entity", "object_id", "merged_ids", "merged_by", "undone_at")
    list_filter = ("entity",)
    list_select_related = ("merged_by",)
    search_fields = ("=object_id",)
    fields = ("entity", "object_id", "merged_ids", "merged_by", "merged_at", "undone_at")
    ordering = ("-id",)
    actions_detail = ("undo",)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.duplicates)
        return [path("duplicates/", view, name="core_duplicates"), *super().get_urls()]

    def duplicates(self, request: HttpRequest) -> HttpResponse:
        """Groups of records that may be the same, of each entity."""
        return groups_page.groups_view(self, request)

    @action(description=gettext_lazy("Undo"), permissions=["end"], url_path="undo")
    def undo(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks first; undoes the merge when the answer is sent."""
        back = reverse("admin:core_merge_change", args=[object_id])
        return self.excused(request, lambda: self._undo(request, object_id, back), back)

    def _undo(self, request: HttpRequest, object_id: str, back: str) -> HttpResponse:
        found = self.get_object(request, object_id)
        form = verbs.VerbForm(request)
        if found is None or not form.is_valid():
            return verbs.page(self, request, _("Undo %(merge)s") % {"merge": found}, form, [], {})
        undo(entities[found.entity], found.pk, request.user)
        self.message_user(request, _("The records are as they were before."), messages.SUCCESS)
        return HttpResponseRedirect(back)


class RuleForm(CapturedForm):
    """A rule about one of the entities whose records are compared, by what they can be compared by."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with_duplicates = [entity for entity in entities if entity.duplicates]
        named = [(entity.name, labels.titled(entity.name)) for entity in with_duplicates]
        compared = {
            name: duplicate_rules.label_of(entity, name)
            for entity in with_duplicates
            for name in duplicate_rules.compared(entity)
        }
        self._choose("entity", named)
        self._choose("across", [("", "-"), *named], required=False)
        self._choose("compare", sorted(compared.items()))

    def _choose(self, name: str, options: Sequence[tuple[str, str]], *, required: bool = True) -> None:
        if name in self.fields:
            self.fields[name] = forms.ChoiceField(
                choices=options, required=required, widget=UnfoldAdminSelectWidget
            )


@admin.register(DuplicateRule)
class DuplicateRuleAdmin(CapturedAdmin):
    """What makes a new record a possible duplicate, and what happens then."""

    menu = Menu(DATA, "rule", 61)
    form = RuleForm
    list_display = ("name", "entity", "compare", "match", "across", "on_create", "is_active")
    list_filter = ("entity", "on_create", "is_active")
    search_fields = ("name",)
    ordering = ("entity", "id")
    fields = ("name", ("entity", "across"), "compare", ("match", "threshold"), "on_create", "is_active")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        duplicate_rules.check(obj)
        super().save_model(request, obj, form, change)
