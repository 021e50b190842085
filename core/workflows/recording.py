"""Stores runs and their steps: one statement for all of a transaction, under their fences."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db import connection
from django.utils import timezone

from core.workflows import definition
from core.workflows.actions.base import params_json
from core.workflows.claiming import LEASE_S
from core.workflows.definition import Instruction
from core.workflows.models import WorkflowExecution, WorkflowStep

MAX_OUTPUT = 20_000
Status = WorkflowExecution.Status
StepStatus = WorkflowStep.Status


class LeaseLostError(Exception):
    """Somebody else has the run, or nobody may go on with it: write nothing."""


# A run that is still running has its lease renewed. The fence is what keeps a worker that lost its lease out.
_RECORD = """
WITH step AS (
    INSERT INTO core_workflowstep (execution_id, position, path, type, status, attempts, input, output,
                                   error_code, error, started_at, finished_at, next_at)
    SELECT * FROM jsonb_to_recordset(%(steps)s) AS s (
        execution_id bigint, position smallint, path text, type text, status text, attempts smallint,
        input jsonb, output jsonb, error_code text, error text, started_at timestamptz,
        finished_at timestamptz, next_at timestamptz)
    ON CONFLICT (execution_id, position) DO UPDATE
    SET status = excluded.status, attempts = excluded.attempts, input = excluded.input,
        output = excluded.output, error = excluded.error, error_code = excluded.error_code,
        finished_at = excluded.finished_at, next_at = excluded.next_at
)
UPDATE core_workflowexecution e
SET cursor = r.cursor, steps_done = r.steps_done, attempt = r.attempt, lost_leases = r.lost_leases,
    status = r.status, in_line = r.in_line, error_code = r.error_code, error = r.error,
    due_at = CASE WHEN r.status = 'running' THEN clock_timestamp() + make_interval(secs => %(lease)s)
             ELSE r.due_at END,
    finished_at = CASE WHEN r.ended THEN clock_timestamp() END
FROM jsonb_to_recordset(%(runs)s) AS r (
    id bigint, fence integer, cursor smallint, steps_done smallint, attempt smallint, lost_leases smallint,
    status text, in_line boolean, error_code text, error text, due_at timestamptz, ended boolean)
WHERE e.id = r.id AND e.fence = r.fence AND e.status = 'running'
"""
_STATE = (
    "cursor",
    "steps_done",
    "attempt",
    "lost_leases",
    "status",
    "in_line",
    "error_code",
    "error",
    "due_at",
)
_ENDED = (Status.COMPLETED, Status.FAILED, Status.DEAD, Status.STOPPED_LIMIT)


def record(runs: Sequence[WorkflowExecution], steps: Sequence[dict[str, Any]]) -> None:
    """Store the runs as they are in memory, with the steps they took. Raises LeaseLostError if any of them is
    no longer this worker's."""
    states = [
        {"id": run.pk, "fence": run.fence, "ended": run.status in _ENDED}
        | {name: getattr(run, name) for name in _STATE}
        for run in runs
    ]
    given: dict[str, Any] = {"steps": _json(steps), "runs": _json(states), "lease": LEASE_S}
    with connection.cursor() as database:
        database.execute(_RECORD, given)
        if database.rowcount != len(runs):
            raise LeaseLostError


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def end_waits(runs: Sequence[WorkflowExecution]) -> None:
    """The waits that led here are over."""
    waited = [run.pk for run in runs if not run.in_line]
    if waited:
        waits = WorkflowStep.objects.filter(execution_id__in=waited, status=StepStatus.WAITING)
        waits.update(status=StepStatus.COMPLETED, finished_at=timezone.now())


def step_row(
    run: WorkflowExecution, instruction: Instruction, status: str, started: datetime, **more: Any
) -> dict[str, Any]:
    """The row of one step; `more` are its attempts, its output, errors and times."""
    return {
        "execution_id": run.pk,
        "position": instruction.position,
        "path": instruction.path,
        "type": instruction.action.name,
        "status": status,
        "input": shown_input(instruction),
        "output": {},
        "error_code": "",
        "error": "",
        "started_at": started,
        **more,
    }


def shown_input(instruction: Instruction) -> Any:
    """The parameters of a step as its history shows them: as written, without secrets and branches."""
    given = {name: value for name, value in instruction.given.items() if name not in definition.ARMS}
    return instruction.action.shown(params_json(given))


def bounded(output: dict[str, Any]) -> Any:
    """A step's output as its history stores it: JSON of bounded length."""
    made = params_json(output)
    return made if len(orjson.dumps(made)) <= MAX_OUTPUT else {"truncated": True}
