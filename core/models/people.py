"""Users, their roles and the tree of teams."""

import zoneinfo
from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models.functions import Lower

from core.access import Action, ReadAllPolicy, Role, VisibleManager, VisibleQuerySet
from core.models.capture import captured


def check_time_zone(name: str) -> None:
    """Refuse what is not a zone of the IANA database (`Europe/Berlin`)."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"{name!r} is not an IANA time zone such as Europe/Berlin.", code="invalid")


class Team(models.Model):
    """A team; its manager's reach includes the teams below it."""

    policy = ReadAllPolicy(write=Action.CONFIGURE)

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

    def clean(self) -> None:
        """A team is not below itself."""
        if self.pk and self.parent_id and self.parent_id in subtree_ids(self.pk):
            raise ValidationError({"parent": "A team cannot be below itself."}, code="cycle")


def subtree_ids(team_id: int) -> list[int]:
    """The team and all teams below it, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE below AS (SELECT id FROM core_team WHERE id = %s"
            " UNION SELECT t.id FROM core_team t JOIN below ON t.parent_id = below.id) SELECT id FROM below",
            [team_id],
        )
        return [row[0] for row in cursor.fetchall()]


class CrmUserManager(UserManager.from_queryset(VisibleQuerySet)):
    """Django's own, with `visible_to`, and signing in whatever the case of the name."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(username__iexact=username)


class User(AbstractUser):
    """Someone who signs in. `role` says what they may do, `team` how far a manager or viewer sees."""

    policy = ReadAllPolicy(write=Action.CONFIGURE)
    Role: ClassVar = Role

    email = models.EmailField(max_length=254, blank=True)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.REP, db_default=Role.REP)
    team = models.ForeignKey(Team, models.SET_NULL, null=True, blank=True, related_name="members")
    time_zone = models.CharField(max_length=64, default="UTC", db_default="UTC", validators=[check_time_zone])
    phone = models.CharField(max_length=20, blank=True, default="", db_default="")

    objects = CrmUserManager()

    class Meta(AbstractUser.Meta):
        abstract = False
        ordering = ["username"]
        constraints = [
            models.UniqueConstraint(Lower("username"), name="user_username_unique"),
            models.UniqueConstraint(Lower("email"), name="user_email_unique", condition=~models.Q(email="")),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),
        ]
        triggers = captured("user", untracked=("password", "last_login", "date_joined"))

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """Where "today" is for this user."""
        return zoneinfo.ZoneInfo(self.time_zone)

    def reach_ids(self) -> list[int]:
        """Ids of the users whose records a manager or viewer reaches: themselves, their team, those below.

        Read once per instance, which lives as long as a request.
        """
        if not hasattr(self, "_reach_ids"):
            members = User.objects.filter(team_id__in=subtree_ids(self.team_id)) if self.team_id else []
            self._reach_ids = sorted({self.pk, *(m.pk for m in members)})
        return self._reach_ids
