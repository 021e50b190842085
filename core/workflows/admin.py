"""Automation in the admin site, to look at: workflows are written over the API, which checks them whole.

Secrets are in no field shown here: a workflow's actions hold them sealed, the rest is left out.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core.admin import home as home_page
from core.admin.filters import ConditionFilter
from core.admin.navigation import AUTOMATE, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.workflows import home, operations
from core.workflows.models import Workflow, WorkflowExecution

home_page.parts.register("workflows", home_page.Builder(50, home.build))


@admin.register(Workflow)
class WorkflowAdmin(ReadOnlyAdmin):
    menu = Menu(AUTOMATE, "account_tree", 10)
    list_display = ("name", "status", "trigger_type", "entity", "run_as", "version", "updated_at")
    list_filter = ("status", "trigger_type")
    search_fields = ("name",)
    ordering = ("name", "id")
    fields = (
        "name", "description", "status", "trigger_type", "trigger_conditions", "run_as", "version",
        "created_by", "created_at", "updated_at", "archived_at",
    )  # fmt: skip


class StateFilter(ConditionFilter):
    title = _("state")
    parameter_name = "state"
    options = (("open", _("Waiting or running")), ("failed", _("Failed or held, 7 days")))

    def condition(self, request: HttpRequest, chosen: str) -> Q:
        return home.failed() if chosen == "failed" else Q(status__in=WorkflowExecution.LIVE)


@admin.register(WorkflowExecution)
class WorkflowExecutionAdmin(ReadOnlyAdmin):
    menu = Menu(AUTOMATE, "play_circle", 20)
    menu_title = _("Workflow runs")
    list_display = ("id", "workflow", "status", "entity", "object_id", "error_code", "created_at")
    list_filter = (StateFilter, "status")
    list_select_related = ("workflow",)
    search_fields = ("=object_id",)
    ordering = ("-id",)
    actions = ("retry",)

    @admin.action(description="Retry the failed ones", permissions=["end"])
    def retry(self, request: HttpRequest, queryset: Any) -> None:
        count = operations.retry_many(queryset)
        self.message_user(request, ngettext("%(n)s run goes on.", "%(n)s runs go on.", count) % {"n": count})
