"""Triggers that come with time, or that are called: dates of records, schedules, by hand, from outside."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from core.entities import Entity
from core.entities.columns import Column
from core.entities.custom import PREFIX
from core.entities.field_types import Choice, Date, DateTime, Text
from core.errors import FieldIssue, ValueRefusedError, unknown
from core.workflows.field_types import ClockTime, Duration, TimeZone
from core.workflows.params import Param
from core.workflows.schedule import CATCH_UP, Schedule
from core.workflows.triggers.base import FIELD, Settings, Trigger, register

DATE = replace(FIELD, refers_to="date_field")
OFFSET = Param(
    "offset",
    Duration(signed=True),
    template=False,
    help_text='Before (negative) or after the date: {"days": -3}.',
)
AT = Param("at", ClockTime(), template=False, help_text="For dates without a time: when on that day.")


@dataclass(frozen=True)
class DateTrigger(Trigger):
    """A date of a record is reached, or is so far away. `field` fixed here need not be set; `rows` narrows
    the records."""

    field: str = ""
    rows: Q = dataclasses.field(default_factory=Q)

    def column(self, entity: Entity, settings: Settings) -> Column | None:
        """The date it is about; None where the entity has none of that name."""
        found = entity.by_name.get(self.field or str(settings.get("field", "")))
        dated = (
            found is not None and found.expression is None and isinstance(found.field_type, Date | DateTime)
        )
        return found if dated else None

    def offset(self, settings: Settings) -> tuple[int, timedelta]:
        """Days of the calendar, which may have 23 or 25 hours, and the time beyond them."""
        given = settings.get("offset") or {}
        calendar = {unit: given[unit] for unit in ("weeks", "days") if unit in given}
        clock = {unit: number for unit, number in given.items() if unit not in calendar}
        return _span(calendar).days, _span(clock)

    def check(self, entity: Entity | None, settings: Settings) -> list[FieldIssue]:
        if entity is None or self.column(entity, settings):
            return []
        dates = [
            c.name
            for c in entity.columns
            if isinstance(c.field_type, Date | DateTime) and c.expression is None
        ]
        return [
            FieldIssue(
                "field",
                "unknown_field",
                _("Not a date field. Known: %(names)s.") % {"names": ", ".join(dates)},
            )
        ]


def _span(given: Mapping[str, Any]) -> timedelta:
    return Duration(signed=True).to_internal_value(given) if given else timedelta()


@dataclass(frozen=True)
class ScheduleTrigger(Trigger):
    """Ticks of a cron expression."""

    def schedule(self, settings: Settings) -> Schedule:
        return Schedule(str(settings.get("cron", "")), str(settings.get("time_zone") or "UTC"))

    def check(self, entity: Entity | None, settings: Settings) -> list[FieldIssue]:
        if not settings.get("cron"):
            return []
        try:
            self.schedule(settings).check()
        except ValueRefusedError as error:
            return [FieldIssue("cron", error.code, error.message)]
        return []


@dataclass(frozen=True)
class InboundTrigger(Trigger):
    """A signed call; `match` is a condition whose values are templates, so only its fields are known now."""

    def check(self, entity: Entity | None, settings: Settings) -> list[FieldIssue]:
        match = settings.get("match")
        if match is None:
            return []
        if entity is None:
            return [FieldIssue("match", "no_record", _("There is no record to find: name a model."))]
        if not isinstance(match, Mapping) or not match:
            return [FieldIssue("match", "not_an_object", _("Expected fields and values."))]
        known = {name for name, column in entity.by_name.items() if column.filterable}
        known |= set(entity.by_input_name)
        return [
            unknown(f"match.{name[:60]}", sorted(known))
            for name in _fields_named(match)
            if name not in known and not name.startswith(PREFIX)
        ]


def _fields_named(match: Any) -> Iterator[str]:
    """The fields that a condition asks, whose values cannot be read yet. The record itself is asked, nothing
    that it refers to: whoever calls the address learns whether one was found."""
    if isinstance(match, list):
        for one in match:
            yield from _fields_named(one)
    elif isinstance(match, Mapping) and not WORDS & set(match):
        yield from map(str, match)
    elif isinstance(match, Mapping):
        if isinstance(match.get("field"), str):
            yield match["field"]
        for word in WORDS - {"field"}:
            yield from _fields_named(match.get(word))


# A condition written out, as against fields and their values.
WORDS = {"all", "any", "not", "field"}

register(
    DateTrigger(
        "date_reached",
        settings=(DATE, OFFSET, AT),
        help_text="A date of the record is reached.",
        when="a date of the record is reached",
    )
)
register(
    ScheduleTrigger(
        "schedule",
        settings=(
            Param("cron", Text(max_length=200), required=True, template=False),
            Param("time_zone", TimeZone(), template=False),
            Param("catch_up", Choice(choices=CATCH_UP), template=False),
        ),
        needs_entity=False,
        help_text="At the ticks of a cron expression; for every matching record if a model is named.",
        when="it is time by its schedule",
    )
)
register(
    Trigger(
        "manual",
        needs_entity=False,
        help_text="Only when executed by hand or by the API.",
        when="somebody starts it, by hand or over the API",
    )
)
register(
    InboundTrigger(
        "inbound_webhook",
        needs_entity=False,
        settings=(
            Param(
                "match",
                template=True,
                help_text='Finds the record: {"email": "{{payload.email}}"}.',
                refers_to="texts_by_name",
            ),
        ),
        help_text="A signed request to the workflow's own address.",
        when="a signed request comes to its own address",
    )
)
register(
    Trigger(
        "import_finished",
        needs_entity=False,
        has_record=False,
        settings=(
            Param(
                "outcome",
                Choice(choices=("succeeded", "failed")),
                template=False,
                help_text="Only imports that ended like this; one that was cancelled failed.",
            ),
        ),
        help_text="An import (of the model, if one is named) ended; `payload` holds its figures.",
        when="an import ended",
    )
)
