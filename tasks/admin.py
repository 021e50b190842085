"""Tasks in the admin site."""

from dataclasses import replace
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.decorators import action

from core.access import Permission
from core.activities import further_records
from core.activities.admin import RecordsTextField
from core.admin import calendar, columns, record_page, verbs
from core.admin import home as home_page
from core.admin.filters import ConditionFilter, MomentRangeFilter
from core.admin.home import page_url
from core.admin.inline_edit import edited
from core.admin.navigation import SELL, SYSTEM, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.admin.record_page import Fact, Summary
from core.admin.records import RecordAdmin
from core.entities import entities, writing
from core.entities.blanking import seen_by
from core.errors import DomainError
from tasks import home, related
from tasks.board import TaskBoard
from tasks.models import RELATED_RECORDS, CalendarFeed, Task, TaskRecord
from tasks.operations import complete
from tasks.querysets import OPEN, due_today, overdue

record_page.related.register("tasks", related.build)
calendar.sources.register("task", calendar.CalendarSource(_("Task"), "task_alt", "due_date", OPEN))
record_page.icons.register("task", "task_alt")
home_page.parts.register("tasks", home_page.Builder(10, home.build))


# What saved views hold for this filter.
OPEN_ONES = [{"field": "status", "op": "in", "value": ["pending", "in_progress"]}]
STILL_AHEAD = {"field": "due_date", "op": "gte", "value": "now"}


class DueFilter(ConditionFilter):
    title = _("due")
    parameter_name = "due"
    options = (
        ("overdue", _("Overdue")),
        ("today", _("Due today")),
        ("later_today", _("Later today")),
        ("now", _("Overdue or due today")),
        ("open", _("Open")),
    )

    kept: ClassVar = {
        "overdue": {"all": [*OPEN_ONES, {"field": "due_date", "op": "lt", "value": "now"}]},
        "today": {"all": [*OPEN_ONES, {"field": "due_date", "value": "today"}]},
        "later_today": {"all": [*OPEN_ONES, {"field": "due_date", "value": "today"}, STILL_AHEAD]},
        "now": {"all": [*OPEN_ONES, {"field": "due_date", "op": "lt", "value": "tomorrow"}]},
        "open": {"all": OPEN_ONES},
    }

    def condition(self, request: HttpRequest, chosen: str) -> Q:
        today = due_today(request.user)
        conditions = {
            "overdue": overdue(),
            "today": today,
            "later_today": today & ~overdue(),
            "now": overdue() | today,
            "open": OPEN,
        }
        return conditions[chosen]


class RecordsForm(verbs.VerbForm):
    """The records that a task is about beside its first one."""

    records = RecordsTextField()


@admin.register(Task)
class TaskAdmin(TaskBoard):
    menu = Menu(SELL, "task_alt", 50)
    list_display = (
        "title",
        "subject",
        "task_type",
        "shown_status",
        "shown_priority",
        "shown_due",
        "shown_assigned_to",
        "shown_owner",
    )
    shown_status = edited(
        columns.choice_badge("status", {"completed": "good", "in_progress": "info"}), "status"
    )
    shown_priority = columns.choice_badge(
        "priority", {"high": "warn", "urgent": "bad"}, silent=("low", "medium")
    )
    shown_due = columns.deadline(
        "due_date", _("due"), still=lambda task: task.status in ("pending", "in_progress")
    )
    list_filter = (DueFilter, "status", "priority", "task_type", ("due_date", MomentRangeFilter))
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
        (_("About"), {"fields": RELATED_RECORDS, "description": _("One of these at most.")}),
    )
    actions = ("complete", "assign", "archive", "restore")
    actions_detail = ("records",)

    def summary(self, request: HttpRequest, task: Task) -> Summary:
        """With the further records that the user sees."""
        plain = super().summary(request, task)
        further = [
            Fact(_("Also about"), one["name"], page_url(entities[one["entity"]].model, one["id"]))
            for one in further_records.shown(TaskRecord, [task.pk], request.user).get(task.pk, [])
        ]
        return replace(plain, facts=[*plain.facts, *further])

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_POST(self.tick))
        return [path("<int:object_id>/tick/", view, name="tasks_task_tick"), *super().get_urls()]

    def tick(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Complete a task from the page of the record that it is about (`of`: entity:id): htmx gets the
        panel of tasks anew, a form without JavaScript the page."""
        entity, _colon, pk = request.POST.get("of", "").partition(":")
        about = entities.get(entity) if entity in RELATED_RECORDS else None
        record = (
            about
            and pk.isdecimal()
            and seen_by(request.user, about.model.objects.all()).filter(pk=pk).first()
        )
        if not record:
            raise Http404

        def work() -> HttpResponse:
            task = writing.locked(self.entity, object_id, request.user)
            complete(self.entity, task, request.user)
            return HttpResponse()

        back = page_url(type(record), record.pk)
        if "HX-Request" not in request.headers:
            self.excused(request, work, back)
            return HttpResponseRedirect(back)
        try:
            self.acting(request, work)
            said = gettext("Ticked off.")
        except DomainError as error:
            said = str(error)
        panel = related.build(record, request.user)
        context = {"panel": panel and replace(panel, said=said)}
        return TemplateResponse(request, "admin/core/panel.html", context)

    def has_records_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, Permission.CHANGE)

    @action(description=_("Also about …"), permissions=["records"])
    def records(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks which further records the task is about."""
        return self.excused(request, lambda: self._records(request, object_id), self.page_of(object_id))

    def _records(self, request: HttpRequest, object_id: str) -> HttpResponse:
        task = self.changeable(request, object_id)
        shown = further_records.shown(TaskRecord, [task.pk], request.user).get(task.pk, [])
        form = RecordsForm(request, initial={"records": further_records.as_text(shown)})
        if not form.is_valid():
            return verbs.page(self, request, _("Further records of %(task)s") % {"task": task}, form, [], {})
        refs = form.cleaned_data["records"]
        further_records.check(refs, request.user, RELATED_RECORDS)
        further_records.replace(TaskRecord, task, refs, request.user)
        self.message_user(request, _("Saved."), messages.SUCCESS)
        return HttpResponseRedirect(self.page_of(task.pk))

    @admin.display(description=_("about"))
    def subject(self, task: Task) -> str:
        return next((str(record) for name in RELATED_RECORDS if (record := getattr(task, name))), "")

    @admin.action(description=_("Complete"), permissions=["change"])
    def complete(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Of a recurring task the next one is made."""
        self.one_by_one(
            request, queryset, "completed", lambda task: complete(self.entity, task, request.user)
        )


@admin.register(CalendarFeed)
class CalendarFeedAdmin(ReadOnlyAdmin):
    menu = Menu(SYSTEM, "calendar_month", 40)
    """Users with a calendar feed; administrators can revoke it."""

    list_display = ("user", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("=user__username",)
    ordering = ("-created_at",)
    exclude = ("digest",)
    actions = ("end",)

    @admin.action(description=_("Take these addresses back"), permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet) -> None:
        count, _ = CalendarFeed.objects.filter(pk__in=queryset.values("pk")).delete()
        self.message_user(request, gettext("%(count)s taken back.") % {"count": count})
