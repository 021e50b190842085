"""Merges of records, with what it takes to undo them, and what was found of duplicates."""

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from core.access import AttachedPolicy, VisibleManager
from core.models.record import record_models

# Records that one merge takes into the survivor.
AT_MOST = 100


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


class DuplicatePair(models.Model):
    """Two records of an entity that may be the same, or that somebody says are not (`dismissed_at`).

    `reasons` are what they agree in: names of comparisons, with `:fuzzy` behind where texts are only alike.
    Pairs that have something that is the same make groups: `group_id` is the smallest id of all records that
    they connect, and `exact` whether every two of these have something that is the same. A pair that is only
    alike is a group of its own: its own id, negative. No foreign keys to the records: core names no entity.
    """

    entity = models.CharField(max_length=40)
    low_id = models.BigIntegerField()
    high_id = models.BigIntegerField()
    # How sure it is that they are the same, from 0 to 1.
    score = models.FloatField()
    reasons = ArrayField(models.CharField(max_length=90), default=list)
    group_id = models.BigIntegerField(null=True)
    exact = models.BooleanField(default=False)
    dismissed_at = models.DateTimeField(null=True)
    dismissed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    # The merge by which it is dismissed, because it was for one of the merged records.
    inherited_by = models.ForeignKey(Merge, models.CASCADE, null=True, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["entity", "low_id", "high_id"], name="duplicate_pair_unique"),
            models.CheckConstraint(
                condition=models.Q(low_id__lt=models.F("high_id")), name="duplicate_pair_in_order"
            ),
        ]
        indexes = [
            models.Index(fields=["entity", "high_id"], name="duplicate_pair_high"),
            models.Index(
                fields=["entity", "group_id"],
                name="duplicate_pair_group",
                condition=models.Q(dismissed_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entity} {self.low_id} and {self.high_id}"


class DuplicateCheck(models.Model):
    """A record that is to be compared with the others: it changed, or what it has in common with them did.
    One that changes twice may stand here twice, and is compared once. `record_id` 0 stands for all of them.

    `is_echo`: it is compared because another record showed that it shares something with too many, and has no
    others compared for that itself.
    `former`: others may share with few by now what the record had.
    """

    entity = models.CharField(max_length=40)
    record_id = models.BigIntegerField()
    is_echo = models.BooleanField(default=False, db_default=False)
    # By table column what a change took away of what is compared; null for a creation.
    former = models.JSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["entity", "id"], name="duplicate_check_in_order")]

    def __str__(self) -> str:
        return f"{self.entity} {self.record_id}"


class DuplicateScan(models.Model):
    """How far all records of an entity have been compared: up to `after_id`; None once they all are. At most
    `chunk` are compared at once; fewer after a failure."""

    entity = models.CharField(max_length=40, unique=True)
    after_id = models.BigIntegerField(null=True, default=0)
    chunk = models.PositiveIntegerField(default=2_000)

    def __str__(self) -> str:
        return f"{self.entity} after {self.after_id}"
