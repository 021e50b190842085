"""Activities (calls, meetings, …), comments, mentions and followers of records."""

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.access import AttachedPolicy, VisibleManager
from core.models.capture import captured, captured_part
from core.models.fields import prose, text
from core.models.record import record_models


class FurtherRecord(models.Model):
    """Abstract base of the tables of what an activity or a task is about beside its first record. The
    subclass has a foreign key `holder` names."""

    # The name of the foreign key to the activity or task.
    holder: ClassVar[str]

    entity = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        abstract = True
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.entity} {self.object_id}"

    @classmethod
    def of(cls, holder: Any) -> models.QuerySet:
        return cls._base_manager.filter(**{cls.holder: holder}).order_by("pk")

    @classmethod
    def first_of(cls, holder: Any) -> set[tuple[str, int]]:
        """The record that the holder belongs to, as (entity name, id); empty where it belongs to none."""
        raise NotImplementedError

    @classmethod
    def is_further(cls) -> models.Q:
        """The condition of rows that do not repeat the holder's first record, as a merge may leave them."""
        raise NotImplementedError


class Activity(models.Model):
    """A call, e-mail, meeting or note on a record. `duration` is in seconds.

    Tables whose migration asks for it (core.models.engagement) keep count of theirs.
    """

    policy = AttachedPolicy(record_models, further=lambda: (ActivityRecord, "activity"))

    class Type(models.TextChoices):
        CALL = "call", gettext_lazy("Call")
        EMAIL = "email", gettext_lazy("Email")
        MEETING = "meeting", gettext_lazy("Meeting")
        NOTE = "note", gettext_lazy("Note")

    class Direction(models.TextChoices):
        OUTBOUND = "outbound", gettext_lazy("Outbound")
        INBOUND = "inbound", gettext_lazy("Inbound")

    entity = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    type = models.CharField(max_length=10, choices=Type.choices)
    direction = models.CharField(
        max_length=10, choices=Direction.choices, default=Direction.OUTBOUND, db_default=Direction.OUTBOUND
    )
    subject = models.CharField(max_length=300)
    body = prose()
    outcome = text(120)
    duration = models.PositiveIntegerField(null=True, blank=True)
    happened_at = models.DateTimeField(default=timezone.now, db_default=Now())
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = VisibleManager()

    class Meta:
        verbose_name_plural = "activities"
        ordering = ["-happened_at", "-id"]
        indexes = [
            models.Index(fields=["entity", "object_id", "-happened_at", "-id"], name="activity_of_record"),
            models.Index(fields=["author", "-happened_at", "-id"], name="activity_of_author"),
            models.Index(fields=["-happened_at", "-id"], name="activity_recent"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(type__in=("call", "email", "meeting", "note")), name="activity_type_known"
            ),
            models.CheckConstraint(
                condition=models.Q(direction__in=("outbound", "inbound")), name="activity_direction_known"
            ),
        ]
        triggers = captured("activity", untracked=("updated_at",))

    def __str__(self) -> str:
        return self.subject

    def clean(self) -> None:
        """What happened is not in the future (a task would be), give or take a clock's error."""
        if self.happened_at and self.happened_at > timezone.now() + timedelta(minutes=5):
            raise ValidationError({"happened_at": _("An activity has happened already.")}, code="in_future")


class ActivityRecord(FurtherRecord):
    """A further record of an activity: a meeting about a deal that three contacts were at."""

    holder = "activity"

    activity = models.ForeignKey(Activity, models.CASCADE, related_name="further", db_index=False)

    class Meta(FurtherRecord.Meta):
        indexes = [models.Index(fields=["entity", "object_id", "activity"], name="activity_record_of_record")]
        constraints = [
            models.UniqueConstraint(fields=["activity", "entity", "object_id"], name="activity_record_once")
        ]
        triggers = captured_part(
            "activity_record",
            "activity_id",
            model="core.ActivityRecord",
            shows=("activities",),
            untracked=("created_at",),
        )

    @classmethod
    def first_of(cls, holder: Any) -> set[tuple[str, int]]:
        return {(holder.entity, holder.object_id)}

    @classmethod
    def is_further(cls) -> models.Q:
        first = models.Q(entity=models.F("activity__entity"), object_id=models.F("activity__object_id"))
        return ~first


class Comment(models.Model):
    """A comment on a record. `@username` mentions are rows of Mention."""

    policy = AttachedPolicy(record_models)

    entity = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    body = models.TextField(max_length=20_000)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    edited_at = models.DateTimeField(null=True, editable=False)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["entity", "object_id", "-id"], name="comment_of_record"),
            models.Index(fields=["author", "-id"], name="comment_of_author"),
        ]
        triggers = captured("comment", untracked=("edited_at",))

    def __str__(self) -> str:
        return self.body[:60]


class Mention(models.Model):
    """A user named in a comment, who could see its record when it was written."""

    comment = models.ForeignKey(Comment, models.CASCADE, related_name="mentions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["user", "-created_at"], name="mention_of_user")]
        constraints = [models.UniqueConstraint(fields=["comment", "user"], name="mention_once")]

    def __str__(self) -> str:
        return f"user {self.user_id} in comment {self.comment_id}"


class Follow(models.Model):
    """A user follows a record, by hand or because they own it, are assigned or wrote on it."""

    class Reason(models.TextChoices):
        MANUAL = "manual", gettext_lazy("Manual")
        OWNER = "owner", gettext_lazy("Owner")
        ASSIGNEE = "assignee", gettext_lazy("Assignee")
        COMMENTER = "commenter", gettext_lazy("Commenter")

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
