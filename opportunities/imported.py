"""What holds for deals that come from other systems' files."""

from datetime import timedelta

from django.utils import timezone

from opportunities.models import OpportunityStatus
from opportunities.rules import Before, Values
from opportunities.stages import stage_table


def in_the_stage_of_its_status(values: Values, before: Before) -> None:
    """Some systems keep apart at which stage a deal stood and how it ended: a won or lost one is in the stage
    of that kind here."""
    status = values.pop("status", None)
    if status not in (OpportunityStatus.WON, OpportunityStatus.LOST):
        return
    table, kept = stage_table(), before or {}
    pipeline = values.get("pipeline_id") or kept.get("pipeline_id") or table.default_id
    stages = table.stages.get(pipeline, {}) if pipeline else {}
    stage = stages.get(values.get("stage") or kept.get("stage", ""))
    if stage is None or stage.outcome != status:
        values["stage"] = next((s.key for s in stages.values() if s.outcome == status), values.get("stage"))


def closed_on_its_close_date(values: Values, before: Before) -> None:
    """Other systems keep one close date: of a closed deal it is the day when it was closed, not today."""
    closed_on = values.get("expected_close_date")
    if closed_on is None or values.get("actual_close_date") is not None:
        return
    table, kept = stage_table(), before or {}
    pipeline = values.get("pipeline_id") or kept.get("pipeline_id") or table.default_id
    stage = table.get(pipeline, values.get("stage") or kept.get("stage", "")) if pipeline else None
    # Tomorrow may be today already where the deal was closed.
    has_come = closed_on <= timezone.now().date() + timedelta(days=1)
    if stage is not None and (stage.is_won or stage.is_lost) and has_come:
        values["actual_close_date"] = closed_on
