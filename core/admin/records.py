"""Pages of records (leads, contacts, …): found by index, written by the rules of the API."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter

from core.access import Permission
from core.admin import verbs
from core.admin.captured import CapturedAdmin
from core.admin.filters import ArchivedFilter, AssignmentFilter, TagFilter
from core.admin.forms import OVERRIDES, SEEN, RecordForm
from core.changes.history import of_record, presented
from core.conf import conf
from core.entities import Entity, entity_of, writing
from core.entities.assignment import shares
from core.entities.bulk import Bulk
from core.entities.duplicates import possible_duplicates
from core.entities.finding import search
from core.errors import ConflictError, DomainError, InvalidError

OWNERSHIP = (
    "Ownership and tags",
    {"fields": ("owner", "assigned_to", "tags", "external_id", "custom_fields", SEEN)},
)
KEPT = ("created_by", "created_at", "updated_at", "archived_at", "version")
HISTORY_SHOWN = 200


class RecordAdmin(CapturedAdmin):
    """Base of the entities' pages.

    A subclass names its own `sections` (fieldsets) and `derived` (read-only fields), `list_display` and
    filters; who owns a record, its tags and its history come from here.
    """

    form = RecordForm
    sections: ClassVar[tuple[Any, ...]] = ()
    derived: ClassVar[tuple[str, ...]] = ()
    formfield_overrides = OVERRIDES
    search_fields = ("search_text",)
    ordering = ("-id",)
    list_per_page = 50
    list_select_related: Any = ("owner", "assigned_to")
    autocomplete_fields: tuple[str, ...] = ("owner", "assigned_to")
    common_filters = (
        ArchivedFilter,
        AssignmentFilter,
        ("owner", AutocompleteSelectFilter),
        ("assigned_to", AutocompleteSelectFilter),
        TagFilter,
        ("created_at", RangeDateTimeFilter),
    )
    actions: Any = ("assign", "archive", "restore")

    @property
    def entity(self) -> Entity:
        return entity_of(self.model)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*self.list_filter, *self.common_filters]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        known = ("Record", {"fields": (*self.derived, *KEPT), "classes": ["collapse"]})
        return [*self.sections, OWNERSHIP, *([known] if obj else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.derived, *KEPT)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """As `search=` of the API finds, by the same index."""
        try:
            return search(self.entity, queryset, search_term), False
        except InvalidError as error:
            self.message_user(request, str(error), messages.ERROR)
            return queryset.none(), False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Locked while it is being changed, so that what was checked is what is stored."""
        found = super().get_object(request, object_id, from_field)
        if found is not None and request.method == "POST":
            self.model._default_manager.select_for_update().filter(pk=found.pk).first()
            found.refresh_from_db()
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
            record = writing.create_clean(self.entity, form.values, request.user)
        obj.pk, obj._state.adding = record.pk, False
        obj.refresh_from_db()

    def _warn_of_duplicates(self, request: HttpRequest, form: RecordForm) -> None:
        twins = possible_duplicates(self.entity, form.values, request.user)
        if twins:
            names = ", ".join(f"{twin['name']} ({twin['id']})" for twin in twins)
            self.message_user(request, f"Possible duplicates: {names}.", messages.WARNING)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        writing.delete(obj)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Every change of the record, through whichever door."""
        record = self.seen(request, object_id)
        changes = of_record(self.entity, record.pk)[:HISTORY_SHOWN]
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {record}",
            "opts": self.opts,
            "object": record,
            "changes": presented(changes, {self.entity.name: self.entity.public_names}),
            "shown": HISTORY_SHOWN,
        }
        return TemplateResponse(request, "admin/core/history.html", context)

    def seen(self, request: HttpRequest, object_id: str) -> Any:
        """The record in an address. Raises Http404 unless the user may see it."""
        record = self.get_object(request, object_id)
        if record is None:
            raise Http404
        return record

    @admin.action(description="Assign to …", permissions=["change"])
    def assign(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        bulk = self.bulk(request, queryset)
        form = verbs.AssignForm(request)
        if not form.is_valid():
            hidden = verbs.selection(request, "assign")
            return verbs.page(self, request, f"Assign {len(bulk.result.order)} records", form, [], hidden)
        users = [user.pk for user in form.cleaned_data["users"]]
        method = form.cleaned_data["method"]
        given = bulk.assign(lambda ids: shares(self.entity, ids, users, method))
        verbs.report(self, request, "assigned", given)
        return None

    @admin.action(description="Archive", permissions=["archive"])
    def archive(self, request: HttpRequest, queryset: QuerySet) -> None:
        verbs.report(self, request, "archived", self.bulk(request, queryset).archive())

    @admin.action(description="Restore", permissions=["archive"])
    def restore(self, request: HttpRequest, queryset: QuerySet) -> None:
        verbs.report(self, request, "restored", self.bulk(request, queryset).restore())

    def bulk(self, request: HttpRequest, queryset: QuerySet) -> Bulk:
        """A bulk change of the selected. Raises ConflictError for more than the limit."""
        ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: conf.BULK_LIMIT + 1])
        if len(ids) > conf.BULK_LIMIT:
            raise ConflictError(f"At most {conf.BULK_LIMIT} records at once.")
        return Bulk(self.entity, request.user, ids)

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

    def page_of(self, pk: Any) -> str:
        """The address of a record's page."""
        return reverse(
            f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk]
        )
