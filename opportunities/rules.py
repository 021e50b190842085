"""What must hold between the fields of an opportunity, whoever writes it."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from contacts.models import Company, Contact
from core.changes import current_audit_context
from core.entities.entity import NeedsAny
from core.errors import InvalidError
from opportunities.models import ForecastCategory, OpportunityStatus
from opportunities.stages import stage_table

Values = dict[str, Any]
Before = Mapping[str, Any] | None


def in_a_stage(values: Values, before: Before) -> None:
    """Pipeline and stage fit together; both have defaults on creation and stay on a PUT without them."""
    if before is not None and "stage" not in values and "pipeline_id" not in values:
        return
    table = stage_table()
    pipeline = values.get("pipeline_id") or (before and before["pipeline_id"]) or table.default_id
    if pipeline is None:
        raise InvalidError.of("pipeline", _("There is no default pipeline; name one."), "required")
    moved = before is not None and pipeline != before["pipeline_id"]
    kept = before["stage"] if before is not None and not moved else table.first(pipeline)
    values["pipeline_id"], values["stage"] = pipeline, values.get("stage") or kept
    if table.get(pipeline, values["stage"]) is None:
        known = ", ".join(table.stages.get(pipeline, {}))
        raise InvalidError.of(
            "stage", _("Not a stage of this pipeline. Known: %(known)s.") % {"known": known}, "invalid_choice"
        )


def stage_decides(values: Values, before: Before) -> None:
    """Replaces what a writer gives for columns that the database derives from the stage, so that it counts as
    no change. The close date of a closed deal cannot be emptied."""
    where = {**(before or {}), **values}
    stage = stage_table().get(where["pipeline_id"], where["stage"])
    if stage is None:
        return
    closed = stage.outcome != OpportunityStatus.OPEN
    if closed and before is not None and values.get("actual_close_date", "") is None:
        del values["actual_close_date"]
    if "probability" in values and (closed or values["probability"] is None):
        values["probability"] = stage.probability
    if "forecast_category" in values:
        values["forecast_category"] = _category(values["forecast_category"], stage.outcome)


def _category(given: str, outcome: str) -> str:
    if outcome == OpportunityStatus.OPEN:
        return ForecastCategory.PIPELINE if given == ForecastCategory.CLOSED else given
    won = outcome == OpportunityStatus.WON and given != ForecastCategory.OMITTED
    return ForecastCategory.CLOSED if won else ForecastCategory.OMITTED


def lost_with_a_reason(values: Values, before: Before) -> None:
    """A lost deal needs a reason, which cannot be emptied while it is lost."""
    if not {"stage", "lost_reason"} & values.keys():
        return
    kept = before or {"lost_reason": "", "status": ""}
    where = {**(before or {}), **values}
    stage = stage_table().get(where["pipeline_id"], where["stage"])
    if stage is None or not stage.is_lost:
        return
    if kept["status"] == OpportunityStatus.LOST and not kept["lost_reason"]:
        return  # it came without a reason, from another system, and may be edited all the same
    if not values.get("lost_reason", kept["lost_reason"]):
        raise InvalidError.of("lost_reason", _("A lost opportunity needs a reason."), "required")


def company_named(values: Values, before: Before) -> None:
    """A deal linked to a company bears its name where none was given."""
    linked = values.get("company_id")
    if linked and not values.get("company_name") and (before is None or before["company_id"] != linked):
        values["company_name"] = _called(Company, linked)


def named(values: Values, before: Before) -> None:
    """A deal without a name of its own is called by its company or contact; each has a name."""
    if before is not None and "name" not in values:
        return
    kept = before or {}
    if not values.get("name"):
        contact = values.get("contact_id", kept.get("contact_id"))
        company = values.get("company_name", kept.get("company_name"))
        values["name"] = (company or (_called(Contact, contact) if contact else ""))[:200]
    something(values, before)


something = NeedsAny(
    ("name", "company_name"), gettext_lazy("A deal needs a name, or a company or contact to be called by.")
)


def _called(model: type[Model], pk: int) -> str:
    """How a company or contact is called; asked for once where many deals are of the same."""
    cache = current_audit_context().cache
    key = f"{model._meta.model_name} name", pk
    if key not in cache:
        cache[key] = str(model._default_manager.get(pk=pk))
    return cache[key]
