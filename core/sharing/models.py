"""What is shared with whom."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy

from core.access import Permission, Policy, VisibleQuerySet, role_allows
from core.conditions.models import SavedView
from core.models.capture import captured_part
from core.models.record import record_models


class SharePolicy(Policy):
    """Seen, changed and taken back by whoever may share what is shared."""

    def rows(self, user: Any, action: str) -> Q:
        found = Q(pk__in=[])
        for name, model in (record_models() | {SavedView.entity_name: SavedView}).items():
            rows = model.objects.visible_to(user, Permission.SHARE).filter(pk=OuterRef("object_id"))
            found |= Q(entity=name) & Q(Exists(rows.order_by()))
        return found

    def scope(self, user: Any, action: str = Permission.VIEW) -> Q:
        # Whose role changes no records shares views of their own.
        return self.rows(user, action) if self.allows(user, action) else Q(pk__in=[])

    def allows(self, user: Any, action: str) -> bool:
        return role_allows(user, Permission.VIEW)


class ShareQuerySet(VisibleQuerySet):
    def of(self, entity: str, pk: int) -> "ShareQuerySet":
        """Those of one thing that have not expired, the first one first."""
        return self.live().filter(entity=entity, object_id=pk).order_by("id")

    def live(self) -> "ShareQuerySet":
        """Those that have not expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))

    def expired(self, ago: timedelta = timedelta(0)) -> "ShareQuerySet":
        """Those that expired so long ago, or longer."""
        return self.filter(expires_at__lte=Now() - ago)


class Share(models.Model):
    """A record, or a saved view, that a user or the members of a team and of those below it may see, or also
    change, until it expires."""

    policy = SharePolicy()

    class Access(models.TextChoices):
        READ = "read", gettext_lazy("Read")
        WRITE = "write", gettext_lazy("Write")

    entity = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    team = models.ForeignKey(
        "core.Team", models.CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    access = models.CharField(
        max_length=5, choices=Access.choices, default=Access.READ, db_default=Access.READ
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    objects = models.Manager.from_queryset(ShareQuerySet)()

    class Meta:
        ordering = ["-id"]
        indexes = [
            # What is shared with somebody is read by these alone, at each of their statements.
            models.Index(
                fields=["user", "entity"],
                name="share_of_user",
                include=["object_id", "access", "expires_at"],
                condition=Q(user__isnull=False),
            ),
            models.Index(
                fields=["team", "entity"],
                name="share_of_team",
                include=["object_id", "access", "expires_at"],
                condition=Q(team__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["entity", "object_id", "user"], name="share_with_user_once"),
            models.UniqueConstraint(fields=["entity", "object_id", "team"], name="share_with_team_once"),
            models.CheckConstraint(
                condition=Q(user__isnull=True, team__isnull=False) | Q(user__isnull=False, team__isnull=True),
                name="share_with_user_or_team",
            ),
            models.CheckConstraint(condition=Q(access__in=("read", "write")), name="share_access_known"),
        ]
        triggers = captured_part(
            "share", "object_id", model="core.Share", shows=("shares",), untracked=("created_at",)
        )

    def __str__(self) -> str:
        return f"{self.entity} {self.object_id} shared with {self.user or self.team} ({self.access})"
