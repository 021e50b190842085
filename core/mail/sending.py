"""Sends due mail: rows with a lease, over whatever EMAIL_BACKEND Django is given."""

import smtplib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.utils import timezone
from django.utils.html import strip_tags

from core.clock import database_now
from core.mail import opt_out
from core.mail.claiming import claim, release
from core.mail.models import EmailMessage
from core.outbound import breaker
from core.retry import DELIVERY

Status = EmailMessage.Status
# A server that lets every attempt time out must not outlast the lease.
HOLD_S = 60.0

People = Mapping[str, tuple[str, int]]


@dataclass(frozen=True)
class Failure:
    """Why a mail was not accepted; a permanent failure is not retried. `unreachable` is the server's failure
    and not the mail's."""

    message: str
    permanent: bool = False
    unreachable: bool = False


class Copy(EmailMultiAlternatives):
    """A mail as some of its receivers get it: its headers name all of them, its envelope these alone."""

    envelope: tuple[str, ...] = ()

    def recipients(self) -> list[str]:
        return list(self.envelope)


def send_due(seconds: float | None = None, stopped: Callable[[], bool] = lambda: False) -> int:
    """Send what is due; after `seconds`, or when `stopped`, no further batch is claimed. Returns how many
    mails were claimed.

    No transaction is open during the connection to the mail server. A crash between its answer and the record
    of it sends the mail again, under the same Message-ID. While the server's circuit breaker is open nothing
    is claimed.
    """
    until = time.monotonic() + (seconds if seconds is not None else float("inf"))
    total = 0
    while not stopped() and time.monotonic() < until and (claimed := claim()):
        _send_all(claimed, stopped)
        total += len(claimed)
    return total


def _send_all(claimed: list[EmailMessage], stopped: Callable[[], bool]) -> None:
    """Over one connection; what would not be sent within the lease, or before the stop, or to a server that
    cannot be reached, is released."""
    server, until = get_connection(), time.monotonic() + HOLD_S
    asked = [m for m in claimed if not m.transactional]
    addresses = {address for message in asked for address in _receivers(message)}
    refused, people, reached = opt_out.opted_out(addresses), opt_out.records_of(addresses), False
    try:
        for number, message in enumerate(claimed):
            if stopped() or time.monotonic() > until:
                release(claimed[number:])
                break
            failure = _send_one(server, message, refused, people)
            if failure and failure.unreachable:
                breaker.failed(breaker.mail_server())
                release(claimed[number + 1 :])
                break
            if message.done and not reached:
                breaker.succeeded(breaker.mail_server())
                reached = True
    finally:
        _close(server)


def _receivers(message: EmailMessage) -> list[str]:
    return [*message.to, *message.cc, *message.bcc]


def _send_one(
    server: BaseEmailBackend, message: EmailMessage, refused: Collection[str], people: People
) -> Failure | None:
    """Send one mail to whom it may still go, and record what became of it."""
    gone = () if message.transactional else refused
    if not opt_out.without(message.to, gone):
        _record(message, None, Status.CANCELLED, opt_out.REASON)
        return None
    failure = _send(server, message, opt_out.without(_receivers(message), gone), people)
    _record(message, failure)
    return failure


def _close(server: BaseEmailBackend) -> None:
    try:
        server.close()
    except (smtplib.SMTPException, OSError):
        return  # the server was gone already


def message_id(message: EmailMessage) -> str:
    """The same at every attempt, so that a receiver can recognise a repetition."""
    host = urlsplit(settings.PUBLIC_URL).hostname or "crm.localhost"
    return f"<{message.key}@{host}>"


def copies(
    message: EmailMessage, receivers: list[str], people: People
) -> Iterator[tuple[tuple[str, ...], str]]:
    """(envelope, address to unsubscribe at): each person on record gets a copy of their own with their own
    link, everybody else shares one without. Copies that were accepted before are left out."""
    waiting = [address for address in receivers if address not in message.done]
    own = [] if message.transactional else [a for a in waiting if a.lower() in people]
    others = tuple(address for address in waiting if address not in own)
    if others:
        yield others, ""
    for address in own:
        yield (address,), opt_out.unsubscribe_url(*people[address.lower()])


def composed(
    message: EmailMessage, envelope: tuple[str, ...], link: str = "", server: BaseEmailBackend | None = None
) -> Copy:
    """The mail as Django sends it; text alone, HTML with its text, or both."""
    headers = {"Message-ID": message_id(message), "Auto-Submitted": "auto-generated"}
    mail = Copy(
        message.subject,
        message.text or _as_text(message.html),
        message.from_email or settings.DEFAULT_FROM_EMAIL,
        message.to,
        cc=message.cc,
        bcc=message.bcc,
        reply_to=[message.reply_to] if parseaddr(message.reply_to)[1] else None,
        headers=headers | (opt_out.headers(link) if link else {}),
        connection=server,
    )
    mail.envelope = envelope
    if message.html:
        mail.attach_alternative(message.html, "text/html")
    return mail


def _as_text(html: str) -> str:
    return strip_tags(html).strip()


def _send(
    server: BaseEmailBackend, message: EmailMessage, receivers: list[str], people: People
) -> Failure | None:
    """None when the server took every copy. `message.done` grows with each that it took."""
    refused: Failure | None = None
    for envelope, link in copies(message, receivers, people):
        failure = _send_copy(server, message, envelope, link)
        if failure is None:
            message.done = [*message.done, *envelope]
        elif failure.unreachable:
            return failure
        else:
            # A refusal that passes with time decides over one that is for good: there is a next attempt.
            refused = failure if refused is None or refused.permanent else refused
    return refused


def _send_copy(
    server: BaseEmailBackend, message: EmailMessage, envelope: tuple[str, ...], link: str
) -> Failure | None:
    try:
        server.open()
        composed(message, envelope, link, server).send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        return Failure("No recipient was accepted.", permanent=all(500 <= code < 600 for code in codes))
    except smtplib.SMTPResponseException as error:
        return Failure(f"The mail server answered {error.smtp_code}.", permanent=500 <= error.smtp_code < 600)
    except (smtplib.SMTPException, OSError):
        _close(server)
        return Failure("The mail server could not be reached.", unreachable=True)
    except ValueError:
        return Failure("The mail could not be composed.", permanent=True)
    return None


def _record(
    message: EmailMessage, failure: Failure | None, status: str = Status.SENT, error: str = ""
) -> None:
    """Store the result, unless another worker has claimed the mail since."""
    with transaction.atomic():
        row = EmailMessage.objects.select_for_update().filter(pk=message.pk, fence=message.fence).first()
        if row is None or row.status != Status.QUEUED:
            return
        row.done = message.done
        if failure is None:
            row.status, row.error = status, error
            row.sent_at = timezone.now() if status == Status.SENT else None
        else:
            delay = None if failure.permanent else DELIVERY.delay(row.attempts)
            row.error = failure.message
            row.status = Status.QUEUED if delay else Status.FAILED
            row.due_at = database_now() + delay if delay else row.due_at
        row.save(update_fields=["status", "sent_at", "error", "due_at", "done"])
