"""Workflows and their versions. What they did is in core.workflows.models."""

from typing import Any

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy

from core.access import AutomationPolicy, VisibleManager
from core.models.capture import captured

# A new version whenever one of these differs; a schedule or date starts counting when it is switched on.
_NUMBER = """
IF TG_OP = 'INSERT' THEN
    NEW.version := 1;
    RETURN NEW;
END IF;
NEW.version := OLD.version;
IF (NEW.trigger_type, NEW.trigger_conditions, NEW.actions)
   IS DISTINCT FROM (OLD.trigger_type, OLD.trigger_conditions, OLD.actions) THEN
    NEW.version := OLD.version + 1;
    NEW.swept_until := now();
END IF;
IF NEW.status = 'active' AND OLD.status <> 'active' THEN
    NEW.swept_until := now();
END IF;
RETURN NEW;
"""
_KEEP = """
INSERT INTO core_workflowversion (workflow_id, number, trigger_type, trigger_conditions, actions)
VALUES (NEW.id, NEW.version, NEW.trigger_type, NEW.trigger_conditions, NEW.actions)
ON CONFLICT (workflow_id, number) DO NOTHING;
RETURN NULL;
"""


class Workflow(models.Model):
    """What is to happen when: a trigger with conditions, and actions.

    `run_as` is whose rights a run has, looked up when it runs; without one it is the system's own. The
    database numbers the versions, so a run keeps the one it started with whichever door changed the workflow.
    """

    policy = AutomationPolicy("run_as")

    class Status(models.TextChoices):
        DRAFT = "draft", gettext_lazy("Draft")
        ACTIVE = "active", gettext_lazy("Active")
        PAUSED = "paused", gettext_lazy("Paused")

    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="", db_default="")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    trigger_type = models.CharField(max_length=40)
    trigger_conditions = models.JSONField(default=dict, blank=True)
    actions = models.JSONField(default=list)
    entity = models.GeneratedField(
        expression=Coalesce(
            KT("trigger_conditions__model"), models.Value(""), output_field=models.TextField()
        ),
        output_field=models.CharField(max_length=40),
        db_persist=True,
    )
    run_as = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    version = models.IntegerField(default=1, db_default=1, editable=False)
    # Up to here dates and schedule ticks have been looked at.
    swept_until = models.DateTimeField(db_default=Now(), editable=False)
    # The address part and the secret of an inbound webhook; the secret is sealed.
    hook_key = models.CharField(max_length=64, blank=True, default="", editable=False)
    hook_secret = models.TextField(blank=True, default="", editable=False)
    alerted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = VisibleManager()

    class Meta:
        ordering = ["name", "id"]
        indexes = [
            models.Index(
                fields=["entity", "id"],
                name="workflow_active",
                condition=models.Q(status="active", archived_at=None),
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["hook_key"], name="workflow_hook_key", condition=~models.Q(hook_key="")
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=("draft", "active", "paused")), name="workflow_status_known"
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="number_version",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=_NUMBER,
            ),
            pgtrigger.Trigger(
                name="keep_version",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=_KEEP,
            ),
            *captured(
                "workflow", untracked=("hook_secret", "swept_until", "alerted_at", "updated_at", "version")
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE and self.archived_at is None


class WorkflowVersion(models.Model):
    """One state of a workflow's definition, for ever. Written by the database."""

    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="versions")
    number = models.IntegerField()
    trigger_type = models.CharField(max_length=40)
    trigger_conditions = models.JSONField(default=dict)
    actions = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["workflow", "number"], name="workflow_version_once"),
        ]
        triggers = [
            pgtrigger.Protect(name="immutable", operation=pgtrigger.Update),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_id} version {self.number}"

    @property
    def definition(self) -> dict[str, Any]:
        """What a definition is checked and run from."""
        return {
            "trigger_type": self.trigger_type,
            "trigger_conditions": self.trigger_conditions,
            "actions": self.actions,
        }


class RoundRobinState(models.Model):
    """Whose turn it is in a workflow's round robin: counted up under the row's lock."""

    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="+")
    path = models.CharField(max_length=60)
    turn = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "path"], name="rotation_once_per_step")]

    def __str__(self) -> str:
        return f"turn {self.turn} of workflow {self.workflow_id}"


