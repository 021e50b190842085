"""Actions that steer the run itself: wait, branch, stop."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from dateutil.parser import isoparse
from django.utils.translation import gettext as _

from core.clock import database_now
from core.conditions import parse
from core.entities import Entity
from core.entities.field_types import Date, DateTime, Integer, Text
from core.errors import FieldIssue, InvalidError
from core.workflows.actions.base import Action, Step, StepRefusedError, StepResult, register
from core.workflows.field_types import LONGEST, UNITS, WorkingHoursField
from core.workflows.params import Param, Scope

AMOUNT = Integer(min_value=0, max_value=10**8)


@register
class Wait(Action):
    """Goes on later: after a span, at a moment, at a date of the record; if wanted, in working hours."""

    name = "wait"
    params = (
        *(Param(unit, AMOUNT, help_text=f"That many {unit}.") for unit in UNITS),
        Param("until", DateTime(), help_text="A moment, as ISO 8601."),
        Param(
            "until_field",
            Text(max_length=120),
            template=False,
            help_text="A date of the record.",
            refers_to="date_field",
        ),
        Param(
            "business_hours", WorkingHoursField(), template=False, help_text="Go on only in working hours."
        ),
    )
    help_text = "Wait before the next step."

    def check_more(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        if not any(given.get(p.name) for p in self.params):
            return [FieldIssue(path, "required", _("Say how long: seconds … weeks, until, until_field."))]
        spans = {u: given[u] for u in UNITS if isinstance(given.get(u), int)}
        if timedelta(**spans) > LONGEST:
            return [FieldIssue(path, "max_value", _("At most %(days)s days.") % {"days": LONGEST.days})]
        name, dates = given.get("until_field"), _date_fields(scope.entity)
        if name and name not in dates:
            message = _("Not a date field of the record. Known: %(names)s.") % {
                "names": ", ".join(dates) or "none"
            }
            return [FieldIssue(f"{path}.until_field", "unknown_field", message)]
        return []

    def reads(self, entity: Entity | None, given: Mapping[str, Any]) -> frozenset[str] | None:
        found = super().reads(entity, given)
        return found if found is None else found | {str(given.get("until_field"))}

    def run(self, step: Step) -> StepResult:
        moment = self.moment(step)
        return StepResult({"until": moment.isoformat()}, wait_until=moment)

    def preview(self, step: Step) -> dict[str, Any]:
        return {"until": self.moment(step).isoformat()}

    def moment(self, step: Step) -> datetime:
        """When to go on; a moment that has passed is now."""
        values = self.values(step)
        unknown = [name for name, value in values.items() if value in (None, "") and step.given[name]]
        if unknown:
            raise StepRefusedError(
                _("There is no %(unknown)s to wait for.") % {"unknown": unknown[0]}, code="no_date"
            )
        now = database_now()
        start = values.get("until") or self._field(step, values.get("until_field")) or now
        try:
            found = start + min(timedelta(**{u: values[u] for u in UNITS if values.get(u)}), LONGEST)
        except OverflowError:
            raise StepRefusedError(_("That is beyond the end of the calendar."), code="no_date") from None
        hours = values.get("business_hours")
        return hours.next_open(max(found, now)) if hours else max(found, now)

    def _field(self, step: Step, name: str | None) -> datetime | None:
        if not name:
            return None
        value = step.subject.context["record"].get(name)
        if not value:
            raise StepRefusedError(
                _("The record has no %(name)s to wait for.") % {"name": name}, code="no_date"
            )
        moment = isoparse(value)
        if len(value) > 10:
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return datetime.combine(moment.date(), time(), step.subject.zone)


def _date_fields(entity: Entity | None) -> list[str]:
    stored = [c for c in entity.columns if c.expression is None] if entity else []
    return [c.name for c in stored if isinstance(c.field_type, Date | DateTime)]


@register
class Branch(Action):
    """Takes one of two ways, by conditions on the record and on the change."""

    name = "branch"
    needs_record = True
    # Its actions are checked and numbered where the whole definition is.
    params = (
        Param("conditions", required=True, template=False),
        Param("then", template=False),
        Param("else", template=False),
    )
    help_text = "If the conditions hold go one way, else the other."

    def check_more(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        try:
            parse(scope.entity, given["conditions"], changes=scope.changes, name=f"{path}.conditions")
        except InvalidError as error:
            return error.issues
        return []

    def run(self, step: Step) -> StepResult:
        met = step.subject.meets(step.given["conditions"], changes=step.changes)
        return StepResult({"met": met}, otherwise=not met)

    def preview(self, step: Step) -> dict[str, Any]:
        return {"met": step.subject.meets(step.given["conditions"], changes=step.changes)}


@register
class Stop(Action):
    """Ends the run."""

    name = "stop"
    params = (Param("reason", Text(max_length=300)),)
    help_text = "End the run here."

    def run(self, step: Step) -> StepResult:
        return StepResult({"reason": self.values(step).get("reason", "")}, stop=True)
