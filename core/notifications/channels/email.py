"""By e-mail: text and HTML, with one-click unsubscribing (RFC 8058)."""

import smtplib
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from core.notifications.channels import Message, PermanentError, TransientError, channels
from core.notifications.wording import body_of, sections_of, title_of
from core.outbound import breaker

SALT = "crm.unsubscribe"
UNSUBSCRIBE = "/api/v1/notifications/unsubscribe/"


def send(message: Message) -> None:
    """Hand one mail to the mail server. Raises PermanentError and TransientError."""
    try:
        if message.mail_server is not None:
            message.mail_server.open()
        composed(message).send()
    except smtplib.SMTPRecipientsRefused as error:
        code, reason = next(iter(error.recipients.values()))
        raise _refusal(code, reason, message.user.email) from error
    except smtplib.SMTPResponseException as error:
        raise _refusal(error.smtp_code, error.smtp_error, "") from error
    except (smtplib.SMTPException, OSError) as error:
        why = f"The mail server could not be reached: {type(error).__name__}."
        raise TransientError(why, unreachable=breaker.mail_server()) from error


def _refusal(code: int, reason: Any, address: str) -> Exception:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    if 500 <= code < 600 and code not in _OURS:
        return PermanentError(f"{code} {text}"[:300], address=address)
    return TransientError(f"{code} {text}"[:300])


# Refusals that concern us (authentication, commands) and may be mended: not the address's fault.
_OURS = {500, 501, 502, 503, 504, 530, 534, 535, 538}


def composed(message: Message) -> EmailMultiAlternatives:
    """The mail as it is sent."""
    row, link = message.notification, unsubscribe_url(message.user.pk, message.notification.type)
    template = "digest" if row.type == "digest" else "message"
    context = {
        "title": title_of(row),
        "body": body_of(row),
        "sections": sections_of(row),
        "user": message.user,
        "url": message.url,
        "unsubscribe_url": link,
        "site": settings.SITE_NAME,
        "base": settings.PUBLIC_URL.rstrip("/"),
    }
    mail = EmailMultiAlternatives(
        subject=" ".join(str(context["title"]).split()),
        body=render_to_string(f"notifications/{template}.txt", context),
        to=[message.user.email],
        headers={
            "Message-ID": f"<{message.key}@{urlsplit(settings.PUBLIC_URL).hostname}>",
            "List-Unsubscribe": f"<{link}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
        connection=message.mail_server,
    )
    mail.attach_alternative(render_to_string(f"notifications/{template}.html", context), "text/html")
    return mail


def unsubscribe_url(user_id: int, kind: str) -> str:
    """The address that ends mails of this kind for this user, without signing in."""
    token = signing.dumps([user_id, kind], salt=SALT)
    return f"{settings.PUBLIC_URL.rstrip('/')}{UNSUBSCRIBE}?token={token}"


def read_token(token: str) -> tuple[int, str] | None:
    """Whose mails of which kind a token ends; None for one that is not ours."""
    try:
        user_id, kind = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return user_id, kind


channels.register("email", send)
