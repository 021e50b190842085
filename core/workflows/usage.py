"""Workflows as users of what their triggers, conditions and actions name, and acting in someone's name."""

from collections.abc import Iterator, Sequence
from typing import Any

from core.access import Permission
from core.entities.usage import UsageSource, UsageTarget, sources
from core.workflows.definition import iter_actions
from core.workflows.models import Workflow


def _entities(workflow: Workflow) -> Iterator[str]:
    """What it is about, and what its actions make."""
    yield workflow.entity
    for action in iter_actions(workflow.actions):
        params: Any = action.get("params") if isinstance(action, dict) else None
        if isinstance(params, dict) and isinstance(params.get("model"), str):
            yield params["model"]


def _pause(ids: Sequence[int], target: UsageTarget) -> None:
    Workflow.objects.filter(pk__in=ids, status=Workflow.Status.ACTIVE).update(status=Workflow.Status.PAUSED)


sources.register(
    "workflow",
    UsageSource(
        name="workflow",
        rows=lambda: Workflow.objects.filter(archived_at=None),
        parts=("trigger_conditions", "actions"),
        principal="run_as",
        action=Permission.AUTOMATE,
        entities=_entities,
        owners=lambda workflow: (workflow.run_as_id, workflow.created_by_id),
        pause=_pause,
    ),
)
