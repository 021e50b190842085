"""Users, their roles and the tree of teams."""

import zoneinfo
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Self

import pgtrigger
import phonenumbers
from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import Q, Value
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.access import (
    AdminPolicy,
    PeoplePolicy,
    Permission,
    ReadAllPolicy,
    Role,
    VisibleManager,
    VisibleQuerySet,
)
from core.accounts.provisioned import (  # noqa: F401  (they are models of this package)
    ProvisionedGroup,
    ProvisionedMember,
    ProvisionedUser,
)
from core.accounts.team_sql import subtree_ids
from core.entities.usage import PRINCIPAL, UsageTarget
from core.models.capture import captured

# The fields by which conditions, actions and settings name a user.
USER_FIELDS = frozenset(("owner", "assigned_to", "created_by", "user", "user_id", "users", PRINCIPAL))


@cache
def time_zones() -> frozenset[str]:
    """The names of the IANA database: listing them reads hundreds of files, so it is done once."""
    return frozenset(zoneinfo.available_timezones())


def check_time_zone(name: str) -> None:
    """Refuse what is not a zone of the IANA database (`Europe/Berlin`)."""
    if name not in time_zones():
        raise ValidationError(
            _("%(name)s is not an IANA time zone such as Europe/Berlin.") % {"name": repr(name)},
            code="invalid",
        )


def check_language(code: str) -> None:
    """Refuse what the site is not translated into."""
    known = [known for known, _name in settings.LANGUAGES]
    if code not in known:
        raise ValidationError(
            _("%(code)s is not one of the languages: %(known)s.")
            % {"code": repr(code), "known": ", ".join(known)},
            code="invalid",
        )


def check_phone_region(code: str) -> None:
    """Refuse what is no region of the phone numbering plan."""
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValidationError(
            _("%(code)s is not a country code such as DE.") % {"code": repr(code)}, code="invalid"
        )


class Team(models.Model):
    """A team; its manager's reach includes the teams below it."""

    policy = ReadAllPolicy(write=Permission.CONFIGURE)

    name = models.CharField(max_length=120)
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(Lower("name"), name="team_name_unique")]
        triggers = captured("team", untracked=("created_at",))

    def __str__(self) -> str:
        return self.name

    def usage_target(self) -> UsageTarget:
        """How definitions name this team."""
        return UsageTarget(
            format_lazy(gettext_lazy("Team {name}"), name=self),
            frozenset(("team", "team_id")),
            frozenset((str(self.pk),)),
        )

    def clean(self) -> None:
        """A team is not below itself."""
        if self.pk and self.parent_id and self.parent_id in subtree_ids(self.pk):
            raise _refused("parent", _("A team cannot be below itself."), "cycle")


def _refused(field: str, message: str, code: str) -> ValidationError:
    # The error of a field keeps its code only when it is an error itself.
    return ValidationError({field: ValidationError(message, code=code)})


class CrmUserManager(UserManager.from_queryset(VisibleQuerySet)):  # type: ignore[misc]  # made at run time
    """Django's own, with `visible_to`, and signing in by name or e-mail address, whatever its case."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """The user of this name in any case, or else of this e-mail address, found by the indexes that keep
        both unique."""
        lowered = Lower(Value(username))
        found = self.alias(lowered=Lower("username")).filter(lowered=lowered).first()
        if found is None and "@" in (username or ""):
            found = self.alias(lowered=Lower("email")).filter(lowered=lowered).first()
        if found is None:
            raise self.model.DoesNotExist
        return found

    def username_of(self, name: str) -> str:
        """The user name behind an e-mail address; what else was given is taken for a user name."""
        if "@" not in name or "\x00" in name:
            return name
        with suppress(self.model.DoesNotExist):
            return self.get_by_natural_key(name).username
        return name

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **fields: Any
    ) -> "User":
        return super().create_superuser(username, email, password, **{"role": Role.ADMIN} | fields)

    def administrators(self) -> models.QuerySet:
        """The active ones."""
        return self.filter(Q(role=Role.ADMIN) | Q(is_superuser=True), is_active=True)


# What must hold however a password is changed or a user deactivated. The one session that goes on through
# its own user's change of password is named in crm.kept_session (core.accounts.sessions). What they consented
# to for AI clients ends as well, with codes that were not exchanged yet; keys do not end with a password.
# Passkeys go with who is deactivated: none signs in again by one that they may have given away since.
_END_SESSIONS = """
UPDATE core_session SET ended_at = clock_timestamp(),
    ended_because = CASE WHEN NEW.is_active THEN 'password_changed' ELSE 'deactivated' END
WHERE user_id = NEW.id AND ended_at IS NULL
  AND (NOT NEW.is_active OR coalesce(current_setting('crm.kept_session', true), '') NOT IN ('all', id::text));
