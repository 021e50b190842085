"""Questions about tasks."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from core.entities.record_counts import Counts
from core.entities.zones import day_start
from core.models.counted import CountedBy
from core.models.record import Breakdown, RecordQuerySet

OPEN = Q(status__in=("pending", "in_progress"))


def overdue(now: datetime | None = None) -> Q:
    """Open and past its due time."""
    return OPEN & Q(due_date__lt=now or timezone.now())


def due_today(user: Any = None) -> Q:
    """Open and due on the present day of the user's time zone."""
    start = day_start(user)
    return OPEN & Q(due_date__gte=start, due_date__lt=start + timedelta(days=1))


# What is counted of live tasks as they change: the figures of `figures_of`.
COUNTED_BY = CountedBy(columns=("status", "priority", "task_type"))


class TaskQuerySet(RecordQuerySet):
    def open(self) -> "TaskQuerySet":
        return self.filter(OPEN)

    def overdue(self) -> "TaskQuerySet":
        return self.filter(overdue())

    def statistics(self, user: Any = None) -> dict[str, Any]:
        """Totals, what is late or due today, and the share completed (0 to 1) of those not cancelled, by one
        query."""
        late, today = Count("pk", filter=overdue()), Count("pk", filter=due_today(user))
        found = self.breakdown(*COUNTED_BY.columns, overdue=late, due_today=today)
        return figures_of(found, {name: found.total(name) for name in ("overdue", "due_today")})

    def due(self, user: Any = None) -> dict[str, int]:
        """How many are late, and how many are due today."""
        by_now = self.filter(OPEN, due_date__lt=day_start(user) + timedelta(days=1)).order_by()
        late, today = Count("pk", filter=overdue()), Count("pk", filter=due_today(user))
        return by_now.aggregate(overdue=late, due_today=today)


def figures_of(found: Breakdown | Counts, due: Mapping[str, int]) -> dict[str, Any]:
    """The statistics of tasks that were counted by status, priority and type, with what is `due`."""
    by_status = found.counts("status")
    total = sum(by_status.values())
    wanted, completed = total - by_status["cancelled"], by_status["completed"]
    return {
        "total": total,
        "open": by_status["pending"] + by_status["in_progress"],
        **due,
        "completed": completed,
        "completion_rate": round(completed / wanted, 4) if wanted else 0,
        "by_status": by_status,
        "by_priority": found.counts("priority"),
        "by_type": found.counts("task_type"),
    }
