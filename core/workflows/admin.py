"""Automation in the admin site, to look at: workflows are written over the API, which checks them whole.

Secrets are in no field shown here: a workflow's actions hold them sealed, the rest is left out.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from core.admin.read_only import ReadOnlyAdmin
from core.workflows import operations
from core.workflows.models import Workflow, WorkflowExecution


@admin.register(Workflow)
class WorkflowAdmin(ReadOnlyAdmin):
    list_display = ("name", "status", "trigger_type", "entity", "run_as", "version", "updated_at")
    list_filter = ("status", "trigger_type")
    search_fields = ("name",)
    ordering = ("name", "id")
    fields = (
        "name", "description", "status", "trigger_type", "trigger_conditions", "run_as", "version",
        "created_by", "created_at", "updated_at", "archived_at",
    )  # fmt: skip


@admin.register(WorkflowExecution)
class WorkflowExecutionAdmin(ReadOnlyAdmin):
    list_display = ("id", "workflow", "status", "entity", "object_id", "error_code", "created_at")
    list_filter = ("status",)
    list_select_related = ("workflow",)
    search_fields = ("=object_id",)
    ordering = ("-id",)
    actions = ("retry",)

    @admin.action(description="Retry the failed ones", permissions=["end"])
    def retry(self, request: HttpRequest, queryset: Any) -> None:
        self.message_user(request, f"{operations.retry_many(queryset)} runs go on.")
