"""What leads add to automation: their own triggers and actions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from core.entities import Entity
from core.entities.field_types import Boolean, Choice, Integer, Text
from core.errors import FieldIssue, InvalidError
from core.webhooks import events
from core.workflows.actions import RecordAction, Step, StepResult, register
from core.workflows.params import Param, Scope
from core.workflows.triggers import ChangeTrigger
from core.workflows.triggers import register as register_trigger
from lead_management.operations import (
    CONVERSION_WRITES,
    MADE,
    ConversionOptions,
    check_custom_fields,
    convert,
    missing_for_conversion,
)

DEFAULT_THRESHOLD = 80


def _converted(entity: Entity, settings: Mapping[str, Any]) -> Q:
    """The moment of conversion was set."""
    return Q(changes__has_key="converted_at", changes__converted_at__0=None)


def _crossed(entity: Entity, settings: Mapping[str, Any]) -> Q:
    """The score went over the threshold (or, downwards, under it)."""
    threshold = int(settings.get("threshold") or DEFAULT_THRESHOLD)
    if settings.get("direction") == "down":
        return Q(changes__lead_score__0__gte=threshold, changes__lead_score__1__lt=threshold)
    return Q(changes__lead_score__0__lt=threshold, changes__lead_score__1__gte=threshold)


register_trigger(
    ChangeTrigger(
        "lead_converted",
        entities=("lead",),
        narrow=_converted,
        help_text="A lead became a contact.",
        when="a lead became a contact",
    )
)
register_trigger(
    ChangeTrigger(
        "score_crossed",
        entities=("lead",),
        settings=(
            Param("threshold", Integer(min_value=1, max_value=100), template=False),
            Param("direction", Choice(choices=("up", "down")), template=False),
        ),
        narrow=_crossed,
        help_text=f"The score crossed a threshold ({DEFAULT_THRESHOLD}).",
        when="the score crossed a threshold",
    )
)

events.register("lead.converted", {"field": "status", "op": "changed_to", "value": "converted"})


@register
class ConvertLead(RecordAction):
    """Converts the lead into a contact, its company and, if wanted, an opportunity."""

    name = "convert_lead"
    entities = ("lead",)
    params = (
        Param("create_opportunity", Boolean(), help_text="True by default."),
        Param("opportunity_name", Text(max_length=200)),
        Param(
            "custom_fields",
            help_text="Custom field → value, of what is made; values are templates.",
            refers_to="texts_by_name",
        ),
    )
    help_text = "Convert the lead."

    def writes(self, entity: Entity | None, given: Mapping[str, Any]) -> tuple[str, ...]:
        return CONVERSION_WRITES

    def creates(self, given: Mapping[str, Any]) -> tuple[Entity, ...]:
        return MADE

    def check_more(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        custom_fields = given.get("custom_fields") or {}
        try:
            check_custom_fields(custom_fields)
        except InvalidError as error:
            return [replace(issue, field=f"{path}.{issue.field}") for issue in error.issues]
        wanted = given.get("create_opportunity", True) not in (False, "false")
        missing = missing_for_conversion(scope.entity, custom_fields, create_opportunity=wanted)
        message = _("Every new record needs it, and leads do not bring it along.")
        return [FieldIssue(f"{path}.{name}", "required", message) for name in missing]

    def run(self, step: Step) -> StepResult:
        values = self.values(step)
        options = ConversionOptions(
            create_opportunity=values.get("create_opportunity", True),
            opportunity_name=values.get("opportunity_name", ""),
            custom_fields=values.get("custom_fields", {}),
        )
        return StepResult(convert(step.subject.entity, step.record, step.user, options))
