"""Questions about tasks."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from core.entities.zones import day_start
from core.models.record import RecordQuerySet

OPEN = Q(status__in=("pending", "in_progress"))


def overdue(now: datetime | None = None) -> Q:
    """Open and past its due time."""
    return OPEN & Q(due_date__lt=now or timezone.now())


def due_today(user: Any = None) -> Q:
    """Open and due on the present day of the user's time zone."""
    start = day_start(user)
    return OPEN & Q(due_date__gte=start, due_date__lt=start + timedelta(days=1))


class TaskQuerySet(RecordQuerySet):
    def open(self) -> "TaskQuerySet":
        return self.filter(OPEN)

    def overdue(self) -> "TaskQuerySet":
        return self.filter(overdue())

    def statistics(self, user: Any = None) -> dict[str, Any]:
        """Totals, what is late or due today, and the share completed (0 to 1) of those not cancelled, by one
        query."""
        found = self.breakdown(
            "status",
            "priority",
            "task_type",
            open=Count("pk", filter=OPEN),
            overdue=Count("pk", filter=overdue()),
            due_today=Count("pk", filter=due_today(user)),
        )
        total, completed = found.total(), found.total(status="completed")
        wanted = total - found.total(status="cancelled")
        return {
            "total": total,
            **{name: found.total(name) for name in ("open", "overdue", "due_today")},
            "completed": completed,
            "completion_rate": round(completed / wanted, 4) if wanted else 0,
            "by_status": found.counts("status"),
            "by_priority": found.counts("priority"),
            "by_type": found.counts("task_type"),
        }
