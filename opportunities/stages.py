"""The stages of all pipelines, read once per transaction."""

from dataclasses import dataclass, field

from core.changes import current
from opportunities.models import Pipeline, Stage

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
    """Stages by pipeline id and key, in their order."""

    default_id: int | None = None
    stages: dict[int, dict[str, Stage]] = field(default_factory=dict)

    def get(self, pipeline_id: int, key: str) -> Stage | None:
        return self.stages.get(pipeline_id, {}).get(key)

    def first(self, pipeline_id: int) -> str:
        return next(iter(self.stages.get(pipeline_id, {})), "")


def stage_table() -> StageTable:
    """All stages in two queries; kept for the rest of the acting transaction."""
    memo = current().memo
    if "stages" not in memo:
        memo["stages"] = _read()
    return memo["stages"]


def _read() -> StageTable:
    table = StageTable(Pipeline.objects.filter(is_default=True).values_list("pk", flat=True).first())
    for stage in Stage.objects.order_by("pipeline_id", "position", "id"):
        table.stages.setdefault(stage.pipeline_id, {})[stage.key] = stage
    return table


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
