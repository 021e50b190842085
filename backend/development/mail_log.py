"""Mail on a development machine: a line in the terminal for each, and nothing is sent.

Django's console backend prints whole MIME messages, HTML included. Celery's worker redirects what is printed
into its log, where each would be one line of some thousand characters.
"""

import logging
from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

log = logging.getLogger(__name__)
TEXT_LENGTH = 200


class EmailBackend(BaseEmailBackend):
    """EMAIL_BACKEND of `make run`."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Log recipients, subject and the beginning of the text; returns how many messages."""
        for message in email_messages:
            text = " ".join(str(message.body).split())
            shown = text if len(text) <= TEXT_LENGTH else f"{text[: TEXT_LENGTH - 1]}…"
            log.info("Mail to %s: %s | %s", ", ".join(message.recipients()), message.subject, shown)
        return len(email_messages)
