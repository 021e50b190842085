"""Celery tasks of outgoing webhooks."""

from celery import shared_task

from core import jobs
from core.jobs import Turn
from core.webhooks import sending as delivering

# How long a worker claims deliveries, so that a slow mail server does not keep it past its time limit.
SEND_S = 40.0


@shared_task(name="core.tasks.deliver_webhooks")
def deliver_webhooks() -> int:
    """Send the webhook deliveries that are due."""
    turn = Turn(SEND_S)
    made = delivering.deliver_due(SEND_S, jobs.shutting_down)
    turn.go_on("core.tasks.deliver_webhooks")
    return made
