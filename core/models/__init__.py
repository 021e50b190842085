"""Every table of core. One module per concept; entity apps bring their own."""

from core.models.activity import Activity, Comment, Mention
from core.models.change import Change, FailedFeed, Outbox
from core.models.custom_field import CustomField
from core.models.delivery import (
    DeadAddress,
    Delivery,
    NotificationPreference,
    PushKey,
    PushSubscription,
)
from core.models.follow import Follow
from core.models.idempotency import IdempotencyKey
from core.models.notification import Notification
from core.models.people import Team, User
from core.models.record import Record
from core.models.saved_view import SavedView
from core.models.session import ApiKey, Session
from core.models.transfer import ExportJob, ImportIssue, ImportJob, SavedMapping

__all__ = [
    "Activity",
    "ApiKey",
    "Change",
    "Comment",
    "CustomField",
    "DeadAddress",
    "Delivery",
    "ExportJob",
    "FailedFeed",
    "Follow",
    "IdempotencyKey",
    "ImportIssue",
    "ImportJob",
    "Mention",
    "Notification",
    "NotificationPreference",
    "Outbox",
    "PushKey",
    "PushSubscription",
    "Record",
    "SavedMapping",
    "SavedView",
    "Session",
    "Team",
    "User",
]
