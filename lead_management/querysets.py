"""Questions about leads."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone

from core.entities.record_counts import Counts
from core.entities.zones import day_start
from core.models.counted import CountedBy
from core.models.record import Breakdown, RecordQuerySet

# Above this score a lead is hot.
HOT = 70
CLOSED = ("converted", "unqualified", "lost")
OPEN = ~Q(status__in=CLOSED)
# Whoever bought or declined is no longer hot, whatever the score.
IS_HOT = OPEN & Q(lead_score__gt=HOT)
# After so many days without a contact a lead was left alone.
LEFT_ALONE_DAYS = 7


def left_alone() -> Q:
    """Not contacted for LEFT_ALONE_DAYS days, or never."""
    limit = timezone.now() - timedelta(days=LEFT_ALONE_DAYS)
    return Q(last_contacted_at=None) | Q(last_contacted_at__lt=limit)


def follow_up_due(user: Any) -> Q:
    """To be followed up before the present day of the user ends."""
    return OPEN & Q(next_follow_up_at__lt=day_start(user) + timedelta(days=1))


# What is counted of live leads as they change: the figures of `figures_of`.
COUNTED_BY = CountedBy(
    columns=("status", "lead_source", "priority"),
    figures={
        "score": "r.lead_score",
        "hot": f"(r.lead_score > {HOT} AND r.status NOT IN {CLOSED})::int",
    },
    read=("lead_score",),
)


class LeadQuerySet(RecordQuerySet):
    def statistics(self) -> dict[str, Any]:
        """Totals and breakdowns of these leads, by one query. `conversion_rate` is the share of converted
        ones, 0 to 1."""
        score, hot = Sum("lead_score"), Count("pk", filter=IS_HOT)
        return figures_of(self.breakdown(*COUNTED_BY.columns, score=score, hot=hot))


def figures_of(found: Breakdown | Counts) -> dict[str, Any]:
    """The statistics of leads that were counted by status, source and priority."""
    total, converted = found.total(), found.total(status="converted")
    return {
        "total": total,
        "average_score": round(found.total("score") / total, 2) if total else 0,
        "hot": found.total("hot"),
        "converted": converted,
        "conversion_rate": round(converted / total, 4) if total else 0,
        "by_status": found.counts("status"),
        "by_source": found.counts("lead_source"),
        "by_priority": found.counts("priority"),
    }
