"""Tasks: what someone has to do, by when, and about whom."""

from typing import Any, ClassVar

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy

from core.access import OwnPolicy
from core.accounts.models import check_time_zone
from core.activities.models import FurtherRecord
from core.entities.reading import title
from core.models.capture import captured_part, raises_version_of
from core.models.fields import choice, prose, text
from core.models.record import Record, record_constraints, record_indexes, record_triggers, search_text
from tasks.querysets import COUNTED_BY, TaskQuerySet

# What a task may be about; at most one of them.
RELATED_RECORDS = ("lead", "contact", "company", "opportunity")


class TaskType(models.TextChoices):
    CALL = "call", gettext_lazy("Call")
    EMAIL = "email", gettext_lazy("Email")
    MEETING = "meeting", gettext_lazy("Meeting")
    FOLLOW_UP = "follow_up", gettext_lazy("Follow Up")
    PROPOSAL = "proposal", gettext_lazy("Proposal")
    DEMO = "demo", gettext_lazy("Demo")
    OTHER = "other", gettext_lazy("Other")


class TaskStatus(models.TextChoices):
    PENDING = "pending", gettext_lazy("Pending")
    IN_PROGRESS = "in_progress", gettext_lazy("In Progress")
    COMPLETED = "completed", gettext_lazy("Completed")
    CANCELLED = "cancelled", gettext_lazy("Cancelled")


class Priority(models.TextChoices):
    LOW = "low", gettext_lazy("Low")
    MEDIUM = "medium", gettext_lazy("Medium")
    HIGH = "high", gettext_lazy("High")
    URGENT = "urgent", gettext_lazy("Urgent")


# Kept by the database beside the fields that people write.
SERIES = ("series_start", "reminder_before", "series_values")
# A rule begins with the task that is given it; moving an occurrence moves neither the series nor its
# reminders.
_PLACE_IN_SERIES = """
IF NEW.recurrence = '' OR NEW.due_date IS NULL THEN
    NEW.series_start := NULL; NEW.recurrence_id := NULL; NEW.reminder_before := NULL;
    RETURN NEW;
END IF;
IF TG_OP = 'UPDATE' THEN
    IF NEW.recurrence <> OLD.recurrence AND NEW.series_start IS NOT DISTINCT FROM OLD.series_start THEN
        NEW.series_start := NULL; NEW.recurrence_id := NULL;
    END IF;
END IF;
NEW.series_start := coalesce(NEW.series_start, NEW.due_date);
NEW.recurrence_id := coalesce(NEW.recurrence_id, NEW.due_date);
IF NEW.due_date = NEW.recurrence_id THEN NEW.reminder_before := NEW.due_date - NEW.reminder_at; END IF;
RETURN NEW;
"""


def _at_most_one() -> models.Q:
    """At most one of the references in RELATED_RECORDS is set."""
    allowed = models.Q(**{f"{name}__isnull": True for name in RELATED_RECORDS})
    for kept in RELATED_RECORDS:
        allowed |= models.Q(**{f"{name}__isnull": True for name in RELATED_RECORDS if name != kept})
    return allowed


