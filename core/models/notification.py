"""What a user is told: one row per recipient and matter, whatever channels it then goes out by."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class Notification(models.Model):
    """One message in a user's inbox, about a record or about nothing in particular.

    `key` makes a notification unique for its recipient where its maker may run twice ("" where not).
    """

    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications")
    type = models.CharField(max_length=40)
    title = models.CharField(max_length=300)
    body = models.TextField(blank=True, default="", db_default="")
    entity = models.CharField(max_length=40, blank=True, default="", db_default="")
    object_id = models.BigIntegerField(null=True, blank=True)
    key = models.CharField(max_length=120, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    read_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["recipient", "-id"], name="notification_inbox")]
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "key"], name="notification_once", condition=~models.Q(key="")
            ),
        ]

    def __str__(self) -> str:
        return self.title