class WorkflowExecution(models.Model):
    """One run of one version of a workflow, for one event and at most one record.

    (workflow, event_key) is unique: the same event delivered again starts nothing. `due_at` is when someone
    may take it up; while it runs it is the end of the lease. `fence` counts the leases: a worker whose number
    is no longer the row's has lost it and may write nothing. `cursor` is the next step. `in_line` runs of one
    workflow and record go one after the other; a run that waits by its own wish has left the line.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", gettext_lazy("Queued")
        RUNNING = "running", gettext_lazy("Running")
        WAITING = "waiting", gettext_lazy("Waiting")
        HELD = "held", gettext_lazy("Held")
        COMPLETED = "completed", gettext_lazy("Completed")
        FAILED = "failed", gettext_lazy("Failed")
        DEAD = "dead", gettext_lazy("Dead")
        CANCELLED = "cancelled", gettext_lazy("Cancelled")
        STOPPED_LIMIT = "stopped_limit", gettext_lazy("Stopped Limit")

    policy = AutomationPolicy("workflow__run_as")

    LIVE = (Status.QUEUED, Status.RUNNING, Status.WAITING)
    RETRYABLE = (Status.FAILED, Status.DEAD, Status.STOPPED_LIMIT)

    class Priority(models.IntegerChoices):
        BY_HAND = 0
        EVENT = 5
        BULK = 9

    # Without constraints in the database: a large import inserts hundreds of thousands of these, and neither
    # workflows nor versions are deleted while runs refer to them.
    workflow = models.ForeignKey(
        Workflow, models.PROTECT, related_name="executions", db_constraint=False, db_index=False
    )
    version = models.ForeignKey(
        WorkflowVersion, models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    event_key = models.CharField(max_length=120)
    trigger_data = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    entity = models.CharField(max_length=40, default="", db_default="")
    object_id = models.BigIntegerField(null=True)
    change_id = models.BigIntegerField(null=True)
    # The run whose change started this one, and all runs before it in the chain, oldest first.
    cause_id = models.BigIntegerField(null=True)
    ancestry = ArrayField(
        models.BigIntegerField(),
        default=list,
        db_default=models.Value([], ArrayField(models.BigIntegerField())),
    )
    depth = models.SmallIntegerField(default=0, db_default=0)
    requested_by_id = models.BigIntegerField(null=True)
    run_as_id = models.BigIntegerField(null=True)
    retry_of_id = models.BigIntegerField(null=True)

    status = models.CharField(
        max_length=14, choices=Status.choices, default=Status.QUEUED, db_default="queued"
    )
    priority = models.SmallIntegerField(
        choices=Priority.choices, default=Priority.EVENT, db_default=Priority.EVENT
    )
    due_at = models.DateTimeField(db_default=Now())
    fence = models.IntegerField(default=0, db_default=0)
    worker = models.CharField(max_length=80, default="", db_default="")
    in_line = models.BooleanField(default=True, db_default=True)
    cursor = models.SmallIntegerField(default=0, db_default=0)
    steps_done = models.SmallIntegerField(default=0, db_default=0)
    attempt = models.SmallIntegerField(default=0, db_default=0)
    lost_leases = models.SmallIntegerField(default=0, db_default=0)
    error_code = models.CharField(max_length=40, default="", db_default="")
    error = models.TextField(default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["priority", "due_at", "id"],
                name="execution_due",
                condition=models.Q(status__in=("queued", "running", "waiting")),
            ),
            models.Index(fields=["workflow", "object_id", "id"], name="execution_of_record"),
            models.Index(fields=["workflow", "-id"], name="execution_of_workflow"),
            models.Index(
                fields=["entity", "object_id", "-id"],
                name="execution_about_record",
                condition=models.Q(object_id__isnull=False),
            ),
            models.Index(fields=["workflow"], name="execution_held", condition=models.Q(status="held")),
            models.Index(
                fields=["-id"],
                name="execution_in_trouble",
                condition=models.Q(status__in=("failed", "dead", "held", "stopped_limit")),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["workflow", "event_key"], name="execution_once_per_event"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of workflow {self.workflow_id}"


class WorkflowStep(models.Model):
    """One step of a run, written in the transaction of its own effects."""

    class Status(models.TextChoices):
        COMPLETED = "completed", gettext_lazy("Completed")
        WAITING = "waiting", gettext_lazy("Waiting")
        RETRYING = "retrying", gettext_lazy("Retrying")
        FAILED = "failed", gettext_lazy("Failed")
        DENIED = "denied", gettext_lazy("Denied")
        CANCELLED = "cancelled", gettext_lazy("Cancelled")
        SKIPPED = "skipped", gettext_lazy("Skipped")

    execution = models.ForeignKey(WorkflowExecution, models.CASCADE, related_name="steps", db_index=False)
    position = models.SmallIntegerField()
    # Where the action stands in the definition: "2" or, inside a branch, "2.then.0".
    path = models.CharField(max_length=60)
    type = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=Status.choices)
    attempts = models.SmallIntegerField(default=1, db_default=1)
    input = models.JSONField(default=dict)
    output = models.JSONField(default=dict)
    error_code = models.CharField(max_length=40, default="", db_default="")
    error = models.TextField(default="", db_default="")
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    # The end of a wait, or the next attempt.
    next_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["execution", "position"]
        constraints = [
            models.UniqueConstraint(fields=["execution", "position"], name="step_once_per_run"),
        ]

    def __str__(self) -> str:
        return f"step {self.path} of run {self.execution_id}"
