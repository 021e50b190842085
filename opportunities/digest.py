"""What opportunities add to the digest."""

from datetime import timedelta

from django.db.models import Q

from core.notifications.digest import DigestPeriod, of_records, section
from opportunities.stages import is_rotting

CLOSING_WITHIN = timedelta(days=7)
OPEN = Q(status="open")


def _moved(period: DigestPeriod) -> Q:
    """In another stage than at the last digest; a new deal has not moved."""
    return Q(stage_changed_at__gte=period.since, created_at__lt=period.since)


def _rotting(period: DigestPeriod) -> Q:
    return is_rotting()


def _closing(period: DigestPeriod) -> Q:
    """Expected to close within a week, or by now."""
    return OPEN & Q(expected_close_date__lte=period.day + CLOSING_WITHIN)


section(
    "deals_moved", "Deals that moved", of_records("opportunity", _moved, ("-stage_changed_at",), ("stage",))
)
section(
    "deals_rotting",
    "Deals that rest too long",
    of_records("opportunity", _rotting, ("stage_changed_at",), ("stage", "amount", "currency")),
)
section(
    "deals_closing",
    "Deals that should close",
    of_records(
        "opportunity", _closing, ("expected_close_date",), ("expected_close_date", "amount", "currency")
    ),
)
