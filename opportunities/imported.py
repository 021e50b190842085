"""What holds for deals that come from other systems' files."""

import re
from datetime import timedelta

from django.utils import timezone

from core.transfer.headers import headers_of, lookup_word
from opportunities.models import OpportunityStatus
from opportunities.rules import Before, Values
from opportunities.stages import StageTable, stage_table

# HubSpot's exports write `Closed won (Sales pipeline)`.
_WITH_PIPELINE = re.compile(r"(.+?)\s*\(([^()]+)\)\Z")


def in_the_stage_it_names(values: Values, before: Before) -> None:
    """A stage by its name, and by its name with the pipeline's behind it in brackets."""
    text = values.get("stage")
    if not text:
        return
    table, kept = stage_table(), before or {}
    pipeline = values.get("pipeline_id") or kept.get("pipeline_id") or table.default_id
    if pipeline is None or table.get(pipeline, text) is not None:
        return
    found = _WITH_PIPELINE.match(text)
    if found is not None and _stage_named(table, pipeline, text) is None:
        text, label = found[1], found[2].removesuffix(" pipeline")
        named = table.pipelines.get(found[2], table.pipelines.get(label))
        if named is not None and not values.get("pipeline_id"):
            values["pipeline_id"] = pipeline = named
    values["stage"] = _stage_named(table, pipeline, text) or values["stage"]


def _stage_named(table: StageTable, pipeline: int, text: str) -> str | None:
    """The key of the stage that a text names, or that other systems call so."""
    stages = table.stages.get(pipeline, {})
    by_name = {stage.name.casefold(): key for key, stage in stages.items()}
    known = headers_of.get("opportunity")
    key = by_name.get(text) or (lookup_word(known.values.get("stage_named", {}), text) if known else None)
    return key if key in stages else None


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
