"""Filters of runs."""

from core.api.filtersets import ResourceFilterSet
from core.conditions.filters import TypedFilter
from core.entities.field_types import DateTime
from core.workflows.models import WorkflowExecution


class ExecutionFilterSet(ResourceFilterSet):
    created_after = TypedFilter(DateTime(), field_name="created_at", lookup_expr="gte")
    created_before = TypedFilter(DateTime(), field_name="created_at", lookup_expr="lt")

    class Meta:
        model = WorkflowExecution
        fields = ["status", "entity", "object_id", "error_code", "workflow"]
