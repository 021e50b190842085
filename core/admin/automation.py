"""Automation in the admin site, to look at: workflows are written over the API, which checks them whole.

Secrets are in no field shown here: a workflow's actions hold them sealed, the rest is left out.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from core.admin.trail import TrailAdmin
from core.models import (
    EmailMessage,
    EmailTemplate,
    WebhookDelivery,
    WebhookSubscription,
    Workflow,
    WorkflowExecution,
)
from core.workflows import operations


@admin.register(Workflow)
class WorkflowAdmin(TrailAdmin):
    list_display = ("name", "status", "trigger_type", "entity", "run_as", "version", "updated_at")
    list_filter = ("status", "trigger_type")
    search_fields = ("name",)
    ordering = ("name", "id")
    fields = (
        "name", "description", "status", "trigger_type", "trigger_conditions", "run_as", "version",
        "created_by", "created_at", "updated_at", "archived_at",
    )  # fmt: skip


@admin.register(WorkflowExecution)
class WorkflowExecutionAdmin(TrailAdmin):
    list_display = ("id", "workflow", "status", "entity", "object_id", "error_code", "created_at")
    list_filter = ("status",)
    list_select_related = ("workflow",)
    search_fields = ("=object_id",)
    ordering = ("-id",)
    actions = ("retry",)

    @admin.action(description="Retry the failed ones", permissions=["end"])
    def retry(self, request: HttpRequest, queryset: Any) -> None:
        self.message_user(request, f"{operations.retry_many(queryset)} runs go on.")


@admin.register(EmailTemplate)
class EmailTemplateAdmin(TrailAdmin):
    list_display = ("key", "name", "entity", "updated_at")
    search_fields = ("key", "name")
    ordering = ("name", "id")


@admin.register(EmailMessage)
class EmailMessageAdmin(TrailAdmin):
    list_display = ("id", "subject", "to", "status", "attempts", "error", "created_at", "sent_at")
    list_filter = ("status",)
    ordering = ("-id",)


@admin.register(WebhookSubscription)
class WebhookSubscriptionAdmin(TrailAdmin):
    list_display = ("name", "url", "is_enabled", "disabled_reason", "owner", "last_success_at")
    list_filter = ("is_enabled",)
    ordering = ("name", "id")
    fields = (
        "name", "url", "events", "conditions", "payload", "is_enabled", "disabled_reason", "owner",
        "failing_since", "last_success_at", "created_at", "updated_at",
    )  # fmt: skip


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(TrailAdmin):
    list_display = ("id", "event", "lane", "status", "attempts", "response_status", "error", "created_at")
    list_filter = ("status",)
    ordering = ("-id",)
    fields = (
        "key", "event", "lane", "status", "attempts", "due_at", "response_status", "error", "entity",
        "object_id", "created_at", "finished_at",
    )  # fmt: skip
