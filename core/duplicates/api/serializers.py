"""Merges over HTTP: what is asked for, and what was done."""

from collections import Counter
from typing import Any

from rest_framework import serializers

from core.api.strict import StrictFieldsMixin
from core.duplicates.merging import AT_MOST
from core.duplicates.models import Merge
from core.duplicates.unmerging import undo_until
from core.entities.field_types import BIGINT_MAX


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
