"""Merges of records, with what it takes to undo them."""

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from core.access import AttachedPolicy, VisibleManager
from core.models.record import record_models


class Merge(models.Model):
    """Records of an entity that were merged into one (`object_id`), which stays; the others are archived.

    `before` and `after` are the survivor's values by table column, `sources` those of the others by their id.
    They are forgotten when the time to undo it is over.
    """

    # Who sees the survivor sees the merge. Who may undo it is asked of all its records.
    policy = AttachedPolicy(record_models, author="merged_by")

    entity = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    merged_ids = ArrayField(models.BigIntegerField())
    # Column → the id of the record whose value was chosen.
    fields = models.JSONField(default=dict)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    sources = models.JSONField(default=dict)
    merged_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    merged_at = models.DateTimeField(db_default=Now())
    undone_at = models.DateTimeField(null=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["entity", "object_id", "-id"], name="merge_of_record")]

    def __str__(self) -> str:
        return f"merge {self.pk} of {len(self.merged_ids) + 1} records of {self.entity}"

    @property
    def record_ids(self) -> list[int]:
        """The survivor and those that were merged into it."""
        return [self.object_id, *self.merged_ids]

    def sources_in_order(self) -> list[dict[str, Any]]:
        return [self.sources[str(pk)] for pk in self.merged_ids]


class MergeMove(models.Model):
    """Rows of one table that a merge moved from one of its records to the survivor."""

    merge = models.ForeignKey(Merge, models.CASCADE, related_name="moves")
    # A model's label, and the column: tasks.task.lead_id
    relation = models.CharField(max_length=120)
    source_id = models.BigIntegerField()
    ids = ArrayField(models.BigIntegerField())

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{len(self.ids)} of {self.relation}"
