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
        """Totals, what is late or due today, and the share completed (0 to 1) of those not cancelled."""
        totals = self.aggregate(
            total=Count("pk"),
            open=Count("pk", filter=OPEN),
            overdue=Count("pk", filter=overdue()),
            due_today=Count("pk", filter=due_today(user)),
            completed=Count("pk", filter=Q(status="completed")),
            cancelled=Count("pk", filter=Q(status="cancelled")),
        )
        wanted = totals["total"] - totals.pop("cancelled")
        return totals | {
            "completion_rate": round(totals["completed"] / wanted, 4) if wanted else 0,
            "by_status": self.counts("status"),
            "by_priority": self.counts("priority"),
            "by_type": self.counts("task_type"),
        }
