"""Notifications: one row per recipient and subject, whatever channels it goes out by."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core import jobs
from core.access import OwnPolicy, VisibleManager

# The Celery task that chooses the channels of new notifications; a periodic sweep runs it as well.
PLAN_JOB = "core.tasks.plan_notifications"
# What counts as waiting in someone's inbox.
UNREAD = models.Q(read_at=None, archived_at=None, is_in_inbox=True)


# So many unread notifications of one group are separate rows; further ones are counted in one row.
ALONE = 3
_ADD_TO_GROUP = """
INSERT INTO core_notification AS n (recipient_id, type, title, entity, group_key)
VALUES (%(recipient)s, %(type)s, %(first)s, %(entity)s, %(group)s)
ON CONFLICT (recipient_id, group_key) WHERE group_key <> '' AND read_at IS NULL AND archived_at IS NULL
DO UPDATE SET count = n.count + 1, created_at = now(), channels_planned_at = NULL,
    title = (n.count + 1) || %(summary)s
"""


class NotificationQuerySet(models.QuerySet["Notification"]):
    def notify(self, rows: Iterable[Any]) -> None:
        """Insert those that are not there yet (by their key), and have their channels chosen at once."""
        self.bulk_create(list(rows), ignore_conflicts=True)
        jobs.enqueue(PLAN_JOB)

    def notify_grouped(self, rows: Iterable["Notification"], group: str, summary: str) -> None:
        """As `notify`, for what may come many times: ALONE unread ones of a `group` stay separate, further
        ones are counted in one row, "{n} " and the `summary`."""
        given = list(rows)
        waiting = self._unread_of(group, [row.recipient_id for row in given])
        alone = [row for row in given if waiting.get(row.recipient_id, 0) < ALONE]
        for row in alone:
            row.group_key = f"{group}:{row.key}"[:120]
        self.notify(alone)
        for row in given:
            if row not in alone:
                self._add_to_group(row, group, summary)

    def _unread_of(self, group: str, recipients: Iterable[int]) -> dict[int, int]:
        rows = self.filter(UNREAD, recipient_id__in=recipients, group_key__startswith=f"{group}:")
        return dict(rows.order_by().values_list("recipient_id").annotate(models.Count("pk")))

    def _add_to_group(self, row: "Notification", group: str, summary: str) -> None:
        """Count one more in the group's row, which names no record and repeats no text: its recipient may not
        see all of the records."""
        given: dict[str, Any] = {
            "recipient": row.recipient_id,
            "type": row.type,
            "first": f"1 {summary}"[:300],
            "entity": row.entity,
            "group": group,
            "summary": f" {summary}"[:280],
        }
        with connection.cursor() as cursor:
            cursor.execute(_ADD_TO_GROUP, given)


class Notification(models.Model):
    """One message in a user's inbox, about a record or about nothing in particular.

    `key` makes a notification unique for its recipient where its maker may run twice ("" where not).
    While one with a `group_key` is unread, others of its group are added to its `count`.
    `channels_planned_at` is when its channels were chosen; while it is null, the planning task finds the row.
    What is not `is_in_inbox` goes out by other channels only.
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
    is_in_inbox = models.BooleanField(default=True, db_default=True)
    channels_planned_at = models.DateTimeField(null=True, blank=True, editable=False)
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
            models.Index(
                fields=["id"], name="notification_unplanned", condition=models.Q(channels_planned_at=None)
            ),
            models.Index(
                fields=["entity", "object_id"],
                name="notification_of_record",
                condition=models.Q(object_id__isnull=False),
            ),
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


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _days() -> ArrayField:
    return ArrayField(
        models.CharField(max_length=3, choices=[(d, d) for d in DAYS]), default=list, blank=True
    )


class NotificationPreference(models.Model):
    """What a user wants otherwise than the defaults of their role and of the types.

    `channels` switches whole channels, `matrix` single types of them: {type: {channel: bool}}. A digest that
    is null follows the role. The quiet hours begin on each of `quiet_days` at `quiet_from` in the user's own
    zone and end at `quiet_until`, the next day where that is earlier; `silent_days` are quiet all day.
    """

    policy = OwnPolicy("user")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="notification_preference"
    )
    channels = models.JSONField(default=dict, blank=True)
    matrix = models.JSONField(default=dict, blank=True)
    daily_digest = models.BooleanField(null=True, blank=True)
    weekly_digest = models.BooleanField(null=True, blank=True)
    # Local dates of the last digests: none is sent twice.
    daily_on = models.DateField(null=True, blank=True, editable=False)
    weekly_on = models.DateField(null=True, blank=True, editable=False)
    quiet = models.BooleanField(default=False)
    quiet_from = models.TimeField(default="22:00")
    quiet_until = models.TimeField(default="07:00")
    quiet_days = _days()
    silent_days = _days()
    urgent_passes = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = VisibleManager()

    def __str__(self) -> str:
        return f"preferences of user {self.user_id}"

    def clean(self) -> None:
        if self.quiet and self.quiet_days and self.quiet_from == self.quiet_until:
            raise ValidationError({"quiet_until": _("The hours end when they begin.")}, code="invalid")


class Delivery(models.Model):
    """One notification by one channel: at most one row of it, which is there before anything is sent.

    `due_at` is when it may be taken up; while it is being sent, the end of the lease. `fence` counts the
    leases: whoever finds another number there has lost it. `done` are the devices that have it already.
    """

    class Channel(models.TextChoices):
        EMAIL = "email", gettext_lazy("Email")
        PUSH = "push", gettext_lazy("Push")
        SMS = "sms", gettext_lazy("Sms")

    class Status(models.TextChoices):
        QUEUED = "queued", gettext_lazy("Queued")
        SENT = "sent", gettext_lazy("Sent")
        FAILED = "failed", gettext_lazy("Failed")
        SKIPPED = "skipped", gettext_lazy("Skipped")

    notification = models.ForeignKey(Notification, models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=5, choices=Channel.choices)
    status = models.CharField(
        max_length=7, choices=Status.choices, default=Status.QUEUED, db_default=Status.QUEUED
    )
    due_at = models.DateTimeField(db_default=Now())
    fence = models.IntegerField(default=0, db_default=0)
    attempts = models.SmallIntegerField(default=0, db_default=0)
    done = ArrayField(models.BigIntegerField(), default=list, blank=True)
    error = models.CharField(max_length=300, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["due_at", "id"], name="delivery_due", condition=models.Q(status="queued")),
            models.Index(fields=["created_at"], name="delivery_age"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["notification", "channel"], name="delivery_once"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} of notification {self.notification_id}"


class PushSubscription(models.Model):
    """A browser that takes web push (RFC 8030) for a user."""

    policy = OwnPolicy("user")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="push_subscriptions")
    endpoint = models.CharField(max_length=1_000, unique=True)
    p256dh = models.CharField(max_length=120)
    auth = models.CharField(max_length=40)
    user_agent = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.user_agent or f"device {self.pk}"


class SuppressedAddress(models.Model):
    """An e-mail address or phone number that was refused for good: nothing more goes there until someone
    takes it off this list."""

    channel = models.CharField(max_length=5, choices=Delivery.Channel.choices)
    address = models.CharField(max_length=320)
    reason = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "suppressed addresses"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["channel", "address"], name="dead_address_once"),
        ]

    def __str__(self) -> str:
        return self.address


class PushKey(models.Model):
    """The installation's VAPID key (RFC 8292), made at its first use; the private one is sealed."""

    private = models.TextField()
    public = models.CharField(max_length=120)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="push_key_single"),
        ]

    def __str__(self) -> str:
        return self.public
