"""Tasks in the admin site."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateTimeFilter

from core.admin.read_only import ReadOnlyAdmin
from core.admin.records import RecordAdmin
from tasks.models import RELATED_RECORDS, CalendarFeed, Task
from tasks.operations import complete
from tasks.querysets import OPEN, due_today, overdue


class DueFilter(admin.SimpleListFilter):
    title = "due"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("overdue", "Overdue"), ("today", "Due today"), ("open", "Open")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        conditions = {"overdue": overdue(), "today": due_today(request.user), "open": OPEN}
        found = conditions.get(self.value() or "")
        return queryset if found is None else queryset.filter(found)


@admin.register(Task)
class TaskAdmin(RecordAdmin):
    list_display = ("title", "task_type", "status", "priority", "due_date", "subject", "owner", "assigned_to")
    list_filter = (DueFilter, "status", "priority", "task_type", ("due_date", RangeDateTimeFilter))
    list_select_related = (*RecordAdmin.list_select_related, *RELATED_RECORDS)
    autocomplete_fields = (*RecordAdmin.autocomplete_fields, *RELATED_RECORDS)
    derived = ("completed_at", "series")
    sections = (
        (
            None,
            {
                "fields": (
                    "title",
                    "description",
                    ("task_type", "priority"),
                    "status",
                    "due_date",
                    "reminder_at",
                    "time_zone",
                    "recurrence",
                    "outcome",
                )
            },
        ),
        ("About", {"fields": RELATED_RECORDS, "description": "One of these at most."}),
    )
    actions = ("complete", "assign", "archive", "restore")

    @admin.display(description="about")
    def subject(self, task: Task) -> str:
        return next((str(record) for name in RELATED_RECORDS if (record := getattr(task, name))), "")

    @admin.action(description="Complete", permissions=["change"])
    def complete(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Of a recurring task the next one is made."""
        self.one_by_one(
            request, queryset, "completed", lambda task: complete(self.entity, task, request.user)
        )


@admin.register(CalendarFeed)
class CalendarFeedAdmin(ReadOnlyAdmin):
    """Users with a calendar feed; administrators can revoke it."""

    list_display = ("user", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("=user__username",)
    ordering = ("-created_at",)
    exclude = ("digest",)
    actions = ("end",)

    @admin.action(description="Take these addresses back", permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet) -> None:
        count, _ = CalendarFeed.objects.filter(pk__in=queryset.values("pk")).delete()
        self.message_user(request, f"{count} taken back.")
