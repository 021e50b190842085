"""Claims due mail by one statement, and releases it again."""

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from core.mail.models import EmailMessage
from core.outbound import breaker

LEASE_S = 120
BATCH = 20
_CLAIM = """
WITH due AS (
    SELECT id FROM core_emailmessage WHERE status = 'queued' AND due_at <= clock_timestamp()
    ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE core_emailmessage m
SET due_at = clock_timestamp() + make_interval(secs => %s), fence = fence + 1, attempts = attempts + 1
FROM due WHERE m.id = due.id RETURNING m.id
"""


def claim() -> list[EmailMessage]:
    """Lease a batch of due mails; none while the mail server's circuit breaker is open."""
    if breaker.is_open(breaker.mail_server()):
        return []
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [BATCH, LEASE_S])
        ids = [row[0] for row in cursor.fetchall()]
    return list(EmailMessage.objects.filter(pk__in=ids).order_by("id"))


def release(messages: list[EmailMessage]) -> None:
    """Let another worker claim these at once; they were not attempted."""
    for message in messages:
        untouched = EmailMessage.objects.filter(pk=message.pk, fence=message.fence)
        untouched.update(due_at=Now(), attempts=F("attempts") - 1)