class Task(Record):
    """Something to do. Times are moments; `time_zone` is where "at nine" is meant for a series."""

    entity_name = "task"

    title = models.CharField(max_length=200)
    description = prose()
    task_type = choice(TaskType.choices, TaskType.OTHER)
    status = choice(TaskStatus.choices, TaskStatus.PENDING)
    priority = choice(Priority.choices, Priority.MEDIUM)
    due_date = models.DateTimeField(null=True, blank=True)
    reminder_at = models.DateTimeField(null=True, blank=True)
    time_zone = models.CharField(
        max_length=64, default="UTC", db_default="UTC", blank=True, validators=[check_time_zone]
    )
    lead = models.ForeignKey(
        "lead_management.Lead", models.SET_NULL, null=True, blank=True, related_name="tasks"
    )
    contact = models.ForeignKey(
        "contacts.Contact", models.SET_NULL, null=True, blank=True, related_name="tasks"
    )
    company = models.ForeignKey(
        "contacts.Company", models.SET_NULL, null=True, blank=True, related_name="tasks"
    )
    opportunity = models.ForeignKey(
        "opportunities.Opportunity", models.SET_NULL, null=True, blank=True, related_name="tasks"
    )
    # RFC 5545 section 3.3.10, without its name: FREQ=WEEKLY;BYDAY=MO
    recurrence = text(300)
    # The first task of the series this one came from; the number stays when that one is deleted.
    series = models.ForeignKey(
        "self", models.DO_NOTHING, null=True, editable=False, related_name="followers", db_constraint=False
    )
    # Where the series begins and which of its occurrences this one is (RECURRENCE-ID of RFC 5545), however
    # `due_date` is moved; how long before an occurrence there is a reminder. The database keeps all three.
    series_start = models.DateTimeField(null=True, editable=False)
    recurrence_id = models.DateTimeField(null=True, editable=False)
    reminder_before = models.DurationField(null=True, editable=False)
    # What the series has where this occurrence alone was changed: values by table column.
    series_values = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), editable=False
    )
    completed_at = models.DateTimeField(null=True, editable=False)
    outcome = text(500)
    search_text = search_text("title", "description")

    objects: ClassVar = models.Manager.from_queryset(TaskQuerySet)()

    class Meta:
        ordering = ["-id"]
        indexes = [
            *record_indexes("task"),
            models.Index(
                fields=["due_date"],
                name="task_due",
                condition=models.Q(status__in=("pending", "in_progress"), archived_at=None),
            ),
            models.Index(
                fields=["reminder_at"],
                name="task_reminder",
                condition=models.Q(status__in=("pending", "in_progress"), archived_at=None),
            ),
            *(models.Index(fields=[name, "-id"], name=f"task_{name}") for name in RELATED_RECORDS),
        ]
        constraints = [
            *record_constraints("task"),
            models.CheckConstraint(condition=_at_most_one(), name="task_about_one"),
            models.CheckConstraint(
                condition=models.Q(status__in=TaskStatus.values), name="task_status_known"
            ),
        ]
        triggers = [
            *record_triggers("task", derived=SERIES, untracked=SERIES, counted_by=COUNTED_BY),
            pgtrigger.Trigger(
                name="place_in_series",
                level=pgtrigger.Row,
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("recurrence", "due_date", "reminder_at"),
                condition=pgtrigger.Condition("NEW.recurrence <> '' OR NEW.series_start IS NOT NULL"),
                func=_PLACE_IN_SERIES,
            ),
        ]

    def __str__(self) -> str:
        return title(self)


class TaskRecord(FurtherRecord):
    """A further record of a task: one about a deal, and two contacts to call for it."""

    holder = "task"

    task = models.ForeignKey(Task, models.CASCADE, related_name="further", db_index=False)

    class Meta(FurtherRecord.Meta):
        indexes = [models.Index(fields=["entity", "object_id", "task"], name="task_record_of_record")]
        constraints = [
            models.UniqueConstraint(fields=["task", "entity", "object_id"], name="task_record_once")
        ]
        triggers = [
            *captured_part(
                "task_record",
                "task_id",
                model="tasks.TaskRecord",
                shows=("tasks",),
                untracked=("created_at",),
            ),
            *raises_version_of("tasks_task", "task_id"),
        ]

    @classmethod
    def first_of(cls, holder: Any) -> set[tuple[str, int]]:
        ids = ((name, getattr(holder, f"{name}_id")) for name in RELATED_RECORDS)
        return {(name, pk) for name, pk in ids if pk is not None}

    @classmethod
    def is_further(cls) -> models.Q:
        first = models.Q(pk__in=[])
        for name in RELATED_RECORDS:
            # Not null, so that NOT over it is true or false.
            other = Coalesce(f"task__{name}_id", 0)
            first |= models.Q(entity=name, object_id=other)
        return ~first


class CalendarFeed(models.Model):
    """The secret address of a user's tasks as a calendar; only the secret's digest is kept."""

    policy = OwnPolicy("user")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="calendar_feed"
    )
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"calendar of user {self.user_id}"
