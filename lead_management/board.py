"""The board of leads in the admin site, by status."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from core.admin import formats
from core.admin.board import BoardAdmin, BoardColumn
from lead_management.models import Lead, LeadStatus
from lead_management.querysets import CLOSED, HOT

TONES = {LeadStatus.CONVERTED: "good", LeadStatus.LOST: "bad"}
# As the index of states has them: a column of a million leads is drawn as fast as one of ten.
NEWEST_FIRST = ("-id",)


class LeadBoard(BoardAdmin):
    """A lead becomes `converted` by its own verb only, and `lost` for a reason."""

    def board_columns(self, request: HttpRequest) -> Sequence[BoardColumn]:
        return [
            BoardColumn(
                status.value,
                status.label,
                Q(status=status),
                NEWEST_FIRST,
                None if status == LeadStatus.CONVERTED else {"status": status.value},
                "lost_reason" if status == LeadStatus.LOST else "",
                tone=TONES.get(status, "neutral"),
            )
            for status in LeadStatus
        ]

    def card_rows(self, rows: QuerySet) -> QuerySet:
        return rows.select_related("owner", "assigned_to")

    def card_lines(self, request: HttpRequest, record: Lead) -> Sequence[Any]:
        person = record.assigned_to or record.owner
        return (
            record.company_name,
            formats.money(record.estimated_value, record.currency),
            person.get_full_name() if person else "",
        )

    def card_badges(self, request: HttpRequest, record: Lead) -> Sequence[Any]:
        hot = record.status not in CLOSED and record.lead_score > HOT
        found = [formats.badge(record.lead_score, "warn" if hot else "neutral", title=_("Score"))]
        if record.next_follow_up_at and record.status not in CLOSED:
            found.append(formats.badge(formats.when(record.next_follow_up_at), title=_("Next follow-up")))
        return found
