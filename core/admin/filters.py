"""Filters that lists of records have."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from django.contrib.admin import SimpleListFilter
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    RangeDateFilter,
    RangeDateTimeFilter,
    TextFilter,
)

from core.admin.home import mine
from core.admin.typed_dates import typed_day, typed_moment
from core.entities.blanking import any_shown_to
from core.entities.zones import day_start


def since(user: Any, days: int) -> datetime:
    """The beginning of the day so many days ago, where the user is; of today for 0."""
    return day_start(user) - timedelta(days=days)


class ConditionFilter(SimpleListFilter):
    """Choices of a list that are conditions: a subclass gives `options` as (value, title) and `condition`,
    and in `kept` what a saved view holds for a choice; without that none can be made of it."""

    options: tuple[tuple[str, Any], ...] = ()
    kept: ClassVar[Mapping[str, Any]] = {}

    def as_condition(self, user: Any) -> Any:
        """The choice in the condition language; None where that cannot say it. What is no choice asks for
        nothing."""
        return self.kept.get(str(self.value())) if self.value() in dict(self.options) else {}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(self.options)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        chosen = self.value()
        return queryset.filter(self.condition(request, chosen)) if chosen in dict(self.options) else queryset

    def condition(self, request: HttpRequest, chosen: str) -> Q:
        raise NotImplementedError


class RecordSelectFilter(AutocompleteSelectFilter):
    """One record out of many, which is called as whoever looks at the list may see it."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            field = choice["form"].fields[self.lookup_kwarg]
            field.queryset = any_shown_to(self.request.user, field.queryset.all())
            yield choice


class RangeEnds:
    """Of a filter from one end to another: both as the reader's language writes them. `ends` is the lookup
    of each, and `_end` reads one: None where it was not given. It raises ValidationError."""

    ends: ClassVar[Mapping[str, str]] = {"_from": "gte", "_to": "lte"}
    parameter_name: str
    used_parameters: dict[str, Any]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        given, _unread = self._read()
        return queryset.filter(**given)

    @property
    def has_unread(self) -> bool:
        """Whether something was typed that cannot be read, and the list is not narrowed by."""
        _given, unread = self._read()
        return bool(unread)

    def _read(self) -> tuple[dict[str, Any], list[str]]:
        """The lookups, and the ends that cannot be read."""
        given, unread = {}, []
        for end, lookup in self.ends.items():
            try:
                value = self._end(end)
            except ValidationError:
                unread.append(end)
                continue
            if value is not None:
                given[f"{self.parameter_name}__{lookup}"] = value
        return given, unread

    def _end(self, end: str) -> Any:
        raise NotImplementedError


class DayRangeFilter(RangeEnds, RangeDateFilter):
    """From one day to another."""

    def _end(self, end: str) -> date | None:
        text = self.used_parameters.get(f"{self.parameter_name}{end}")
        return typed_day(str(text)) if text else None


class MomentRangeFilter(RangeEnds, RangeDateTimeFilter):
    """From one moment to another, both as the reader's clock shows them; each needs both inputs."""

    def _end(self, end: str) -> datetime | None:
        texts = [self.used_parameters.get(f"{self.parameter_name}{end}_{part}") for part in (0, 1)]
        day, clock = (str(text or "") for text in texts)
        return typed_moment(day, clock) if day or clock else None


class CreatedFilter(ConditionFilter):
    """Made in the last days, by the reader's calendar."""

    title = _("created")
    parameter_name = "created"
    options = (
        ("0d", _("Today")),
        ("7d", _("Last 7 days")),
        ("30d", _("Last 30 days")),
        ("90d", _("Last 90 days")),
    )
    kept: ClassVar = {
        "0d": {"field": "created_at", "op": "gte", "value": "today"},
        **{
            f"{days}d": {"field": "created_at", "op": "within_last", "value": {"days": days}}
            for days in (7, 30, 90)
        },
    }

    def condition(self, request: HttpRequest, chosen: str) -> Q:
        return Q(created_at__gte=since(request.user, int(chosen.removesuffix("d"))))


class ArchivedListFilter(SimpleListFilter):
    """Without what was archived, unless asked for."""

    title = _("archived")
    parameter_name = "archived"
    # What the list is narrowed by without a choice, and the choice that ends it (core.admin.filters_shown).
    default_text = _("Not archived")
    without_default: ClassVar = {"archived": "any"}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Any]:
        return [("true", _("Archived")), ("any", _("All"))]

    def choices(self, changelist: Any) -> Any:
        yield {
            "selected": self.value() is None,
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": self.default_text,
        }
        yield from list(super().choices(changelist))[1:]

    def as_condition(self, user: Any) -> Any:
        """A list is without what was archived, whatever its view."""
        return None

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() == "any":
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "true")


class AssignmentFilter(ConditionFilter):
    """Mine, or nobody's."""

    title = _("assignment")
    parameter_name = "assignment"
    options = (
        ("mine", _("Mine to do")),
        ("me", _("Assigned to me")),
        ("nobody", _("Assigned to nobody")),
    )

    def condition(self, request: HttpRequest, chosen: str) -> Q:
        if chosen == "mine":
            return mine(request.user)
        return Q(assigned_to=request.user.pk if chosen == "me" else None)

    def as_condition(self, user: Any) -> Any:
        """Of whoever saves the view."""
        nobody = {"field": "assigned_to", "op": "is_empty", "value": True}
        me = {"field": "assigned_to", "value": user.pk}
        owned = {"all": [nobody, {"field": "owner", "value": user.pk}]}
        return {"mine": {"any": [me, owned]}, "me": me, "nobody": nobody}.get(str(self.value()), {})


class TagFilter(TextFilter):
    """With this tag; the index of tags answers."""

    title = _("tag")
    parameter_name = "tag"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(tags__contains=[self._text()]) if self._text() else queryset

    def as_condition(self, user: Any) -> Any:
        return {"field": "tags", "op": "has_any", "value": [self._text()]} if self._text() else {}

    def _text(self) -> str:
        return (self.value() or "").replace("\x00", "").strip()
