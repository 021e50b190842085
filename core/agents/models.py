"""Which AI clients act for whom, in which sessions they did what, and what is left of their hour."""

from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy

from core.access import OwnPolicy, Role, VisibleManager, role_of, scopes
from core.access.policies import EVERYTHING
from core.accounts.models import ApiKey
from core.conf import conf
from core.models.capture import captured

# By this scope a key lets an AI client write; `write` alone does not.
WRITING_SCOPE = f"agents:{scopes.WRITE}"


def default_reads() -> int:
    return conf.AGENT_READS_PER_HOUR


def default_writes() -> int:
    return conf.AGENT_WRITES_PER_HOUR


class OwnOrAdministeredPolicy(OwnPolicy):
    """One's own, and everyone's for administrators."""

    def rows(self, user: Any, action: str) -> Q:
        return EVERYTHING if role_of(user) == Role.ADMIN else super().rows(user, action)


class AgentClient(models.Model):
    """A program that registered itself (RFC 7591). It has no secret: what proves it is PKCE."""

    client_id = models.UUIDField(unique=True, default=uuid4, editable=False)
    name = models.CharField(max_length=120)
    redirect_uris = ArrayField(models.CharField(max_length=500))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class AgentGrant(models.Model):
    """What a user lets an AI client do in their name: by a key of theirs, or by consent (OAuth)."""

    policy = OwnOrAdministeredPolicy()

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="agent_grants")
    name = models.CharField(max_length=120)
    # None of a key's, and once the client is forgotten.
    client = models.ForeignKey(AgentClient, models.SET_NULL, null=True, blank=True, related_name="grants")
    api_key = models.OneToOneField(ApiKey, models.CASCADE, null=True, blank=True, related_name="agent_grant")
    # Of a grant by consent; a key has its own.
    scopes = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    reads_per_hour = models.PositiveIntegerField("rows read per hour", default=default_reads)
    writes_per_hour = models.PositiveIntegerField("rows written per hour", default=default_writes)
    dry_run = models.BooleanField(
        default=False, db_default=False, help_text="Show what would be written, and write nothing."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["user", "-id"], name="agent_grant_of_user")]
        triggers = captured("agent_grant", untracked=("created_at", "last_used_at"))

    def __str__(self) -> str:
        return f"{self.name} for {self.user}"

    @property
    def is_live(self) -> bool:
        """Neither revoked nor past its time, and its user is active."""
        past = self.expires_at is not None and self.expires_at <= timezone.now()
        return self.revoked_at is None and not past and self.user.is_active

    @property
    def held_scopes(self) -> list[str]:
        """The scopes that its calls have: those consented to, or those of its key, which are for reading
        alone where the key does not say that AI clients may write."""
        if self.api_key is None:
            return self.scopes
        held = self.api_key.scopes
        return held if WRITING_SCOPE in held else sorted({reading(scope) for scope in held})

    @property
    def may_write(self) -> bool:
        return any(scope.endswith(scopes.WRITE) for scope in self.held_scopes)


def reading(scope: str) -> str:
    """The scope, for reading alone."""
    return scope.removesuffix(scopes.WRITE) + scopes.READ if scope.endswith(scopes.WRITE) else scope


class AgentUsage(models.Model):
    """How many rows a grant has read and written within the present hour."""

    grant = models.OneToOneField(AgentGrant, models.CASCADE, primary_key=True, related_name="usage")
    hour = models.DateTimeField()
    rows_read = models.PositiveIntegerField(default=0)
    rows_written = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"usage of {self.grant_id}"


class AgentSession(models.Model):
    """One run of work of an AI client: what it changed can be taken back as one."""

    policy = OwnOrAdministeredPolicy("grant__user")

    grant = models.ForeignKey(AgentGrant, models.CASCADE, related_name="sessions")
    # What the client names it by in `Mcp-Session-Id`.
    token = models.UUIDField(unique=True, default=uuid4, editable=False)
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    calls = models.PositiveIntegerField(default=0, db_default=0)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # What undoing removed, restored and kept (core.agents.undoing).
    undone = models.JSONField(default=dict, blank=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["grant", "-last_used_at"], name="agent_session_of_grant")]

    def __str__(self) -> str:
        return f"{self.grant}, {self.started_at:%Y-%m-%d %H:%M}"


class AgentCode(models.Model):
    """An authorization code: what a user consented to, until the client has fetched its tokens. It works
    once; kept as a digest, for as long as somebody might try it again."""

    digest = models.CharField(max_length=64, unique=True)
    client = models.ForeignKey(AgentClient, models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    redirect_uri = models.CharField(max_length=500)
    code_challenge = models.CharField(max_length=128)
    resource = models.CharField(max_length=500)
    # What the grant will be.
    terms = models.JSONField()
    expires_at = models.DateTimeField(db_index=True)
    grant = models.ForeignKey(AgentGrant, models.CASCADE, null=True, related_name="+")

    def __str__(self) -> str:
        return f"code of {self.client_id} for {self.user_id}"


class AgentToken(models.Model):
    """An access or a refresh token of a grant, as a digest. A refresh token works once: one that comes back
    revokes the grant."""

    class Kind(models.TextChoices):
        ACCESS = "access", gettext_lazy("Access")
        REFRESH = "refresh", gettext_lazy("Refresh")

    grant = models.ForeignKey(AgentGrant, models.CASCADE, related_name="tokens")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    digest = models.CharField(max_length=64, unique=True)
    resource = models.CharField(max_length=500)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.kind} token of {self.grant_id}"
