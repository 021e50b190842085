"""What must hold between the fields of an opportunity, whoever writes it."""

from collections.abc import Mapping
from typing import Any

from contacts.models import Company
from core.errors import InvalidError
from opportunities.models import OpportunityStatus
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
        raise InvalidError.of("pipeline", "There is no default pipeline; name one.", "required")
    moved = before is not None and pipeline != before["pipeline_id"]
    kept = before["stage"] if before is not None and not moved else table.first(pipeline)
    values["pipeline_id"], values["stage"] = pipeline, values.get("stage") or kept
    if table.get(pipeline, values["stage"]) is None:
        known = ", ".join(table.stages.get(pipeline, {}))
        raise InvalidError.of("stage", f"Not a stage of this pipeline. Known: {known}.", "invalid_choice")


def lost_with_a_reason(values: Values, before: Before) -> None:
    """Whoever loses a deal says why, and nobody takes the reason away while it is lost."""
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
        raise InvalidError.of("lost_reason", "A lost opportunity needs a reason.", "required")


def company_named(values: Values, before: Before) -> None:
    """A deal linked to a company bears its name where none was given."""
    linked = values.get("company_id")
    if linked and not values.get("company_name") and (before is None or before["company_id"] != linked):
        values["company_name"] = Company.objects.values_list("name", flat=True).get(pk=linked)
