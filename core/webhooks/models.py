"""Webhook subscriptions, and every delivery with its attempts."""

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy

from core.access import AutomationPolicy, VisibleManager
from core.models.capture import captured


class WebhookSubscription(models.Model):
    """A receiver of events about the records that its owner sees. Secrets are sealed."""

    policy = AutomationPolicy("owner")

    class Payload(models.TextChoices):
        THIN = "thin", gettext_lazy("Thin")
        FULL = "full", gettext_lazy("Full")

    name = models.CharField(max_length=200)
    url = models.CharField(max_length=2000)
    events = ArrayField(models.CharField(max_length=100))
    conditions = models.JSONField(default=dict, blank=True)
    payload = models.CharField(max_length=4, choices=Payload.choices, default=Payload.THIN)
    is_enabled = models.BooleanField(default=True, db_default=True)
    disabled_reason = models.CharField(max_length=300, blank=True, default="", db_default="")
    secret = models.TextField(editable=False)
    old_secret = models.TextField(blank=True, default="", db_default="", editable=False)
    old_secret_until = models.DateTimeField(null=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", editable=False
    )
    # Since when nothing has been delivered; null after a success.
    failing_since = models.DateTimeField(null=True, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["name", "id"]
        triggers = captured(
            "webhook",
            untracked=("secret", "old_secret", "failing_since", "last_success_at", "updated_at"),
        )

    def __str__(self) -> str:
        return self.name

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Its own row is locked before its deliveries, as by whoever records what became of one of them."""
        with transaction.atomic():
            type(self).objects.select_for_update().filter(pk=self.pk).first()
            return super().delete(*args, **kwargs)


class WebhookDelivery(models.Model):
    """One message to one receiver: an event for a subscription, or a workflow's `webhook` action.

    `key` is its webhook-id, the same at every attempt. `lane` is what shares a receiver: at most two of a
    lane are on their way at once. `body` is fixed at the first attempt.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", gettext_lazy("Queued")
        SENDING = "sending", gettext_lazy("Sending")
        DELIVERED = "delivered", gettext_lazy("Delivered")
        FAILED = "failed", gettext_lazy("Failed")
        CANCELLED = "cancelled", gettext_lazy("Cancelled")

    policy = AutomationPolicy("subscription__owner")

    key = models.CharField(max_length=120, unique=True)
    subscription = models.ForeignKey(
        WebhookSubscription, models.CASCADE, null=True, related_name="deliveries", db_index=False
    )
    event = models.CharField(max_length=100)
    lane = models.CharField(max_length=300)
    url = models.CharField(max_length=2000, default="", db_default="")
    method = models.CharField(max_length=7, default="POST", db_default="POST")
    headers = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    secret = models.TextField(default="", db_default="")
    body = models.TextField(null=True)  # noqa: DJ001 (null: not made yet, "": empty)
    entity = models.CharField(max_length=40, default="", db_default="")
    object_id = models.BigIntegerField(null=True)
    change_id = models.BigIntegerField(null=True)
    execution_id = models.BigIntegerField(null=True)
    status = models.CharField(
        max_length=10, choices=Status.choices, default=Status.QUEUED, db_default="queued"
    )
    # When it may be claimed; while it is being sent, the end of the lease.
    due_at = models.DateTimeField(db_default=Now())
    fence = models.IntegerField(default=0, db_default=0)
    attempts = models.SmallIntegerField(default=0, db_default=0)
    response_status = models.SmallIntegerField(null=True)
    error = models.CharField(max_length=300, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(
                fields=["due_at", "id"],
                name="hook_delivery_due",
                condition=models.Q(status__in=("queued", "sending")),
            ),
            models.Index(
                fields=["lane", "due_at", "id"],
                name="hook_delivery_line",
                condition=models.Q(status__in=("queued", "sending")),
            ),
            models.Index(
                fields=["lane"], name="hook_delivery_on_its_way", condition=models.Q(status="sending")
            ),
            models.Index(fields=["subscription", "-id"], name="hook_delivery_of_subscr"),
            models.Index(fields=["created_at"], name="hook_delivery_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.lane}"


class WebhookAttempt(models.Model):
    """What was tried and what came back, shortened and without secrets."""

    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="log", db_index=False)
    number = models.SmallIntegerField()
    at = models.DateTimeField(db_default=Now())
    duration_ms = models.IntegerField(null=True)
    request_headers = models.JSONField(default=dict)
    response_status = models.SmallIntegerField(null=True)
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(default="", db_default="")
    error = models.CharField(max_length=300, default="", db_default="")
    next_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["delivery", "number"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="attempt_once_per_number"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of delivery {self.delivery_id}"
