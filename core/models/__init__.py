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
from core.models.execution import WorkflowExecution, WorkflowStep
from core.models.follow import Follow
from core.models.idempotency import IdempotencyKey
from core.models.mail import EmailMessage, EmailTemplate
from core.models.notification import Notification
from core.models.people import Team, User
from core.models.record import Record
from core.models.saved_view import SavedView
from core.models.scoring import LeadScore, ScoringJob, ScoringModel, ScoringPending, ScoringRules
from core.models.session import ApiKey, Session
from core.models.transfer import ExportJob, ImportIssue, ImportJob, SavedMapping
from core.models.webhook import WebhookAttempt, WebhookDelivery, WebhookSubscription
from core.models.workflow import Rotation, Workflow, WorkflowVersion

__all__ = [
    "Activity",
    "ApiKey",
    "Change",
    "Comment",
    "CustomField",
    "DeadAddress",
    "Delivery",
    "EmailMessage",
    "EmailTemplate",
    "ExportJob",
    "FailedFeed",
    "Follow",
    "IdempotencyKey",
    "ImportIssue",
    "ImportJob",
    "LeadScore",
    "Mention",
    "Notification",
    "NotificationPreference",
    "Outbox",
    "PushKey",
    "PushSubscription",
    "Record",
    "Rotation",
    "SavedMapping",
    "SavedView",
    "ScoringJob",
    "ScoringModel",
    "ScoringPending",
    "ScoringRules",
    "Session",
    "Team",
    "User",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookSubscription",
    "Workflow",
    "WorkflowExecution",
    "WorkflowStep",
    "WorkflowVersion",
]
