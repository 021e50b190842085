"""Celery tasks of outgoing mail."""

from celery import shared_task

from core import jobs
from core.jobs import Turn
from core.mail import sending as mailing

# How long a worker claims deliveries, so that a slow mail server does not keep it past its time limit.
SEND_S = 40.0


@shared_task(name="core.tasks.send_mail")
def send_mail() -> int:
    """Send the mail that waits."""
    turn = Turn(SEND_S)
    sent = mailing.send_due(SEND_S, jobs.shutting_down)
    turn.go_on("core.tasks.send_mail")
    return sent
