"""Starting runs: one statement per workflow inserts them for any number of changes, ticks or dates.

(workflow, event_key) is unique, so an event that is delivered again starts nothing. The statement itself
judges chains: too deep, a circle back to a workflow that ran on the record before, or too many in an hour are
stored as stopped, with their reason, and never run.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import F

from core.workflows import limits
from core.workflows.alerts import alert
from core.workflows.models import Workflow, WorkflowExecution, WorkflowVersion

Priority = WorkflowExecution.Priority

_FROM_CHANGES = """
WITH started AS (
    SELECT c.id AS change_id, c.object_id, c.depth::smallint AS depth, c.execution_id AS cause_id,
           coalesce((SELECT cause.ancestry || cause.id FROM core_workflowexecution cause
                     WHERE cause.id = c.execution_id), '{}') AS ancestry
    FROM core_change c
    WHERE c.id = ANY(%(changes)s)
), judged AS (
    SELECT s.*, CASE
        WHEN s.depth > %(max_chain)s THEN 'depth'
        WHEN s.ancestry <> '{}' AND EXISTS (
            SELECT 1 FROM core_workflowexecution before
            WHERE before.id = ANY(s.ancestry) AND before.workflow_id = %(workflow)s
              AND before.entity = %(entity)s AND before.object_id = s.object_id
        ) THEN 'cycle'
        WHEN (
            SELECT count(*) FROM core_workflowexecution r
            WHERE r.workflow_id = %(workflow)s AND r.object_id = s.object_id AND r.entity = %(entity)s
              AND r.created_at > now() - interval '1 hour'
        ) + row_number() OVER (PARTITION BY s.object_id ORDER BY s.change_id) > %(per_hour)s THEN 'rate'
        ELSE '' END AS stopped
    FROM started s
)
INSERT INTO core_workflowexecution (workflow_id, version_id, event_key, entity, object_id, change_id,
                                    cause_id, ancestry, depth, priority, status, error_code, finished_at)
SELECT %(workflow)s, %(version)s, 'change:' || j.change_id, %(entity)s, j.object_id, j.change_id, j.cause_id,
       j.ancestry, j.depth, %(priority)s,
       CASE WHEN j.stopped = '' THEN 'queued' ELSE 'stopped_limit' END,
       j.stopped, CASE WHEN j.stopped = '' THEN NULL ELSE now() END
FROM judged j ORDER BY j.change_id
ON CONFLICT (workflow_id, event_key) DO NOTHING
RETURNING id, status
"""


def start_for_changes(version: WorkflowVersion, entity: str, changes: Sequence[int], priority: int) -> int:
    """Insert one run of `version` for each change; returns how many will run."""
    parameters: dict[str, Any] = {
        "changes": list(changes),
        "workflow": version.workflow_id,
        "version": version.pk,
        "entity": entity,
        "priority": priority,
        "max_chain": limits.MAX_CHAIN,
        "per_hour": limits.RUNS_PER_RECORD_AND_HOUR,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FROM_CHANGES, parameters)
        rows = cursor.fetchall()
    stopped = [pk for pk, status in rows if status == WorkflowExecution.Status.STOPPED_LIMIT]
    if stopped:
        explain_stops(version.workflow, stopped)
    return len(rows) - len(stopped)


def explain_stops(workflow: Workflow, ids: Sequence[int]) -> None:
    """Give stopped runs their reason, with the circle of workflows, and alert once."""
    runs = list(WorkflowExecution.objects.filter(pk__in=ids))
    names = _names_of({pk for run in runs for pk in run.ancestry})
    for run in runs:
        way = [names[pk] for pk in run.ancestry if pk in names]
        run.error = limits.REASONS[run.error_code]
        if way:
            run.error += " The chain: " + " → ".join([*way, workflow.name]) + "."
    WorkflowExecution.objects.bulk_update(runs, ["error"], batch_size=500)
    alert(workflow, f"Workflow stopped: {workflow.name}", runs[0].error, run=runs[0])


def _names_of(run_ids: Iterable[int]) -> dict[int, str]:
    rows = WorkflowExecution.objects.filter(pk__in=set(run_ids))
    return dict(rows.values_list("pk", "workflow__name"))


def start(
    workflow: Workflow,
    event_key: str,
    *,
    entity: str = "",
    object_id: int | None = None,
    priority: int = Priority.BY_HAND,
    data: Any = None,
    **fields: Any,
) -> tuple[WorkflowExecution, bool]:
    """A run of the workflow's present version, and whether it is new: an event starts one run only."""
    return WorkflowExecution.objects.get_or_create(
        workflow=workflow,
        event_key=event_key,
        defaults={
            "version": present_version(workflow.pk),
            "entity": entity,
            "object_id": object_id,
            "priority": priority,
            "trigger_data": data or {},
            **fields,
        },
    )


def present_version(workflow_id: int) -> WorkflowVersion:
    """The version that new runs of a workflow get."""
    return WorkflowVersion.objects.get(workflow_id=workflow_id, number=F("workflow__version"))
