"""What leads add to the digest."""

from django.db.models import Q

from core.notifications.digest import Period, of_records, section
from lead_management.querysets import HOT

# Those that are over need nobody's attention.
OPEN = ~Q(status__in=("converted", "unqualified", "lost"))


def _new(period: Period) -> Q:
    return OPEN & Q(created_at__gte=period.since, created_at__lt=period.now)


def _hot(period: Period) -> Q:
    return OPEN & Q(lead_score__gt=HOT)


section("new_leads", "New leads", of_records("lead", _new, ("-created_at",), ("company_name", "lead_source")))
section(
    "hot_leads", "Hot leads", of_records("lead", _hot, ("-lead_score", "-id"), ("company_name", "lead_score"))
)
