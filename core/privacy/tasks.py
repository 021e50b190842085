"""Celery tasks of privacy requests."""

from celery import shared_task

from core import retention
from core.jobs import Turn
from core.privacy import jobs, lifecycle
from core.privacy.models import PrivacyRequest


@shared_task(name="core.tasks.run_privacy_request")
def run_privacy_request(request_id: int) -> str:
    """Export or erase a person, as far as one turn goes."""
    turn = Turn()
    try:
        status = jobs.run(request_id, turn)
    except Exception as error:  # noqa: BLE001  (the worker's outermost edge, which records it)
        lifecycle.fail_step(request_id, error)
        return "failed"
    if status == PrivacyRequest.Status.RUNNING:
        lifecycle.enqueue(request_id)
    return status


@shared_task(name="core.tasks.sweep_privacy_requests")
def sweep_privacy_requests() -> int:
    """Enqueue open requests again; forget whom those that ended were about."""
    return lifecycle.sweep()


@shared_task(name="core.tasks.prune")
def prune() -> int:
    """Delete what is past its time, of every table that says so."""
    turn = Turn()
    deleted = retention.prune(turn)
    turn.go_on("core.tasks.prune")
    return deleted
