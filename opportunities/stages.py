"""Stages: those of all pipelines, read once per transaction, and what those of a new one must be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Extract, Now
from django.utils.text import slugify
from django.utils.translation import gettext as _

from core.changes import current_audit_context
from opportunities.models import CERTAIN, Opportunity, OpportunityStatus, Pipeline, Stage

STAGES_AT_MOST = 50
DEFAULT_STAGES = (
    # key, name, probability, days until rotting
    ("prospecting", "Prospecting", 10, 30),
    ("qualification", "Qualification", 25, 30),
    ("proposal", "Proposal", 50, 21),
    ("negotiation", "Negotiation", 75, 14),
    ("closed_won", "Closed won", 100, None),
    ("closed_lost", "Closed lost", 0, None),
)


@dataclass
class StageTable:
    """Stages by pipeline id and key, in their order; ids of pipelines by their names, case folded."""

    default_id: int | None = None
    stages: dict[int, dict[str, Stage]] = field(default_factory=dict)
    pipelines: dict[str, int] = field(default_factory=dict)

    def get(self, pipeline_id: int, key: str) -> Stage | None:
        return self.stages.get(pipeline_id, {}).get(key)

    def first(self, pipeline_id: int) -> str:
        """The key of the stage in which deals begin: the first open one; "" where there is none."""
        stages = self.stages.get(pipeline_id, {}).values()
        return next((stage.key for stage in stages if stage.outcome == OpportunityStatus.OPEN), "")


def stage_table() -> StageTable:
    """All stages in two queries; kept for the rest of the acting transaction."""
    cache = current_audit_context().cache
    if "stages" not in cache:
        cache["stages"] = _read()
    return cache["stages"]


def _read() -> StageTable:
    table = StageTable()
    for pipeline in Pipeline.objects.order_by("pk"):
        table.pipelines.setdefault(pipeline.name.casefold(), pipeline.pk)
        if pipeline.is_default:
            table.default_id = pipeline.pk
    for stage in Stage.objects.order_by("pipeline_id", "position", "id"):
        table.stages.setdefault(stage.pipeline_id, {})[stage.key] = stage
    return table


def is_rotting() -> Q:
    """The condition of open deals that rest in their stage for longer than it allows."""
    stage = Stage.objects.filter(pipeline=OuterRef("pipeline"), key=OuterRef("stage"))
    deals = Opportunity.objects.open().annotate(
        allowed_days=Subquery(stage.values("rotting_days")[:1]),
        rests_days=Extract(Now() - F("stage_changed_at"), "epoch") / 86_400,
    )
    return Q(pk__in=deals.filter(rests_days__gt=F("allowed_days")).values("pk"))


def default_stages(pipeline: Pipeline) -> list[Stage]:
    """The stages a new pipeline starts with (unsaved)."""
    return [
        Stage(
            pipeline=pipeline,
            key=key,
            name=name,
            position=position,
            probability=probability,
            rotting_days=rotting,
            is_won=key == "closed_won",
            is_lost=key == "closed_lost",
        )
        for position, (key, name, probability, rotting) in enumerate(DEFAULT_STAGES)
    ]


def key_of(name: str, prefix: str = "stage") -> str:
    """The key of a stage with this name: `Legal review` is legal_review; a name without Latin letters gives
    no more than the prefix."""
    key = slugify(name).replace("-", "_").strip("_")
    return (key if key[:1].isalpha() else f"{prefix}_{key}".strip("_"))[:40]


def keyed(stages: Sequence[Stage]) -> list[Stage]:
    """New stages of one pipeline; of those whose names give the same key the later ones are numbered."""
    seen: dict[str, int] = {}
    for stage in stages:
        seen[stage.key] = seen.get(stage.key, 0) + 1
        if seen[stage.key] > 1 and stage.key == key_of(stage.name):
            stage.key = f"{stage.key[:36]}_{seen[stage.key]}"
    return list(stages)


def certain_if_closed(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Input for a stage; a won or lost one without a probability gets the only one that it can have."""
    outcome = "won" if data.get("is_won") is True else "lost" if data.get("is_lost") is True else ""
    return {"probability": CERTAIN[outcome], **data} if outcome else data


def check_stages(stages: Sequence[Stage]) -> str:
    """What is wrong with all stages of a pipeline together; empty where nothing is."""
    if {stage.outcome for stage in stages} != {"open", "won", "lost"}:
        return _("A pipeline needs an open, a won and a lost stage.")
    if len({stage.key for stage in stages}) < len(stages):
        return _("Each key is there once.")
    if min(stages, key=lambda stage: stage.position).outcome != "open":
        return _("Deals begin in the first stage, so it is an open one.")
    return ""
