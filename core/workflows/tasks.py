"""Celery tasks of automation.

Each looks in PostgreSQL for what is due, so each may run twice or not at all.
"""

from typing import Any

from celery import current_task, shared_task

from core import jobs
from core.changes.dispatch import dispatch
from core.jobs import Turn
from core.workflows import engine, work_turn
from core.workflows.models import Workflow

# Short: behind it come the runs that were started.
DISPATCH_S = 20.0


@shared_task(name="core.tasks.dispatch_changes")
def dispatch_changes() -> int:
    """Feed waiting changes to the consumers, and take up the first of the runs they start: they have been
    enqueued as well, but somebody waits. Enqueued on every commit and called by beat."""
    turn = Turn(DISPATCH_S)
    fed = dispatch(turn=turn)
    if fed:
        engine.run_due(seconds=0)
    turn.go_on("core.tasks.dispatch_changes")
    return fed


@shared_task(name="core.tasks.run_workflows")
def run_workflows() -> int:
    """Run what is due; enqueued when runs were started, and called by beat."""
    return engine.run_due(stopped=jobs.shutting_down)


@shared_task(name="core.tasks.execute_workflow")
def execute_workflow(workflow_id: int, trigger_data: dict[str, Any] | None = None) -> int:
    """Start one run of a workflow by hand and work it off; returns the execution's id.

    A message that is delivered twice starts one run: its id is the run's key.
    """
    workflow = Workflow.objects.get(pk=workflow_id)
    message = getattr(current_task.request, "id", None) if current_task else None
    run = engine.queue_workflow(workflow, trigger_data, key=f"task:{message}" if message else "")
    engine.run_now(run)
    return run.pk


@shared_task(name="core.tasks.sweep_automation")
def sweep_automation() -> int:
    """What no message announced: dates and schedules, runs that are due, changes left over. Mail and calls
    are tasks of their own, with a queue and a time limit of their own."""
    jobs.enqueue("core.tasks.send_mail")
    jobs.enqueue("core.tasks.deliver_webhooks")
    return work_turn.work_turn(jobs.shutting_down)
