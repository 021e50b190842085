"""Celery tasks of lead scoring."""

from celery import shared_task

from core.lead_scoring import drift_check, jobs, model_lifecycle
from core.lead_scoring.engine import current
from core.lead_scoring.models import ScoringJob
from core.lead_scoring.scoring_target import scoring_targets


@shared_task(name="core.tasks.score_lead")
def score_lead(lead_id: int) -> int | None:
    """Score one lead and store it; its score, or None when it is not there."""
    return jobs.score_ids([lead_id]).get(lead_id)


@shared_task(name="core.tasks.bulk_score_leads")
def bulk_score_leads(lead_ids: list[int] | None = None) -> int:
    """Score these leads, or begin jobs that score all leads and deals; how many were scored at once."""
    if lead_ids is None:
        for target in scoring_targets:
            if current(target).scores:
                jobs.start(ScoringJob.Kind.BULK, entity=target.entity)
        return 0
    parts = range(0, len(lead_ids), jobs.SLICE)
    return sum(len(jobs.score_ids(lead_ids[start : start + jobs.SLICE])) for start in parts)


@shared_task(name="core.tasks.retrain_lead_scoring_model", soft_time_limit=270, time_limit=290)
def retrain_lead_scoring_model() -> str:
    """Train a challenger and let the gate decide; how the retraining ended."""
    job = jobs.start(ScoringJob.Kind.RETRAIN)
    return jobs.run_job(str(job.task_id))


@shared_task(name="core.tasks.run_scoring_job", soft_time_limit=270, time_limit=290)
def run_scoring_job(task_id: str) -> str:
    """One turn of a scoring job; its status afterwards."""
    return jobs.run_job(task_id)


@shared_task(name="core.tasks.score_pending_leads")
def score_pending_leads() -> int:
    """Score the leads that changed in something their score depends on."""
    return jobs.score_pending()


@shared_task(name="core.tasks.sweep_scoring")
def sweep_scoring() -> int:
    """Enqueue scoring jobs and waiting leads again whose messages were lost."""
    return jobs.sweep()


@shared_task(name="core.tasks.watch_lead_scoring")
def watch_lead_scoring() -> list[str]:
    """Look for drift of the live model and notify administrators; retrain when enough outcomes arrived."""
    found: list[str] = []
    for target in scoring_targets:
        if model_lifecycle.is_due(target):
            jobs.start(ScoringJob.Kind.RETRAIN, entity=target.entity)
        found += drift_check.watch(target)
    return found