DELETE FROM core_passkey WHERE user_id = NEW.id AND NOT NEW.is_active;
UPDATE core_agentgrant SET revoked_at = clock_timestamp()
WHERE user_id = NEW.id AND revoked_at IS NULL AND api_key_id IS NULL
  AND (NOT NEW.is_active OR coalesce(current_setting('crm.kept_session', true), '') <> 'all');
UPDATE core_agentcode SET expires_at = clock_timestamp()
WHERE user_id = NEW.id AND grant_id IS NULL
  AND (NOT NEW.is_active OR coalesce(current_setting('crm.kept_session', true), '') <> 'all');
RETURN NULL;
"""
# Two administrators who demote each other at once: one waits here and then sees the other's deed.
_LAST_ADMINISTRATOR_LOCK = 7_305_000_000


class User(AbstractUser):
    """Someone who signs in. `role` says what they may do, `team` how far a manager or viewer sees."""

    policy = PeoplePolicy(write=Permission.CONFIGURE)
    Role: ClassVar = Role
    # Whether anything may be shared with them (core.access.shares); known where a request was signed in.
    may_have_shares = True

    email = models.EmailField(max_length=254, blank=True)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.REP, db_default=Role.REP)
    team = models.ForeignKey(Team, models.SET_NULL, null=True, blank=True, related_name="members")
    time_zone = models.CharField(max_length=64, default="UTC", db_default="UTC", validators=[check_time_zone])
    # What they read the site, errors and mails in; "": what their browser asks for, or LANGUAGE_CODE.
    language = models.CharField(
        max_length=10, blank=True, default="", db_default="", validators=[check_language]
    )
    phone = models.CharField(max_length=20, blank=True, default="", db_default="")
    # Where the phone numbers that they write without a country code are from (ISO 3166-1 alpha-2).
    phone_region = models.CharField(
        max_length=2, blank=True, default="", db_default="", validators=[check_phone_region]
    )

    objects = CrmUserManager()  # type: ignore[misc]

    class Meta(AbstractUser.Meta):
        abstract = False
        ordering = ["username"]
        constraints = [
            models.UniqueConstraint(Lower("username"), name="user_username_unique"),
            models.UniqueConstraint(Lower("email"), name="user_email_unique", condition=~models.Q(email="")),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),
        ]
        triggers = [
            *captured("user", untracked=("password", "last_login", "date_joined")),
            pgtrigger.Trigger(
                name="end_sessions",
                level=pgtrigger.Row,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.password IS DISTINCT FROM NEW.password OR (OLD.is_active AND NOT NEW.is_active)"
                ),
                func=_END_SESSIONS,
            ),
        ]

    def __str__(self) -> str:
        return self.get_full_name()

    def get_full_name(self) -> str:
        """First and last name; the username of whoever gave neither, so that nobody is shown without name."""
        return super().get_full_name() or self.username

    get_full_name.short_description = gettext_lazy("Full name")  # type: ignore[attr-defined]

    def clean(self) -> None:
        """A superuser's role is administrator, and somebody active always has it."""
        super().clean()
        if self.is_superuser and self.role != Role.ADMIN:
            raise _refused("role", _("A superuser is an administrator."), "superuser")
        if self.pk and not (self.is_active and self.role == Role.ADMIN):
            self._leave_an_administrator()

    def _leave_an_administrator(self) -> None:
        present = User.objects.administrators()
        if not present.filter(pk=self.pk).exists():
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LAST_ADMINISTRATOR_LOCK])
        if not present.exclude(pk=self.pk).exists():
            field = "role" if self.is_active else "is_active"
            raise _refused(field, _("This is the last active administrator."), "last_administrator")

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """In the admin site: role administrator has every permission (and needs `is_staff` to sign in)."""
        return (self.is_active and self.role == Role.ADMIN) or super().has_perm(perm, obj)

    def has_module_perms(self, app_label: str) -> bool:
        return (self.is_active and self.role == Role.ADMIN) or super().has_module_perms(app_label)

    def usage_target(self) -> UsageTarget:
        """How definitions name this user."""
        return UsageTarget(
            format_lazy(gettext_lazy("User {name}"), name=self), USER_FIELDS, frozenset((str(self.pk),))
        )

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """Where "today" is for this user; UTC where the name is that of no zone (any more), so that one
        user's settings stop nothing that is done for many."""
        try:
            return zoneinfo.ZoneInfo(self.time_zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            return zoneinfo.ZoneInfo("UTC")

    @property
    def reading_language(self) -> str:
        """What is sent to this user is written in it."""
        known = dict(settings.LANGUAGES)
        return self.language if self.language in known else settings.LANGUAGE_CODE

    def reach_ids(self) -> list[int]:
        """Ids of the users whose records a manager or viewer reaches: themselves, their team, those below.

        Read once per instance, which lives as long as a request.
        """
        if not hasattr(self, "_reach_ids"):
            members = User.objects.filter(team_id__in=subtree_ids(self.team_id)) if self.team_id else []
            self._reach_ids = sorted({self.pk, *(m.pk for m in members)})
        return self._reach_ids


class SessionQuerySet(models.QuerySet):
    def live(self) -> Self:
        """Neither ended nor past their time."""
        return self.filter(ended_at=None, expires_at__gt=Now())

    def end(self, reason: str) -> int:
        """End those that still live; returns how many."""
        return self.live().update(ended_at=Now(), ended_because=reason)


class Session(models.Model):
    """One sign-in: to the API the family of all refresh tokens that followed from it, to the admin site the
    cookie that was given out.

    Only the digest of the newest refresh token's `jti` is kept. Any other token of the family that comes
    back was used before, and ends the session.
    """

    class Ending(models.TextChoices):
        LOGGED_OUT = "logged_out", gettext_lazy("Logged Out")
        ENDED = "ended", gettext_lazy("Ended by its user")
        BY_ADMINISTRATOR = "by_administrator", gettext_lazy("By Administrator")
        PASSWORD_CHANGED = "password_changed", gettext_lazy("Password Changed")
        DEACTIVATED = "deactivated", gettext_lazy("Deactivated")
        REFRESH_REUSED = "refresh_reused", gettext_lazy("Refresh Reused")
        SECOND_FACTOR = "second_factor", gettext_lazy("A second factor was set up or taken away")

    class Kind(models.TextChoices):
        API = "api", gettext_lazy("API")
        ADMIN = "admin", gettext_lazy("Admin site")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="sessions")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.API, db_default=Kind.API)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.CharField(
        max_length=20, choices=Ending.choices, blank=True, default="", db_default=""
    )
    # Of the newest refresh token; a cookie's session has none.
    refresh_digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    # Whether its sign-in proved a second factor, or one was set up in it.
    second_factor = models.BooleanField(default=False, db_default=False)
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


