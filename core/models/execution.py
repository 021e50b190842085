"""Runs of workflows as rows: whoever holds the lease goes on from the cursor; a crash loses nothing."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from core.access import AutomationPolicy, VisibleManager
from core.models.workflow import Workflow, WorkflowVersion


class WorkflowExecution(models.Model):
    """One run of one version of a workflow, for one event and at most one record.

    (workflow, event_key) is unique: the same event delivered again starts nothing. `due_at` is when someone
    may take it up; while it runs it is the end of the lease. `fence` counts the leases: a worker whose number
    is no longer the row's has lost it and may write nothing. `cursor` is the next step. `in_line` runs of one
    workflow and record go one after the other; a run that waits by its own wish has left the line.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        WAITING = "waiting"
        HELD = "held"
        COMPLETED = "completed"
        FAILED = "failed"
        DEAD = "dead"
        CANCELLED = "cancelled"
        STOPPED_LIMIT = "stopped_limit"

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
        COMPLETED = "completed"
        WAITING = "waiting"
        RETRYING = "retrying"
        FAILED = "failed"
        DENIED = "denied"
        CANCELLED = "cancelled"

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
