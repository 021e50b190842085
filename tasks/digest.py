"""What tasks add to the digest."""

from django.db.models import Q

from core.notifications.digest import DigestPeriod, of_records, section
from tasks.querysets import OPEN


def _due(period: DigestPeriod) -> Q:
    return OPEN & Q(due_date__gte=period.now, due_date__lt=period.day_end)


def _overdue(period: DigestPeriod) -> Q:
    return OPEN & Q(due_date__lt=period.now)


section("tasks_due", "Due today", of_records("task", _due, ("due_date",), ("due_date", "priority")))
section("tasks_overdue", "Overdue", of_records("task", _overdue, ("due_date",), ("due_date", "priority")))
