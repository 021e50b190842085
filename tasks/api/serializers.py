"""Tasks, and what completing one takes, as JSON."""

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from core.api.serializers import CountsField, EntitySerializer, StatisticsSerializer
from core.api.strict import StrictFieldsMixin
from core.entities.field_types import Text
from tasks.entity import TASK
from tasks.models import CalendarFeed


class TaskSerializer(EntitySerializer):
    """A task."""

    class Meta:
        entity = TASK


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
    """Whether there is a feed, and when it was read last."""

    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField(read_only=True, allow_null=True)

    class Meta:
        model = CalendarFeed
        fields = ["enabled", "created_at", "last_used_at"]


class CalendarAddressSerializer(serializers.Serializer):
    """The address of a new feed, shown once."""

    url = serializers.CharField()


class CompletionSerializer(StrictFieldsMixin, serializers.Serializer):
    """What came of it."""

    outcome = Text(max_length=500, required=False, allow_null=True, allow_blank=True)
