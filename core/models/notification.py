"""What a user is told: one row per recipient and matter, whatever channels it then goes out by."""

from collections.abc import Iterable

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now

from core import jobs
from core.access import OwnPolicy

# Rung after notifications were inserted: what chooses their channels. A sweep comes by as well.
PLAN_JOB = "core.tasks.plan_notifications"
# What counts as waiting in someone's inbox.
UNREAD = models.Q(read_at=None, archived_at=None, in_inbox=True)


class NotificationQuerySet(models.QuerySet):
    def tell(self, rows: Iterable["Notification"]) -> None:
        """Insert those that are not there yet (by their key), and have their channels chosen at once."""
        self.bulk_create(rows, ignore_conflicts=True)
        jobs.enqueue(PLAN_JOB)


class Notification(models.Model):
    """One message in a user's inbox, about a record or about nothing in particular.

    `key` makes a notification unique for its recipient where its maker may run twice ("" where not).
    While one with a `group_key` is unread, others of the same matter add to its `count` in place of standing
    beside it. `planned_at` is when the channels were chosen: until then the row is its own outbox, so whoever
    inserts one has done enough. What is not `in_inbox` goes out by other channels only.
    """

    policy = OwnPolicy("recipient")

    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications")
    type = models.CharField(max_length=40)
    title = models.CharField(max_length=300)
    body = models.TextField(blank=True, default="", db_default="")
    entity = models.CharField(max_length=40, blank=True, default="", db_default="")
    object_id = models.BigIntegerField(null=True, blank=True)
    key = models.CharField(max_length=120, blank=True, default="", db_default="")
    group_key = models.CharField(max_length=120, blank=True, default="", db_default="")
    count = models.PositiveIntegerField(default=1, db_default=1)
    # Plain number, not a foreign key: who did it, as in the change table.
    actor_id = models.BigIntegerField(null=True, blank=True)
    # What the channels may show beside title and body.
    data = models.JSONField(
        blank=True, default=dict, db_default=models.Value({}, models.JSONField()), encoder=DjangoJSONEncoder
    )
    in_inbox = models.BooleanField(default=True, db_default=True)
    planned_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    read_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = models.Manager.from_queryset(NotificationQuerySet)()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["recipient", "-created_at", "-id"], name="notification_inbox"),
            models.Index(
                fields=["recipient", "-created_at", "-id"], name="notification_unread", condition=UNREAD
            ),
            models.Index(fields=["id"], name="notification_unplanned", condition=models.Q(planned_at=None)),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "key"], name="notification_once", condition=~models.Q(key="")
            ),
            models.UniqueConstraint(
                fields=["recipient", "group_key"],
                name="notification_group_once",
                condition=~models.Q(group_key="") & models.Q(read_at=None, archived_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.title
