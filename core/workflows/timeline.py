"""Mail on a record's timeline."""

from typing import Any

from django.db.models import QuerySet

from core.changes.timeline import Source, Subject, register
from core.models import EmailMessage


def _mails(subject: Subject) -> QuerySet:
    """Who sees the record sees what was sent about it."""
    return EmailMessage.objects.filter(entity=subject.entity.name, object_id=subject.pk)


def _shown(row: EmailMessage, subject: Subject) -> dict[str, Any]:
    data = {
        "to": row.to,
        "cc": row.cc,
        "status": row.status,
        "sent_at": row.sent_at,
        "body": row.text or row.html,
    }
    return {"type": "email", "title": row.subject, "data": data}


register(Source("email", _mails, _shown, at="created_at", actor="sender_id"))
