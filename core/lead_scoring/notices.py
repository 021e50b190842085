"""Notifications of administrators about lead scoring."""

from core.access import Role
from core.accounts.models import User
from core.notifications.models import Notification


def send(kind: str, key: str, title: str, body: str) -> None:
    """One notification for each administrator; of several with the same `key` only the first is sent."""
    administrators = User.objects.filter(role=Role.ADMIN, is_active=True)
    Notification.objects.notify(
        Notification(recipient=user, type=kind, title=title, body=body, key=f"{kind}:{key}"[:120])
        for user in administrators
    )
