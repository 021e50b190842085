"""Tasks, and what completing one takes, as JSON."""

from collections.abc import Sequence
from typing import Any

import orjson
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from core.activities import further_records
from core.activities.api.further import FurtherRecordsField
from core.activities.further_records import Ref
from core.api.serializers import CountsField, EntitySerializer, StatisticsSerializer
from core.api.strict import StrictFieldsMixin
from core.entities import Column
from core.entities.field_types import Text
from tasks.entity import TASK
from tasks.models import RELATED_RECORDS, CalendarFeed, TaskRecord
from tasks.records import RECORDS


class TaskSerializer(EntitySerializer):
    """A task, and, where it is about several records, the further `records`."""

    records = FurtherRecordsField(TaskRecord, lambda: RELATED_RECORDS)

    class Meta:
        entity = TASK

    def create(self, validated_data: dict[str, Any]) -> Any:
        records = validated_data.pop("records", None)
        return self._with(super().create(validated_data), records)

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        records = validated_data.pop("records", None)
        return self._with(super().update(instance, validated_data), records)

    def _with(self, task: Any, records: Any) -> Any:
        if records is not None:
            further_records.replace(TaskRecord, task, records, self.user)
        return task

    def document_columns(self) -> Sequence[Column]:
        return () if self.shown and "records" not in self.shown else (RECORDS,)

    def _with_own_fields(self, ids: Sequence[int], found: Sequence[Any]) -> list[Any]:
        """The documents, with what the user sees of the further records: asked for those that have any."""
        if not self.document_columns():
            return list(found)
        parts = [(document, _refs(document)) for document in found]
        refs = [ref for _, some in parts for ref in some]
        if not refs:
            return list(found)
        names = further_records.seen_refs(refs, self.user)
        return [
            orjson.loads(orjson.dumps(document)) | {"records": further_records.named(some, names)}
            if some
            else document
            for document, some in parts
        ]


NO_RECORDS = b'"records":[]}'


def _refs(document: Any) -> list[Ref]:
    """The further records that a document names, as PostgreSQL wrote it, or with references expanded."""
    if not isinstance(document, dict):
        text = orjson.dumps(document)
        if text.endswith(NO_RECORDS):
            return []
        document = orjson.loads(text)
    return [(one["entity"], one["id"]) for one in document.get("records", ())]


class CompletedTaskSerializer(TaskSerializer):
    """A task that was completed, and the one that follows it in its series."""

    next_task = serializers.IntegerField(read_only=True, allow_null=True)


class TaskStatisticsSerializer(StatisticsSerializer):
    """Totals of tasks; `completion_rate` is the share completed, 0 to 1, of those not cancelled."""

    open = serializers.IntegerField()
    overdue = serializers.IntegerField()
    due_today = serializers.IntegerField()
    completed = serializers.IntegerField()
    completion_rate = serializers.FloatField()
    by_status = CountsField()
    by_priority = CountsField()
    by_type = CountsField()


@extend_schema_serializer(many=False)
class CalendarFeedSerializer(serializers.ModelSerializer):
    """Whether you have a calendar feed, and when it was last read."""

    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField(read_only=True, allow_null=True)

    class Meta:
        model = CalendarFeed
        fields = ["enabled", "created_at", "last_used_at"]


class CalendarAddressSerializer(serializers.Serializer):
    """The address of a new feed, shown once."""

    url = serializers.CharField()


class CompletionSerializer(StrictFieldsMixin, serializers.Serializer):
    """The outcome of the task."""

    outcome = Text(max_length=500, required=False, allow_null=True, allow_blank=True)
