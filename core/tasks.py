"""Celery tasks of core: each looks in PostgreSQL for what is due, so each may run twice or not at all."""

from typing import Any

from celery import current_task, shared_task
from django.db import OperationalError

from core import jobs
from core.changes.dispatch import dispatch
from core.lead_scoring import drifting, work
from core.models import ScoringJob, Workflow, idempotency
from core.notifications import digest, inbox, moments, planning, sending
from core.sign_in import sessions
from core.transfer import export_jobs
from core.transfer import working as importing
from core.webhooks import sending as delivering
from core.workflows import automation, engine, mailing, retention


@shared_task(name="core.tasks.dispatch_changes")
def dispatch_changes() -> int:
    """Feed waiting changes to the consumers, and take up the first of the runs they start: they have been
    rung for as well, but somebody waits. Rung after every commit and swept by beat."""
    fed = dispatch()
    if fed:
        engine.run_due(seconds=0)
    return fed


@shared_task(name="core.tasks.forget_idempotency_keys")
def forget_idempotency_keys() -> int:
    """Delete the kept answers that are past their time."""
    return idempotency.forget_old()


@shared_task(name="core.tasks.forget_sessions")
def forget_sessions() -> int:
    """Delete the sessions that ran out long ago."""
    return sessions.forget_old()


@shared_task(name="core.tasks.plan_notifications")
def plan_notifications() -> int:
    """Choose the channels of new notifications."""
    return planning.plan()


# How long a worker takes up deliveries, so that a slow mail server does not keep it past its time limit.
SEND_S = 40.0


@shared_task(name="core.tasks.send_notifications")
def send_notifications() -> int:
    """Send the deliveries that are due, for a while; the rest is for the next ring."""
    return sending.send_due(SEND_S, jobs.is_stopping)


@shared_task(name="core.tasks.sweep_notifications")
def sweep_notifications() -> None:
    """Whatever a lost doorbell left: reminders that are due, notifications without channels, deliveries."""
    moments.tell_due("reminder")
    planning.plan()
    sending.send_due(SEND_S, jobs.is_stopping)


@shared_task(name="core.tasks.run_workflows")
def run_workflows() -> int:
    """Work off due runs; rung when some were started and swept by beat."""
    return engine.run_due(stopped=jobs.is_stopping)


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
    """What no doorbell announced: dates and schedules, runs that are due, changes left over. Mail and calls
    are rung for: each is a task of its own, with a time limit of its own."""
    jobs.enqueue("core.tasks.send_mail")
    jobs.enqueue("core.tasks.deliver_webhooks")
    return automation.work_turn(jobs.is_stopping)


@shared_task(name="core.tasks.check_overdue")
def check_overdue() -> int:
    """Tell of what became overdue; each once, however often this runs."""
    return moments.tell_due("overdue")


@shared_task(name="core.tasks.forget_notifications")
def forget_notifications() -> int:
    """Delete notifications that are past their time."""
    return inbox.forget_old()


@shared_task(name="core.tasks.send_digests")
def send_digests() -> int:
    """Make the digests of those zones where it is eight by now."""
    return digest.send_digests()


# Hours, not the minutes of other tasks. The message is gone once it is taken: what restarts a job whose
# worker died is the sweep, which sees that nobody holds its lock.
LONG = {"acks_late": False, "time_limit": 6 * 3600, "soft_time_limit": 6 * 3600 - 60}


@shared_task(name="core.tasks.run_import", **LONG)
def run_import(job_id: int) -> str:
    """Run an import or the undoing of one."""
    try:
        return importing.work_off(job_id)
    except OperationalError:
        raise  # the database went away: the job stays open and the sweep rings again
    except Exception as error:  # noqa: BLE001  (the worker's outermost edge, which records it)
        importing.fail(job_id, error)
        return "failed"


@shared_task(name="core.tasks.run_export", **LONG)
def run_export(job_id: int) -> str:
    """Write an export's file."""
    try:
        return export_jobs.work_off(job_id)
    except OperationalError:
        raise
    except Exception as error:  # noqa: BLE001  (the worker's outermost edge, which records it)
        export_jobs.fail(job_id, error)
        return "failed"


@shared_task(name="core.tasks.sweep_transfers")
def sweep_transfers() -> int:
    """Ring again for imports and exports that nobody works on; delete exports that expired."""
    return importing.sweep() + export_jobs.sweep()


@shared_task(name="core.tasks.send_mail")
def send_mail() -> int:
    """Send the mail that waits."""
    return mailing.send_due(SEND_S, jobs.is_stopping)


@shared_task(name="core.tasks.deliver_webhooks")
def deliver_webhooks() -> int:
    """Send the webhook deliveries that are due."""
    return delivering.deliver_due(SEND_S, jobs.is_stopping)


@shared_task(name="core.tasks.prune_automation")
def prune_automation() -> int:
    """Delete the history that is past its time."""
    return retention.prune()


@shared_task(name="core.tasks.score_lead")
def score_lead(lead_id: int) -> int:
    """Score one lead and store it; 0 when it is not there."""
    return work.score_ids([lead_id])


@shared_task(name="core.tasks.bulk_score_leads")
def bulk_score_leads(lead_ids: list[int] | None = None) -> int:
    """Score these leads, or begin a job that scores all of them; how many were scored at once."""
    if lead_ids is None:
        work.start(ScoringJob.Kind.BULK)
        return 0
    parts = range(0, len(lead_ids), work.SLICE)
    return sum(work.score_ids(lead_ids[start : start + work.SLICE]) for start in parts)


@shared_task(name="core.tasks.retrain_lead_scoring_model", soft_time_limit=270, time_limit=290)
def retrain_lead_scoring_model() -> str:
    """Train a challenger and let the gate decide; how the retraining ended."""
    job = work.start(ScoringJob.Kind.RETRAIN)
    return work.run_job(str(job.task_id))


@shared_task(name="core.tasks.run_scoring_job", soft_time_limit=270, time_limit=290)
def run_scoring_job(task_id: str) -> str:
    """One turn of a scoring job; its status afterwards."""
    return work.run_job(task_id)


@shared_task(name="core.tasks.score_pending_leads")
def score_pending_leads() -> int:
    """Score the leads that changed in something their score depends on."""
    return work.score_pending()


@shared_task(name="core.tasks.sweep_scoring")
def sweep_scoring() -> int:
    """Ring again for scoring jobs and leads whose doorbell was lost."""
    return work.sweep()


@shared_task(name="core.tasks.watch_lead_scoring")
def watch_lead_scoring() -> list[str]:
    """Look for drift of the model in force and tell administrators."""
    return drifting.watch()


@shared_task(name="core.tasks.forget_import_rows")
def forget_import_rows() -> int:
    """Delete the faulty rows of imports that are past undoing."""
    return importing.forget_old()
