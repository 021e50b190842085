"""What leads add to the digest."""

from django.db.models import Q

from core.notifications.digest import DigestPeriod, of_records, section
from lead_management.querysets import IS_HOT, OPEN


def _new(period: DigestPeriod) -> Q:
    return OPEN & Q(created_at__gte=period.since, created_at__lt=period.now)


def _hot(period: DigestPeriod) -> Q:
    return IS_HOT


section("new_leads", "New leads", of_records("lead", _new, ("-created_at",), ("company_name", "lead_source")))
section(
    "hot_leads", "Hot leads", of_records("lead", _hot, ("-lead_score", "-id"), ("company_name", "lead_score"))
)
