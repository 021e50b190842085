"""Ways of being signed in: sessions, one per sign-in, and API keys. Neither table holds a usable secret."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from core.models.capture import captured


class SessionQuerySet(models.QuerySet):
    def live(self) -> Self:
        """Neither ended nor past their time."""
        return self.filter(ended_at=None, expires_at__gt=Now())

    def end(self, reason: str) -> int:
        """End those that still live; returns how many."""
        return self.live().update(ended_at=Now(), ended_because=reason)


class Session(models.Model):
    """One sign-in: the family of all refresh tokens that followed from it.

    Only the digest of the newest refresh token's `jti` is kept. Any other token of the family that comes
    back was used before, and ends the session.
    """

    class Ending(models.TextChoices):
        LOGGED_OUT = "logged_out"
        ENDED = "ended", "Ended by its user"
        BY_ADMINISTRATOR = "by_administrator"
        PASSWORD_CHANGED = "password_changed"  # noqa: S105
        DEACTIVATED = "deactivated"
        REFRESH_REUSED = "refresh_reused"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="sessions")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.CharField(
        max_length=20, choices=Ending.choices, blank=True, default="", db_default=""
    )
    refresh_digest = models.CharField(max_length=64)
    generation = models.IntegerField(default=1, db_default=1)
    ip = models.GenericIPAddressField("IP address", null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True, default="", db_default="")

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering = ["-last_used_at", "-id"]
        indexes = [
            models.Index(fields=["user", "-last_used_at"], name="session_of_user"),
            models.Index(fields=["expires_at"], name="session_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} since {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_live(self) -> bool:
        """Neither ended nor past its time, and its user is active."""
        return self.ended_at is None and self.expires_at > timezone.now() and self.user.is_active


class ApiKey(models.Model):
    """A key that acts as its user within its scopes. The key itself is shown once, at its creation."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=60))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        ordering = ["-id"]
        triggers = captured("api_key", untracked=("digest", "last_used_at", "created_at"))

    def __str__(self) -> str:
        return f"{self.name} (crm_{self.prefix}_…)"

    @property
    def is_live(self) -> bool:
        """Neither revoked nor past its time, and its user is active."""
        return self.revoked_at is None and not _past(self.expires_at) and self.user.is_active


def _past(moment: datetime | None) -> bool:
    return moment is not None and moment <= timezone.now()
