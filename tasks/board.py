"""The board of open tasks in the admin site, by when they are due in the reader's time zone."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.admin import formats
from core.admin.board import BoardAdmin, BoardColumn
from core.entities.zones import day_start
from tasks.models import RELATED_RECORDS, Task
from tasks.querysets import OPEN

ORDER = (F("due_date").asc(nulls_last=True), "id")
PRIORITIES = {"high": "warn", "urgent": "bad"}


class TaskBoard(BoardAdmin):
    """Moving a task sets its due date: the end of the day, of tomorrow, of the seventh day, or none."""

    def board_columns(self, request: HttpRequest) -> Sequence[BoardColumn]:
        today = day_start(request.user)
        days = [today + timedelta(days=count) for count in (0, 1, 2, 8)]

        def column(key: str, title: Any, rows: Q, day: Any = None, tone: str = "neutral") -> BoardColumn:
            values = {"due_date": day.date().isoformat()} if day else None
            return BoardColumn(key, title, OPEN & rows, ORDER, values, tone=tone)

        def between(start: Any, end: Any) -> Q:
            return Q(due_date__gte=start, due_date__lt=end)

        return [
            column("overdue", _("Before today"), Q(due_date__lt=days[0]), tone="bad"),
            column("today", _("Today"), between(days[0], days[1]), days[0]),
            column("tomorrow", _("Tomorrow"), between(days[1], days[2]), days[1]),
            column("week", _("Within a week"), between(days[2], days[3]), today + timedelta(days=7)),
            column("later", _("Later"), Q(due_date__gte=days[3])),
            BoardColumn("none", _("No due date"), OPEN & Q(due_date=None), ORDER, {"due_date": None}),
        ]

    def card_rows(self, rows: QuerySet) -> QuerySet:
        return rows.select_related("owner", "assigned_to", *RELATED_RECORDS)

    def card_lines(self, request: HttpRequest, record: Task) -> Sequence[Any]:
        person = record.assigned_to or record.owner
        about = next((found for name in RELATED_RECORDS if (found := getattr(record, name))), None)
        return str(about) if about else "", person.get_full_name() if person else ""

    def card_barred(self, record: Task) -> Sequence[str]:
        """What recurs does so from a day on."""
        return ("none",) if record.recurrence else ()

    def card_badges(self, request: HttpRequest, record: Task) -> Sequence[Any]:
        found = [formats.badge(formats.when(record.due_date))] if record.due_date else []
        if record.priority in PRIORITIES:
            found.append(formats.badge(record.get_priority_display(), PRIORITIES[record.priority]))
        return found