class ExternalIdentity(models.Model):
    """By what an identity provider names a user: its `sub`, which stays when names change."""

    policy = AdminPolicy()

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="external_identities")
    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = VisibleManager()

    class Meta:
        verbose_name_plural = "external identities"
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="external_identity_unique")]
        triggers = captured("external_identity", untracked=("created_at", "last_used_at"))

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"


class PasswordMail(models.Model):
    """A link for setting a password that somebody asked for and that was not sent yet, whether or not anybody
    has the address; or word of a new passkey. It holds no secret: the link is made when it is sent."""

    class Kind(models.TextChoices):
        RESET = "reset", gettext_lazy("Reset")
        INVITATION = "invitation", gettext_lazy("Invitation")
        PASSKEY = "passkey", gettext_lazy("Passkey")

    kind = models.CharField(max_length=10, choices=Kind.choices)
    email = models.CharField(max_length=254)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.SmallIntegerField(default=0, db_default=0)

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="password_mail_due")]

    def __str__(self) -> str:
        return f"{self.kind} asked for {self.created_at:%Y-%m-%d %H:%M}"


class SecondFactor(models.Model):
    """The secret of a user's app for codes, sealed; it counts once it was confirmed by a code."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="second_factor")
    secret = models.TextField()
    # The time step of the last code that was used: none works twice.
    last_step = models.BigIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        triggers = captured("second_factor", untracked=("secret", "last_step", "created_at"))

    def __str__(self) -> str:
        return f"second factor of {self.user_id}"


class RecoveryCode(models.Model):
    """A code for who lost their app, as a digest; it works once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="recovery_code_unique")]

    def __str__(self) -> str:
        return f"recovery code of {self.user_id}"


class Passkey(models.Model):
    """A credential of WebAuthn, by which its user proves who they are: the public key alone is kept here."""

    policy = AdminPolicy()

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="passkeys")
    name = models.CharField(max_length=80)
    # As browsers write them, in base64url; an id has 1,023 bytes at most.
    credential_id = models.CharField(max_length=1400, unique=True, editable=False)
    # AAGUID, id and public key, as the authenticator gave them (attested credential data), in base64url.
    credential = models.TextField(editable=False)
    # What authenticators call the user: it stands for nothing, and is the same on all of a user's passkeys.
    user_handle = models.CharField(max_length=90, editable=False)
    # How often it has signed, where its authenticator counts; a number that was seen before is a copy's.
    sign_count = models.BigIntegerField(default=0, db_default=0, editable=False)
    backed_up = models.BooleanField("synchronised", default=False, db_default=False, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = VisibleManager()

    class Meta:
        ordering = ["id"]
        triggers = captured(
            "passkey",
            untracked=(
                *("credential_id", "credential", "user_handle", "sign_count", "backed_up"),
                *("created_at", "last_used_at"),
            ),
        )

    def __str__(self) -> str:
        return self.name


def _past(moment: datetime | None) -> bool:
    return moment is not None and moment <= timezone.now()
