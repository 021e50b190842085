"""Cells of a list that are changed where they stand: a cell is asked for as an input, which is sent by
itself.

What is stored is checked as over the API, with the version that the input was opened on; a refusal stands in
the cell."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from core import labels
from core.admin.forms import CHANGED_MEANWHILE
from core.admin.people import entered_as
from core.entities import Column, writing
from core.entities.field_types import Reference
from core.entities.references import referable
from core.errors import ConflictError, DomainError, InvalidError

CELL = (
    '<span class="crm-cell" id="{0}">{1}<a href="{2}change/" title="{4}" aria-label="{4}"'
    ' hx-get="{2}cell/{3}/" hx-target="#{0}" hx-swap="outerHTML">'
    '<span class="material-symbols-outlined" aria-hidden="true">edit</span></a></span>'
)
# People that are offered for what was typed so far.
OFFERED = 10


def edited(column: Callable[..., Any], field: str) -> Callable[..., Any]:
    """A column of a list, with a way to change its field in each row that the reader may change."""

    @admin.display(
        description=getattr(column, "short_description", field),
        ordering=getattr(column, "admin_order_field", field),
    )
    def shown(page: Any, record: Any) -> Any:
        text = column(page, record)
        return page.cell(record, field, text) if getattr(record, "edited_at", "") else text

    shown.edited_field, shown.plain = field, column  # type: ignore[attr-defined]
    return shown


class InlineEditMixin:
    """The addresses of cells, and which rows of a page have them. `by_verb` names the values of fields that a
    record gets by a verb of its own."""

    by_verb: ClassVar[Mapping[str, Sequence[str]]] = {}

    def get_urls(self: Any) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        cell, people = map(self.admin_site.admin_view, (self.cell_view, self.people_view))
        return [
            path("<int:object_id>/cell/<slug:field>/", cell, name=f"{name}_cell"),
            path("cell_people/", people, name=f"{name}_cell_people"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def mark_editable(self: Any, request: HttpRequest, changelist: Any) -> None:
        """Let the rows of the page that the user may change be changed there."""
        rows = list(changelist.result_list)
        if not rows or not self.has_change_permission(request):
            return
        ids = self._reached(request, rows)
        locked = {column.name for column in self.entity_for(request).columns if not column.writable}
        for row in rows:
            self._mark(row, locked, row.archived_at is None and row.pk in ids)

    def _mark(self: Any, row: Any, locked: set[str], may: bool) -> None:
        row.edited_at, row.locked_fields = self._inline_url("changelist") if may else "", locked

    def _reached(self: Any, request: HttpRequest, rows: list[Any]) -> set[int]:
        """The ids of those that the user may change: one statement, none for who reaches everything."""
        pks = {row.pk for row in rows}
        reached = self.entity.visible_to(request.user, "change").order_by()
        if not reached.query.where:
            return pks
        return set(reached.filter(pk__in=pks).values_list("pk", flat=True))

    def cell(self: Any, record: Any, field: str, text: Any) -> Any:
        """A value with the button that changes it; without JavaScript it leads to the record's page."""
        if field in record.locked_fields:
            return text
        label = _("Change %(field)s of %(name)s") % {"field": self._title(field), "name": record}
        return format_html(
            CELL, f"cell-{record.pk}-{field}", text, f"{record.edited_at}{record.pk}/", field, label
        )

    def cell_view(self: Any, request: HttpRequest, object_id: int, field: str) -> HttpResponse:
        """The input of a cell; sent, the cell as it is then, or the input again with what was wrong."""
        known = self.entity_for(request).by_name.get(field)
        is_edited = field in self._edited_columns() and known is not None and known.writable
        record = self._read(request, object_id) if is_edited else None
        if record is None or not self.has_change_permission(request, record):
            raise Http404
        if request.method != "POST":
            return (
                self._shown_cell(record, field)
                if "back" in request.GET
                else self._input(request, record, field)
            )
        try:
            self.acting(request, lambda: self._store(request, object_id, field))
        except DomainError as error:
            return self._input(request, record, field, _message(error))
        return self._shown_cell(self._read(request, object_id), field)

    def _store(self: Any, request: HttpRequest, pk: int, field: str) -> HttpResponse:
        """Raises DomainError."""
        record = writing.locked(self.entity, pk, request.user)
        if str(record.version) != request.POST.get("version"):
            raise ConflictError(_(CHANGED_MEANWHILE))
        known = self.entity.by_name[field]
        value = self._value(request, known, request.POST.get("value", "").strip())
        writing.update_from_input(self.entity, record, {field: value}, request.user)
        return HttpResponse()

    def _value(self, request: HttpRequest, column: Column, text: str) -> Any:
        """What was entered, as the API takes it; a user by their user name, which may stand in parentheses
        behind the full one."""
        if not isinstance(column.field_type, Reference) or not text:
            return text or None
        name = text.rpartition(" (")[2].removesuffix(")")
        found = referable("user", request.user).filter(username=name).values_list("pk", flat=True).first()
        if found is None:
            raise InvalidError.of(column.name, _("There is no such user."), "does_not_exist")
        return found

    def _input(self: Any, request: HttpRequest, record: Any, field: str, error: str = "") -> HttpResponse:
        known = self.entity.by_name[field]
        given = request.POST.get("value")
        context = {
            "id": f"cell-{record.pk}-{field}",
            "url": self._cell_url(record.pk, field),
            "label": _("%(field)s of %(name)s") % {"field": self._title(field), "name": record},
            "version": request.POST.get("version") or record.version,
            "value": self._present(record, known) if given is None else given,
            "options": [one for one in known.field_type.options() if self._is_offered(record, field, one[0])],
            "is_empty_allowed": known.nullable and known.blank,
            "people_url": self._people_url() if isinstance(known.field_type, Reference) else "",
            "error": error,
        }
        return HttpResponse(render_to_string("admin/core/cell_input.html", context, request))

    def _is_offered(self: Any, record: Any, field: str, value: str) -> bool:
        """Whether a cell offers the value: what comes by a verb alone is offered where it is so already."""
        return value not in self.by_verb.get(field, ()) or value == getattr(record, field)

    def _present(self, record: Any, column: Column) -> str:
        if isinstance(column.field_type, Reference):
            person = getattr(record, column.name)
            return entered_as(person) if person else ""
        return str(getattr(record, column.path) or "")

    def _read(self: Any, request: HttpRequest, pk: int) -> Any:
        """The record as the list reads it; one that was given away is not the reader's any more."""
        rows = self.get_queryset(request).select_related(*self.list_select_related)
        return rows.filter(pk=pk).first()

    def _shown_cell(self: Any, record: Any, field: str) -> HttpResponse:
        if record is None:
            return HttpResponse(_("Saved; it is not among your records any more."))
        self._mark(record, set(), may=True)
        return HttpResponse(self._edited_columns()[field](self, record))

    def _edited_columns(self: Any) -> dict[str, Any]:
        """The columns of the list that are changed in it, by field."""
        found = [getattr(type(self), name, None) for name in self._list_names()]
        return {one.edited_field: one for one in found if one is not None and hasattr(one, "edited_field")}

    def _list_names(self: Any) -> list[str]:
        return [*filter(lambda one: isinstance(one, str), self.list_display), *EVERYWHERE]

    def people_view(self: Any, request: HttpRequest) -> HttpResponse:
        """Users whose name begins with what was typed, as options."""
        if not self.has_change_permission(request):
            raise Http404
        text = request.GET.get("value", "").strip()[:100]
        begins = (
            Q(username__istartswith=text) | Q(first_name__istartswith=text) | Q(last_name__istartswith=text)
        )
        found = referable("user", request.user).filter(begins).order_by("username")[:OFFERED] if text else []
        return HttpResponse(
            render_to_string("admin/core/cell_people.html", {"people": map(entered_as, found)})
        )

    def _cell_url(self: Any, pk: int, field: str) -> str:
        return self._inline_url("cell", pk, field)

    def _people_url(self: Any) -> str:
        return self._inline_url("cell_people")

    def _inline_url(self: Any, name: str, *args: Any) -> str:
        route = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(route, args=args)

    def _title(self: Any, field: str) -> str:
        return labels.field_title(self.entity.by_name[field])


# Columns that the lists of all records may have.
EVERYWHERE = ("shown_owner", "shown_assigned_to")


def _message(error: DomainError) -> str:
    if isinstance(error, InvalidError):
        return " ".join(issue.message for issue in error.issues)
    return error.message
