"""What may be reported of leads."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, TruncDate

from core.changes.models import Change
from core.labels import english
from core.reports.reported import LOST, OPEN, WON, ReportedEntity, ReportStep, reported_entities
from lead_management.models import LeadStatus

LOST_STATUSES = (LeadStatus.LOST, LeadStatus.UNQUALIFIED)
OUTCOMES = {LeadStatus.CONVERTED: WON, **dict.fromkeys(LOST_STATUSES, LOST)}


def statuses(scope: int | None) -> Sequence[ReportStep]:
    """All leads go one way."""
    return [
        ReportStep(status.value, english(status.label), OUTCOMES.get(status, OPEN)) for status in LeadStatus
    ]


def closed_on(zone: ZoneInfo) -> Any:
    """The day of the conversion; of others, that of the last change of status, or else of the creation."""
    moves = Change.objects.filter(entity="lead", object_id=OuterRef("pk"), changes__has_key="status")
    moved = Subquery(moves.order_by("-id").values("at")[:1])
    return TruncDate(Coalesce("converted_at", moved, "created_at"), tzinfo=zone)


reported_entities.register(
    "lead",
    ReportedEntity(
        entity="lead",
        won=Q(status=LeadStatus.CONVERTED),
        lost=Q(status__in=LOST_STATUSES),
        closed_on=closed_on,
        amount="estimated_value",
        step_column="status",
        steps=statuses,
        source_column="lead_source",
        reason=F("lost_reason"),
    ),
)
