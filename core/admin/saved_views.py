"""Saved views as tabs of a list: `?view=<id>` narrows it, orders it and chooses its columns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, SEARCH_VAR
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from core import labels
from core.access import Permission
from core.admin import verbs
from core.admin.captured import NamesInOrder
from core.admin.view_conditions import kept_of, ordering_of, parsed
from core.conditions import record_q
from core.conditions.models import SavedView
from core.conditions.narrowing import narrowing_q
from core.conditions.relative_dates import in_zone_of
from core.conditions.views import check_view
from core.conditions.words import ConditionWords, value_in_words
from core.entities import Column, Entity, entity_of
from core.entities.custom import schema
from core.entities.field_types import Reference
from core.entities.finding import check_search, ordering, search
from core.errors import DomainError, InvalidError

PARAMETER = "view"
# Columns that every list can show.
NO_COLUMNS = ("id", "custom_fields", "search_text")
PEOPLE = ("shown_owner", "shown_assigned_to", "shown_created_at")
# Tabs of a list; the rest is found under Data, Saved views.
TABS = 12


@dataclass(frozen=True)
class ViewTab:
    """A tab: the list with a view, or without any."""

    title: Any
    url: str
    chosen: bool
    shared: bool = False


def views_of(user: Any, entity: Entity) -> QuerySet:
    return SavedView.objects.visible_to(user).filter(entity=entity.name)


def view_asked(request: HttpRequest, entity: Entity) -> SavedView | None:
    """The view in the address, read once; None where none is named. Raises IncorrectLookupParameters for one
    that the user does not see."""
    text = request.GET.get(PARAMETER, "")
    if not text:
        return None
    if not hasattr(request, "saved_view"):
        is_id = text.isascii() and text.isdecimal() and len(text) < 19
        found = views_of(request.user, entity).filter(pk=int(text)).first() if is_id else None
        request.saved_view = found  # type: ignore[attr-defined]
    if request.saved_view is None:  # type: ignore[attr-defined]
        raise IncorrectLookupParameters(_("There is no such view."))
    return request.saved_view  # type: ignore[attr-defined]


class ViewListFilter(ListFilter):
    """What the view in the address narrows by; it is chosen by its tab."""

    title: Any = gettext_lazy("view")
    template = "admin/core/view_filter.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        params.pop(PARAMETER, None)
        self.entity = entity_of(model).for_user(request.user)
        self.view = view_asked(request, self.entity)
        self.lookup_choices = [(str(self.view.pk), self.view.name)] if self.view else []

    def has_output(self) -> bool:
        return self.view is not None

    def value(self) -> Any:
        return self.view and self.view.pk

    def expected_parameters(self) -> list[str | None]:
        return [PARAMETER]

    def choices(self, changelist: Any) -> Iterator[Any]:
        return iter(())

    def as_condition(self, user: Any) -> Any:
        """A view made of a view holds what that one does now."""
        return self.view.conditions if self.view else {}

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        view = self.view
        if view is None:
            return queryset
        try:
            condition = parsed(self.entity, view.conditions)
            rows = search(self.entity, queryset, view.search)
        except InvalidError as error:
            messages.error(request, _("The view cannot be used: %(why)s") % {"why": error})
            return queryset.none()
        with in_zone_of(request.user):
            found = record_q(condition, user=request.user) & narrowing_q(self.entity, condition)
            return rows.filter(found)


class SaveViewForm(verbs.VerbForm):
    """What a view is called, who has it, and which columns it shows."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=120, widget=UnfoldAdminTextInputWidget)
    is_shared = forms.BooleanField(
        label=gettext_lazy("Shared with everyone"),
        required=False,
        widget=UnfoldBooleanWidget,
        help_text=gettext_lazy("Others see it beside their own; each sees the records that they may see."),
    )
    fields_shown = forms.MultipleChoiceField(
        label=gettext_lazy("Columns"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=gettext_lazy("Columns to show; none chosen: those that the list has by itself."),
    )

    def __init__(self, request: HttpRequest, choices: Sequence[tuple[str, str]], **options: Any) -> None:
        super().__init__(request, **options)
        self.fields["fields_shown"].choices = choices  # type: ignore[attr-defined]


class ViewList(NamesInOrder):
    """A list in the order of its view, until another one is chosen."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet) -> list[Any]:
        entity = self.model_admin.entity_for(request)
        view = view_asked(request, entity)
        if view is None or not view.ordering or ORDER_VAR in self.params:
            return super().get_ordering(request, queryset)
        try:
            return [order.by() for order in ordering(entity, view.ordering)]
        except InvalidError:
            return super().get_ordering(request, queryset)


class SavedViewsMixin:
    """Tabs of a list of records, and the pages that save a view of it and delete one."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Any]:
        return ViewList

    def get_list_display(self: Any, request: HttpRequest) -> Any:
        """The columns of the view, those that one may see; the name of a record always."""
        own = list(super().get_list_display(request))  # type: ignore[misc]
        entity = self.entity_for(request)
        view = view_asked(request, entity) if PARAMETER in request.GET else None
        if view is None or not view.fields:
            return own
        by_field = {self._field_shown(name): name for name in (*PEOPLE, *own)}
        known = schema(entity, names=view.fields)
        shown = [by_field.get(name) or _plain(known[name]) for name in view.fields if name in known]
        return ["__str__", *(one for one in shown if one and one != "__str__")]

    def get_urls(self: Any) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        save, delete = map(self.admin_site.admin_view, (self.save_view, self.delete_saved_view))
        return [
            path("views/add/", save, name=f"{name}_save_view"),
            path("views/<int:view_id>/delete/", delete, name=f"{name}_delete_view"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def view_context(self: Any, request: HttpRequest, changelist: Any) -> dict[str, Any]:
        """What the list shows of views: the tabs, and where one is saved and deleted."""
        view = view_asked(request, self.entity)
        tabs = list(views_of(request.user, self.entity).order_by("name", "id")[:TABS])
        if view is not None and view not in tabs:
            tabs.append(view)
        query = request.GET.urlencode()
        return {
            "view_tabs": [
                ViewTab(_("All"), "?", view is None),
                *(ViewTab(one.name, f"?{PARAMETER}={one.pk}", one == view, one.is_shared) for one in tabs),
            ],
            "view_words": self._view_words(request, view),
            "save_view_url": f"{self._view_url('save_view')}?{query}",
            "delete_view_url": self._view_url("delete_view", view.pk)
            if view is not None and self._may_delete(request, view)
            else "",
        }

    def _view_words(self: Any, request: HttpRequest, view: SavedView | None) -> list[str]:
        """What the view narrows by."""
        if view is None:
            return []
        try:
            condition = parsed(self.entity_for(request), view.conditions)
        except InvalidError:
            return []
        words = ConditionWords(request.user, [condition]).parts(condition)
        return words + ([_("Found by “%(text)s”") % {"text": view.search}] if view.search else [])

    def _view_url(self: Any, name: str, *args: Any) -> str:
        return reverse(
            f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{name}", args=args
        )

    def _may_delete(self, request: HttpRequest, view: SavedView) -> bool:
        rows = SavedView.objects.visible_to(request.user, Permission.DELETE)
        return view.owner_id == request.user.pk and rows.filter(pk=view.pk).exists()

    def save_view(self: Any, request: HttpRequest) -> HttpResponse:
        """Asks for a name and keeps what the list in the address shows."""
        if not self.has_view_permission(request):
            raise Http404
        back = f"{self._view_url('changelist')}?{request.GET.urlencode()}"
        return self.excused(request, lambda: self._save_view(request), back)

    def _save_view(self: Any, request: HttpRequest) -> HttpResponse:
        entity = self.entity_for(request)
        try:
            changelist = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(self._view_url("changelist"))
        kept = kept_of(changelist, entity, request.user)
        view = view_asked(request, entity)
        searched, lost = _searches(view, changelist.params.get(SEARCH_VAR) or changelist.query)
        kept.left_out += lost
        user: Any = request.user
        made = SavedView(
            owner=user,
            entity=entity.name,
            conditions=kept.condition,
            search=searched,
            ordering=ordering_of(changelist, entity) or (view.ordering if view else ""),
        )
        form = SaveViewForm(
            request, self._choices(request), initial={"fields_shown": view.fields if view else []}
        )
        if form.is_valid() and self._stored(request, made, form):
            self.message_user(request, _("Saved as a tab of this list."), messages.SUCCESS)
            return HttpResponseRedirect(f"{self._view_url('changelist')}?{PARAMETER}={made.pk}")
        lines = self._view_words(request, made)
        lines += [_("Not kept, for a view cannot hold it: %(filter)s") % {"filter": t} for t in kept.left_out]
        return verbs.page(self, request, _("Save this view"), form, lines or [_("Everything")], {})

    def _choices(self: Any, request: HttpRequest) -> list[tuple[str, str]]:
        """The fields that a list can show; other records only where the list has a column of them."""
        own = {self._field_shown(name) for name in (*PEOPLE, *super().get_list_display(request))}  # type: ignore[misc]
        known = schema(self.entity_for(request)).items()
        shown = [(name, one) for name, one in known if name in own or _plain(one) is not None]
        return [(name, _title(one)) for name, one in shown if name not in NO_COLUMNS]

    def _field_shown(self: Any, name: Any) -> str:
        """The field of a column of the list."""
        return str(self._column_of(name).partition("__")[0])

    def fields_shown(self: Any, request: HttpRequest) -> list[str]:
        """The fields that the list has columns of now."""
        entity = self.entity_for(request)
        view = view_asked(request, entity)
        if view is not None and view.fields:
            return list(view.fields)
        known = schema(entity)
        named = [self._field_shown(name) for name in self.get_list_display(request)]
        return [*entity.display_fields, *(name for name in named if name in known)]

    def _stored(self, request: HttpRequest, made: SavedView, form: SaveViewForm) -> bool:
        """Whether the view was stored; else the form says why not."""
        given = form.cleaned_data
        made.name, made.is_shared, made.fields = given["name"], given["is_shared"], given["fields_shown"]
        try:
            check_view(made, request.user)
            made.validate_constraints()
        except DomainError as error:
            form.add_error(None, str(error))
        except ValidationError:
            form.add_error("name", _("You have a view of this name already."))
        else:
            return self._saved(made, form)
        return False

    def _saved(self, made: SavedView, form: SaveViewForm) -> bool:
        """Where another request took the name since it was looked at, the form says so too."""
        try:
            with transaction.atomic():
                made.save()
        except IntegrityError:
            form.add_error("name", _("You have a view of this name already."))
            return False
        return True

    def delete_saved_view(self: Any, request: HttpRequest, view_id: int) -> HttpResponse:
        """Asks first; a view is deleted here by its owner alone."""
        view = views_of(request.user, self.entity).filter(pk=view_id).first()
        if view is None or not self._may_delete(request, view):
            raise Http404
        form = verbs.VerbForm(request)
        if not form.is_valid():
            shared = [_("Others whom it is shared with lose it too.")] if view.is_shared else []
            return verbs.page(self, request, _("Delete the view %(name)s") % {"name": view}, form, shared, {})

        def delete() -> HttpResponse:
            view.delete()
            self.message_user(request, _("The view is deleted."), messages.SUCCESS)
            return HttpResponseRedirect(self._view_url("changelist"))

        return self.excused(request, delete)


def _searches(view: SavedView | None, text: str) -> tuple[str, list[str]]:
    """The words of the view and of the search in it, and a title for those of the view where both are too
    many."""
    words = view.search if view else ""
    if not (words and text) or words == text:
        return text or words, []
    both = f"{words} {text}"
    try:
        check_search(both)
    except InvalidError:
        return text, [_("Search “%(text)s”") % {"text": words}]
    return both, []


def _title(column: Column) -> str:
    return labels.field_title(column)


def _plain(column: Column) -> Callable[[Any], str] | None:
    """A column of a list that shows a field as its type is written; None for references, whose names the
    list has not read."""
    if isinstance(column.field_type, Reference) or (column.expression is not None and not column.custom):
        return None

    def shown(record: Any) -> str:
        source = record.custom_fields.get(column.path) if column.custom else getattr(record, column.path)
        if source is None or source in ("", []):
            return ""
        if isinstance(source, list):
            return ", ".join(map(str, source))
        return value_in_words(column.field_type, source)

    shown.short_description = _title(column)  # type: ignore[attr-defined]
    if not column.custom and column.orderable:
        shown.admin_order_field = column.path  # type: ignore[attr-defined]
    return shown
