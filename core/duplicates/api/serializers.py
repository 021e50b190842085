"""Duplicates and merges over HTTP: what is asked for, what was found and what was done."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from core.api.strict import StrictFieldsMixin
from core.duplicates.bulk_merging import AT_MOST_GROUPS, AT_MOST_RECORDS, MergedGroup
from core.duplicates.groups import GroupQuery
from core.duplicates.models import AT_MOST, Merge
from core.duplicates.unmerging import undo_until
from core.entities.field_types import BIGINT_MAX, Boolean, Float
from core.errors import ConflictError


def _id() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=BIGINT_MAX)


class MergeRequestSerializer(StrictFieldsMixin, serializers.Serializer):
    """`survivor` stays and the `merged` become part of it. Of each field the survivor's value is kept, or the
    first one there is; `fields` names the record whose value is kept instead."""

    survivor = _id()
    merged = serializers.ListField(child=_id(), min_length=1, max_length=AT_MOST)

    # Declared here, for a serializer has `fields` already.
    def get_fields(self) -> dict[str, serializers.Field]:
        choices = serializers.DictField(
            child=_id(), required=False, help_text="Field → the record whose value wins."
        )
        return {**super().get_fields(), "fields": choices}


class MergeSerializer(serializers.ModelSerializer):
    """A merge: which records became which, and how much moved along, by table and column."""

    survivor = serializers.IntegerField(source="object_id")
    merged = serializers.ListField(source="merged_ids", child=serializers.IntegerField())
    moved = serializers.SerializerMethodField()
    undo_until = serializers.SerializerMethodField()

    class Meta:
        model = Merge
        fields = (
            "id", "entity", "survivor", "merged", "moved", "merged_by", "merged_at", "undone_at",
            "undo_until",
        )  # fmt: skip
        read_only_fields = fields

    def get_moved(self, merge: Merge) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for moved in merge.moves.all():
            counts[moved.relation] += len(moved.ids)
        return dict(counts)

    def get_undo_until(self, merge: Merge) -> Any:
        return undo_until(merge)


class DuplicateRecordSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class DuplicateGroupSerializer(serializers.Serializer):
    """Possible duplicates. `score` is how certain that is for two of them, from 0 to 1; `reasons` names what
    they have in common; `exact` says whether every two of them have an equal value. Only records that you
    see are considered."""

    score = serializers.FloatField()
    reasons = serializers.ListField(child=serializers.CharField())
    exact = serializers.BooleanField()
    records = DuplicateRecordSerializer(many=True)


class DuplicateGroupPageSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = DuplicateGroupSerializer(many=True)


class DuplicateGroupParameters(serializers.Serializer):
    """Which groups are listed."""

    min_score = Float(min_value=0, max_value=1, required=False, help_text="The least score.")
    reason = serializers.CharField(
        max_length=90, required=False, help_text="What two of them agree in: email, name_company:fuzzy …"
    )
    exact = Boolean(required=False, help_text="Whether every two of them have something that is the same.")

    def query(self) -> GroupQuery:
        return GroupQuery(**self.validated_data)


def _ids() -> serializers.ListField:
    return serializers.ListField(child=_id(), min_length=2, max_length=AT_MOST + 1)


class DismissSerializer(StrictFieldsMixin, serializers.Serializer):
    """Records that are no duplicates of each other; `dismissed: false` takes that back."""

    ids = _ids()
    dismissed = serializers.BooleanField(default=True)

    def validate_ids(self, ids: list[int]) -> list[int]:
        if len(set(ids)) < 2:
            raise serializers.ValidationError(_("Name at least two records."))
        return ids


class DismissedSerializer(serializers.Serializer):
    """How many pairs the records make, or how many of them had been dismissed."""

    pairs = serializers.IntegerField()


class GroupMergeSerializer(StrictFieldsMixin, serializers.Serializer):
    """Groups of exact duplicates; the first record of each stays. `dry_run` shows the result without
    merging."""

    groups = serializers.ListField(child=_ids(), min_length=1, max_length=AT_MOST_GROUPS)
    dry_run = serializers.BooleanField(default=False)

    def validate_groups(self, groups: list[list[int]]) -> list[list[int]]:
        ids = [pk for group in groups for pk in group]
        if len(set(ids)) < len(ids):
            raise serializers.ValidationError(_("Name each record once."), code="given_twice")
        if len(ids) > AT_MOST_RECORDS:
            raise serializers.ValidationError(
                _("At most %(at_most_records)s records in all.") % {"at_most_records": AT_MOST_RECORDS},
                code="max_length",
            )
        return groups


class MergedGroupSerializer(serializers.Serializer):
    """The result for a group: the merge's `id` and what it changed in the survivor, by field as [old, new],
    or why it was refused."""

    index = serializers.IntegerField()
    status = serializers.ChoiceField(["merged", "would_merge", "error"])
    survivor = serializers.IntegerField()
    merged = serializers.ListField(child=serializers.IntegerField())
    id = serializers.IntegerField(required=False)
    changes = serializers.DictField(child=serializers.ListField(), required=False)
    code = serializers.CharField(required=False)
    message = serializers.CharField(required=False)


class GroupMergeResultSerializer(serializers.Serializer):
    """The result for each group, in the order of the request."""

    dry_run = serializers.BooleanField()
    merged = serializers.IntegerField()
    failed = serializers.IntegerField()
    results = MergedGroupSerializer(many=True)


def merged_groups(made: Sequence[MergedGroup], *, dry_run: bool) -> dict[str, Any]:
    """The answer about merged groups."""
    results = [_merged_group(index, group, dry_run) for index, group in enumerate(made)]
    failed = sum(group.error is not None for group in made)
    return {"dry_run": dry_run, "merged": len(made) - failed, "failed": failed, "results": results}


def _merged_group(index: int, group: MergedGroup, dry_run: bool) -> dict[str, Any]:
    survivor, *merged = group.ids
    head = {"index": index, "survivor": survivor, "merged": merged}
    if group.merge is None or group.error is not None:
        error = group.error or ConflictError("")
        return head | {"status": "error", "code": error.code, "message": error.message}
    done = {"status": "would_merge"} if dry_run else {"status": "merged", "id": group.merge.pk}
    return head | done | {"changes": dict(group.changes)}
