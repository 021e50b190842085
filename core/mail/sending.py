"""Sending the mail that waits: rows with a lease, over whatever EMAIL_BACKEND Django is given."""

import smtplib
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.html import strip_tags

from core.mail.models import EmailMessage
from core.retry import DELIVERY

Status = EmailMessage.Status
LEASE_S = 120
BATCH = 20
# A server that lets every attempt time out must not outlast the lease.
HOLD_S = 60.0

_CLAIM = """
WITH due AS (
    SELECT id FROM core_emailmessage WHERE status = 'queued' AND due_at <= clock_timestamp()
    ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE core_emailmessage m
SET due_at = clock_timestamp() + make_interval(secs => %s), fence = fence + 1, attempts = attempts + 1
FROM due WHERE m.id = due.id RETURNING m.id
"""


@dataclass(frozen=True)
class Failure:
    """Why a mail was not taken; what is permanent is not tried again."""

    message: str
    permanent: bool = False


def send_due(seconds: float | None = None, stopped: Callable[[], bool] = lambda: False) -> int:
    """Send what is due; after `seconds`, or when `stopped`, nothing more is taken up. Returns how many mails
    were.

    No transaction is open while the mail server is spoken to. A crash between its answer and the record of it
    sends the mail again, under the same Message-ID.
    """
    until = time.monotonic() + (seconds if seconds is not None else float("inf"))
    total = 0
    while not stopped() and time.monotonic() < until and (claimed := _claim()):
        _send_all(claimed, stopped)
        total += len(claimed)
    return total


def _send_all(claimed: list[EmailMessage], stopped: Callable[[], bool]) -> None:
    """Over one connection; what would not be sent within the lease, or before the stop, is given back."""
    server, until = get_connection(), time.monotonic() + HOLD_S
    try:
        for number, message in enumerate(claimed):
            if stopped() or time.monotonic() > until:
                _give_back(claimed[number:])
                break
            _record(message, _send(server, message))
    finally:
        _close(server)


def _give_back(messages: list[EmailMessage]) -> None:
    """Another may take these up at once; they were not tried."""
    for message in messages:
        untouched = EmailMessage.objects.filter(pk=message.pk, fence=message.fence)
        untouched.update(due_at=timezone.now(), attempts=F("attempts") - 1)


def _claim() -> list[EmailMessage]:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [BATCH, LEASE_S])
        ids = [row[0] for row in cursor.fetchall()]
    return list(EmailMessage.objects.filter(pk__in=ids).order_by("id"))


def _close(server: BaseEmailBackend) -> None:
    try:
        server.close()
    except (smtplib.SMTPException, OSError):
        return  # the server was gone already


def message_id(message: EmailMessage) -> str:
    """The same at every attempt, so that a receiver can tell a repetition."""
    host = urlsplit(settings.PUBLIC_URL).hostname or "crm.localhost"
    return f"<{message.key}@{host}>"


def composed(message: EmailMessage, server: BaseEmailBackend | None = None) -> EmailMultiAlternatives:
    """The mail as Django sends it; text alone, HTML with its text, or both."""
    mail = EmailMultiAlternatives(
        message.subject,
        message.text or _as_text(message.html),
        message.from_email or settings.DEFAULT_FROM_EMAIL,
        message.to,
        cc=message.cc,
        bcc=message.bcc,
        reply_to=[message.reply_to] if parseaddr(message.reply_to)[1] else None,
        headers={"Message-ID": message_id(message), "Auto-Submitted": "auto-generated"},
        connection=server,
    )
    if message.html:
        mail.attach_alternative(message.html, "text/html")
    return mail


def _as_text(html: str) -> str:
    return strip_tags(html).strip()


def _send(server: BaseEmailBackend, message: EmailMessage) -> Failure | None:
    """None when the server took it."""
    try:
        server.open()
        composed(message, server).send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        return Failure("No recipient was accepted.", permanent=all(500 <= code < 600 for code in codes))
    except smtplib.SMTPResponseException as error:
        return Failure(f"The mail server answered {error.smtp_code}.", permanent=500 <= error.smtp_code < 600)
    except (smtplib.SMTPException, OSError):
        _close(server)
        return Failure("The mail server could not be reached.")
    except ValueError:
        return Failure("The mail could not be composed.", permanent=True)
    return None


def _record(message: EmailMessage, failure: Failure | None) -> None:
    """What became of it, unless somebody else has taken it over since."""
    with transaction.atomic():
        row = EmailMessage.objects.select_for_update().filter(pk=message.pk, fence=message.fence).first()
        if row is None or row.status != Status.QUEUED:
            return
        if failure is None:
            row.status, row.sent_at, row.error = Status.SENT, timezone.now(), ""
        else:
            delay = None if failure.permanent else DELIVERY.delay(row.attempts)
            row.error = failure.message
            row.status = Status.QUEUED if delay else Status.FAILED
            row.due_at = timezone.now() + delay if delay else row.due_at
        row.save(update_fields=["status", "sent_at", "error", "due_at"])
