"""Pages of records (leads, contacts, …): found by index, written by the rules of the API."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from core.access import Permission
from core.admin import columns, custom_inputs, formats, recent, record_page, verbs
from core.admin.captured import CapturedAdmin
from core.admin.change_words import ChangeWords
from core.admin.filters import (
    ArchivedListFilter,
    AssignmentFilter,
    CreatedFilter,
    MomentRangeFilter,
    TagFilter,
)
from core.admin.filters_shown import chips
from core.admin.forms import OVERRIDES, SEEN, RecordForm
from core.admin.inline_edit import InlineEditMixin, edited
from core.admin.list_links import links_of
from core.admin.navigation import SELL, Menu
from core.admin.paginator import CappedPaginator
from core.admin.record_page import Fact, Summary, log_forms
from core.admin.saved_views import SavedViewsMixin, ViewListFilter
from core.changes import archived
from core.changes.history import of_record, presented
from core.conf import conf
from core.entities import Entity, entity_of, writing
from core.entities.assignment import open_work, planned_shares, shares
from core.entities.blanking import any_shown_to, blanked, show_related, shown_to
from core.entities.bulk import Bulk
from core.entities.custom import definitions
from core.entities.dependents import dependents
from core.entities.duplicate_rules import warnings_of_rules
from core.entities.duplicates import possible_duplicates
from core.entities.finding import search
from core.errors import ConflictError, DomainError, InvalidError
from core.models.record import Record

# Of entities that have one (core.models.fields.ADDRESS).
ADDRESS = ("address", ("city", "state"), ("postal_code", "country"))
OWNERSHIP = (_("Ownership and tags"), {"fields": (("owner", "assigned_to"), ("tags", "external_id"), SEEN)})
KEPT = ("created_by", "created_at", "updated_at", "archived_at", "version")
HISTORY_SHOWN = 200
# Of the records that an action is about, so many are named before it is done.
NAMED = 20


def _field_of(one: Any) -> str:
    """The field that a filter of a list names itself; "" where it is a condition."""
    return one if isinstance(one, str) else str(one[0]) if isinstance(one, tuple) else ""


def _without(section: Any, hidden: frozenset[str], column_of: Callable[[Any], str]) -> Any:
    """A fieldset without the hidden fields."""
    title, options = section
    lines = []
    for line in options["fields"]:
        names = [line] if isinstance(line, str) else list(line)
        shown = tuple(name for name in names if column_of(name) not in hidden)
        lines += [shown] if shown else []
    return title, {**options, "fields": tuple(lines)}


class RecordAdmin(InlineEditMixin, SavedViewsMixin, CapturedAdmin):
    """Base of the entities' pages.

    A subclass names its own `sections` (fieldsets) and `derived` (read-only fields), `list_display` and
    filters; who owns a record, its tags and its history come from here.
    """

    menu = Menu(SELL, "database", 60)
    form = RecordForm
    sections: ClassVar[tuple[Any, ...]] = ()
    derived: ClassVar[tuple[str, ...]] = ()
    formfield_overrides = OVERRIDES
    search_fields = ("search_text",)
    ordering = ("-id",)
    list_per_page = 50
    paginator = CappedPaginator
    change_list_template = "admin/core/record_list.html"
    compressed_fields = False
    change_form_template = "admin/core/record.html"
    list_before_template = "admin/core/filters_shown.html"
    list_fullwidth = True
    empty_value_display = ""
    shown_owner = edited(columns.person("owner"), "owner")
    shown_assigned_to = edited(columns.person("assigned_to"), "assigned_to")
    shown_created_at = columns.moment("created_at")
    list_select_related: Any = ("owner", "assigned_to")
    autocomplete_fields: tuple[str, ...] = ("owner", "assigned_to")
    common_filters = (
        ArchivedListFilter,
        AssignmentFilter,
        ("owner", AutocompleteSelectFilter),
        ("assigned_to", AutocompleteSelectFilter),
        TagFilter,
        CreatedFilter,
        ("created_at", MomentRangeFilter),
    )
    actions: Any = ("assign", "archive", "restore")

    @property
    def entity(self) -> Entity:
        return entity_of(self.model)

    def entity_for(self, request: HttpRequest) -> Entity:
        """The entity as whoever asks knows it."""
        return self.entity.for_user(request.user)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """What one sees, without the values hidden from one's role."""
        return shown_to(request.user, super().get_queryset(request))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """What is chosen is called as whoever looks at it may see it."""
        target = db_field.remote_field.model
        if issubclass(target, Record):
            kwargs["queryset"] = any_shown_to(request.user, target._default_manager.all())
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_list_display(self, request: HttpRequest) -> Any:
        hidden = self.entity_for(request).hidden
        return [name for name in super().get_list_display(request) if self._column_of(name) not in hidden]

    def _column_of(self, name: Any) -> str:
        """The field that a column of the list is ordered by."""
        return str(getattr(getattr(self, str(name), None), "admin_order_field", name))

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Nor is a list narrowed by what is hidden."""
        hidden = self.entity_for(request).hidden_paths
        names = {lookup.partition("__")[0], f"{lookup.partition('__')[0]}_id"}
        return hidden.isdisjoint(names) and super().lookup_allowed(lookup, value, request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, with what it is narrowed by in words."""
        response = super().changelist_view(request, extra_context)
        shown = getattr(response, "context_data", None) or {}
        if "cl" in shown:
            self.mark_editable(request, shown["cl"])
            shown["chips"] = chips(shown["cl"], request.user)
            shown |= self.view_context(request, shown["cl"])
            shown["list_links"] = links_of(request, self.model)
        return response

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        hidden = self.entity_for(request).hidden
        return [
            one
            for one in (ViewListFilter, *self.list_filter, *self.common_filters)
            if _field_of(one) not in hidden
        ]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.log_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_log"
        return [path("<int:object_id>/log/<slug:name>/", view, name=name), *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        known = (_("Record"), {"fields": (*self.derived, *KEPT), "classes": ["collapse"]})
        custom = self._custom_section(request, obj)
        found = [*self.sections, *custom, OWNERSHIP, *([known] if obj else [])]
        hidden = self.entity_for(request).hidden
        return [_without(section, hidden, self._column_of) for section in found] if hidden else found

    def _custom_section(self, request: HttpRequest, obj: Any) -> list[Any]:
        """An input for each custom field, two to a line; their values alone for who may not change them."""
        if obj is not None and not self.has_change_permission(request, obj):
            return [(_("Custom fields"), {"fields": ("shown_custom_fields",)})] if obj.custom_fields else []
        names = list(custom_inputs.inputs(self._definitions(request), {}, self.model))
        lines: tuple[Any, ...] = tuple(tuple(names[i : i + 2]) for i in range(0, len(names), 2))
        if obj is not None and self.entity_for(request).locked_keys:
            lines = (*lines, "shown_custom_fields")
        return [(_("Custom fields"), {"fields": lines})] if lines else []

    def _definitions(self, request: HttpRequest) -> list[Any]:
        """The custom fields that one may change, read once per request."""
        if not hasattr(request, "custom_fields"):
            entity = self.entity_for(request)
            found = [one for one in definitions(entity) if one.key not in entity.locked_keys]
            request.custom_fields = found  # type: ignore[attr-defined]
        return request.custom_fields  # type: ignore[attr-defined]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:
        stored = obj.custom_fields if obj is not None else {}
        made = custom_inputs.inputs(self._definitions(request), stored, self.model)
        kwargs["form"] = type(self.form.__name__, (self.form,), made)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        locked = [column.name for column in self.entity_for(request).columns if column.locked]
        return (*self.derived, *KEPT, "shown_custom_fields", *locked)

    @admin.display(description=_("Custom fields"))
    def shown_custom_fields(self, record: Any) -> str:
        lines = ((name.replace("_", " "), value) for name, value in record.custom_fields.items())
        return format_html_join(mark_safe("<br>"), "{}: {}", lines)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The form, and around it what stands on the record's page."""
        response = super().changeform_view(request, *args, **kwargs)
        shown = getattr(response, "context_data", None) or {}
        if shown.get("original") is not None:
            shown["record_page"] = self._around(request, shown["original"])
            recent.remember(request, self.entity.name, shown["original"].pk)
        return response

    def _around(self, request: HttpRequest, record: Any) -> dict[str, Any]:
        may_log = record.archived_at is None and record_page.may_log(request.user)
        names = log_forms.keys() if may_log else []
        return {
            "summary": self.summary(request, record),
            "panels": record_page.panels(record, request.user),
            "timeline": record_page.items(record, request.user),
            "logs": [self._log_form(record, name) for name in names],
        }

    def summary(self, request: HttpRequest, record: Any) -> Summary:
        """What matters about the record, above its form; subclasses say more."""
        return Summary(self.badges(record), [*self.facts(record), *self._who_and_when(record)])

    def badges(self, record: Any) -> list[Any]:
        """Words in colours beside the name; a subclass puts its own before these."""
        return [formats.badge(_("Archived"), "warn")] if record.archived_at is not None else []

    def facts(self, record: Any) -> list[Fact]:
        return []

    def _who_and_when(self, record: Any) -> list[Fact]:
        owner, assignee = record.owner, record.assigned_to
        people = [
            Fact(_("Owner"), owner.get_full_name() if owner else "-"),
            Fact(_("Assigned to"), assignee.get_full_name() if assignee else _("nobody")),
        ]
        return [*people, Fact(_("Created"), formats.when(record.created_at))]

    def _log_form(self, record: Any, name: str) -> dict[str, Any]:
        log = log_forms[name]
        url = self._log_url(record, name)
        return {"title": log.title, "icon": log.icon, "form": log.make(None), "url": url}

    def _log_url(self, record: Any, name: str) -> str:
        return reverse(
            f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_log", args=[record.pk, name]
        )

    def log_view(self, request: HttpRequest, object_id: int, name: str) -> HttpResponse:
        """Add to the record's timeline what a form of its page was sent with."""
        back = f"{self.page_of(object_id)}#timeline"
        if request.method == "POST" and name in log_forms:
            self.excused(request, lambda: self._log(request, object_id, log_forms[name], back), back)
        return HttpResponseRedirect(back)

    def _log(self, request: HttpRequest, object_id: int, log: Any, back: str) -> HttpResponse:
        record, form = self.seen(request, str(object_id)), log.make(request.POST)
        if record.archived_at is not None or not record_page.may_log(request.user):
            raise PermissionDenied
        if form.is_valid():
            log.perform(record, request.user, form)
            self.message_user(request, _("Added to the timeline."), messages.SUCCESS)
        for texts in form.errors.values():
            self.message_user(request, " ".join(map(str, texts)), messages.ERROR)
        return HttpResponseRedirect(back)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """As `search=` of the API finds, by the same index."""
        try:
            return search(self.entity_for(request), queryset, search_term), False
        except InvalidError as error:
            self.message_user(request, str(error), messages.ERROR)
            return queryset.none(), False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Locked while it is being changed, so that what was checked is what is stored; what it refers to as
        whoever asks may see it."""
        found = super().get_object(request, object_id, from_field)
        if found is not None and request.method == "POST":
            self.model._default_manager.select_for_update().filter(pk=found.pk).first()
            found.refresh_from_db()
            blanked(found, self.entity_for(request))
        show_related([found] if found is not None else [], request.user, fetch=True)
        return found

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An archived record is restored before it is changed."""
        archived = getattr(obj, "archived_at", None) is not None
        return not archived and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Deleting is for good here; everyone else archives."""
        return self.may(request, Permission.HARD_DELETE, obj)

    def has_archive_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, Permission.DELETE, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: RecordForm, change: bool) -> None:
        """Store what the form checked. Raises DomainError."""
        if change:
            record = writing.locked(self.entity, obj.pk, request.user)
            writing.save_clean(self.entity, record, form.values, request.user)
        else:
            self._warn_of_duplicates(request, form)
            record = writing.create_clean(self.entity_for(request), form.values, request.user)
            for warning in warnings_of_rules(record):
                self.message_user(request, warning["message"], messages.WARNING)
        obj.pk, obj._state.adding = record.pk, False
        obj.refresh_from_db()
        blanked(obj, self.entity_for(request))

    def _warn_of_duplicates(self, request: HttpRequest, form: RecordForm) -> None:
        twins = possible_duplicates(self.entity_for(request), form.values, request.user)
        if twins:
            names = ", ".join(f"{twin['name']} ({twin['id']})" for twin in twins)
            self.message_user(
                request, gettext("Possible duplicates: %(names)s.") % {"names": names}, messages.WARNING
            )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        writing.delete(obj)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Every change of the record, through whichever door."""
        record = self.seen(request, object_id)
        changes = of_record(self.entity, record.pk)[:HISTORY_SHOWN]
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("History of %(record)s") % {"record": record},
            "opts": self.opts,
            "object": record,
            "changes": self._in_words(request, changes),
            "shown": HISTORY_SHOWN,
            **archived.of_record(self.entity, record.pk),
        }
        return TemplateResponse(request, "admin/core/history.html", context)

    def _in_words(self, request: HttpRequest, changes: Any) -> list[dict[str, Any]]:
        found = presented(changes, {self.entity.name: self.entity_for(request)})
        words = ChangeWords(self.entity, request.user, [change["changes"] for change in found])
        return [change | {"differences": words.of(change["changes"])} for change in found]

    def seen(self, request: HttpRequest, object_id: str) -> Any:
        """The record in an address. Raises Http404 unless the user may see it."""
        record = self.get_object(request, object_id)
        if record is None:
            raise Http404
        return record

    @admin.action(description=_("Assign to …"), permissions=["change"])
    def assign(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        bulk = self.bulk(request, queryset)
        form = verbs.AssignForm(request)
        if not form.is_valid() or verbs.is_preview(request):
            hidden = verbs.selection(request, "assign")
            count = len(bulk.result.order)
            title = ngettext("Assign %(n)s record", "Assign %(n)s records", count) % {"n": count}
            named = self.named(request, bulk.result.order)
            shown = self._planned(request, form, bulk.result.order)
            return verbs.page(self, request, title, form, named, hidden, preview=shown)
        users = [user.pk for user in form.cleaned_data["users"]]
        method = form.cleaned_data["method"]
        given = bulk.assign(lambda ids: shares(self.entity, ids, users, method))
        verbs.report(self, request, "assigned", given)
        return None

    def _planned(
        self, request: HttpRequest, form: verbs.AssignForm, pks: Sequence[int]
    ) -> list[verbs.Preview]:
        """Who would get how many of the records, beside the open ones that they have."""
        if not (form.is_bound and form.is_valid()):
            return []
        users = {user.pk: user for user in form.cleaned_data["users"]}
        reached = self.entity.visible_to(request.user, Permission.CHANGE).filter(archived_at=None, pk__in=pks)
        given = set(reached.values_list("pk", flat=True))
        ids = [pk for pk in pks if pk in given]
        planned = planned_shares(self.entity, ids, list(users), form.cleaned_data["method"])
        gets, has = Counter(planned.values()), open_work(self.entity, list(users))
        rows = [(str(user), [gets[pk], has[pk]]) for pk, user in users.items()]
        kept = len(pks) - len(ids)
        note = ngettext(
            "%(n)s of them is not yours to change, and stays as it is.",
            "%(n)s of them are not yours to change, and stay as they are.",
            kept,
        )
        notes = [note % {"n": kept}] if kept else []
        return [verbs.Preview(gettext("Who gets what"), [gettext("Gets"), gettext("Open now")], rows, notes)]

    @admin.action(description=_("Archive"), permissions=["archive"])
    def archive(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """Asks first where other records refer to the selected."""
        bulk = self.bulk(request, queryset)
        found = dependents(self.entity, list(bulk.result.order), request.user)
        form = verbs.VerbForm(request)
        if found and not form.is_valid():
            count = len(bulk.result.order)
            title = ngettext("Archive %(n)s record", "Archive %(n)s records", count) % {"n": count}
            lines = [_("Referred to by %(type)s records (%(field)s): %(count)s") % vars(one) for one in found]
            return verbs.page(self, request, title, form, lines, verbs.selection(request, "archive"))
        verbs.report(self, request, "archived", bulk.archive())
        return None

    @admin.action(description=_("Restore"), permissions=["archive"])
    def restore(self, request: HttpRequest, queryset: QuerySet) -> None:
        verbs.report(self, request, "restored", self.bulk(request, queryset).restore())

    def bulk(self, request: HttpRequest, queryset: QuerySet) -> Bulk:
        """A bulk change of the selected. Raises ConflictError for more than the limit."""
        ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: conf.BULK_LIMIT + 1])
        if len(ids) > conf.BULK_LIMIT:
            raise ConflictError(
                gettext("At most %(bulk_limit)s records at once.") % {"bulk_limit": conf.BULK_LIMIT}
            )
        return Bulk(self.entity, request.user, ids)

    def named(self, request: HttpRequest, pks: Sequence[int]) -> list[str]:
        """What the records that an action is about are called, the first of them."""
        rows = self.get_queryset(request).filter(pk__in=pks[:NAMED]).order_by("pk")
        more = len(pks) - NAMED
        return [str(row) for row in rows] + ([_("and %(n)s more") % {"n": more}] if more > 0 else [])

    def one_by_one(
        self, request: HttpRequest, queryset: QuerySet, done: str, work: Callable[[Any], Any]
    ) -> None:
        """`work` on each of the selected, under lock; one that refuses keeps none of the others back."""
        result = self.bulk(request, queryset).result
        for pk in result.order:
            try:
                with transaction.atomic():
                    work(writing.locked(self.entity, pk, request.user))
            except DomainError as error:
                result.fail(pk, error.code, str(error))
            else:
                result.done.add(pk)
        verbs.report(self, request, done, result)

    def changeable(self, request: HttpRequest, object_id: Any) -> Any:
        """The record as whoever asks may change it, locked until what was sent is stored. Raises DomainError.

        A page that asks first has no transaction of its own, and a lock needs one.
        """
        pk = self.seen(request, str(object_id)).pk
        with transaction.atomic():
            return writing.locked(self.entity, pk, request.user)

    def page_of(self, pk: Any) -> str:
        """The address of a record's page."""
        return reverse(
            f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk]
        )
