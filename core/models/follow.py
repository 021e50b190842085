"""Who wants to hear of a record."""

from django.conf import settings
from django.db import models


class Follow(models.Model):
    """A user follows a record, by hand or because they own it, are assigned or wrote on it."""

    class Reason(models.TextChoices):
        MANUAL = "manual"
        OWNER = "owner"
        ASSIGNEE = "assignee"
        COMMENTER = "commenter"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    entity = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    reason = models.CharField(max_length=10, choices=Reason.choices, default=Reason.MANUAL)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entity", "object_id", "user"], name="follow_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} follows {self.entity} {self.object_id}"
