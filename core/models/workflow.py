"""Workflows and their versions. What they did is in core.models.execution."""

from typing import Any

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, Now

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
        DRAFT = "draft"
        ACTIVE = "active"
        PAUSED = "paused"

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


class Rotation(models.Model):
    """Whose turn it is in a workflow's round robin: counted up under the row's lock."""

    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="+")
    path = models.CharField(max_length=60)
    turn = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "path"], name="rotation_once_per_step")]

    def __str__(self) -> str:
        return f"turn {self.turn} of workflow {self.workflow_id}"
