"""The board of deals in the admin site: the stages of one pipeline, with what they come to by currency."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.admin import formats
from core.admin.board import BoardAdmin, BoardChoice, BoardColumn, ColumnFigures
from opportunities.models import LostReason, Opportunity, Pipeline, Stage
from opportunities.querysets import OPEN

# The filter of the list that names a pipeline.
PIPELINE = "pipeline__id__exact"
OPEN_FIRST = (F("expected_close_date").asc(nulls_last=True), "id")
NEWEST_FIRST = ("-actual_close_date", "-id")
# Of closed deals the board shows those of so many days; the list has all.
CLOSED_DAYS = 90
TONES = {"open": "neutral", "won": "good", "lost": "bad"}


class OpportunityBoard(BoardAdmin):
    """Deals by stage."""

    def narrowed(self, request: HttpRequest, given: QueryDict) -> QueryDict:
        """Of one pipeline: the one that is asked for, else the default one."""
        pipeline = pipeline_of(given.get(PIPELINE, ""))
        given[PIPELINE] = str(pipeline.pk)
        request.stages = {stage.key: stage for stage in pipeline.stages.all()}  # type: ignore[attr-defined]
        return given

    def board_choices(self, request: HttpRequest) -> Sequence[BoardChoice]:
        given, chosen = request.GET.copy(), request.GET[PIPELINE]
        found = list(Pipeline.objects.filter(Q(is_active=True) | Q(pk=chosen)))
        choices = []
        for pipeline in found if len(found) > 1 else ():
            given[PIPELINE] = str(pipeline.pk)
            choices.append(BoardChoice(pipeline.name, given.urlencode(), str(pipeline.pk) == chosen))
        return choices

    def board_columns(self, request: HttpRequest) -> Sequence[BoardColumn]:
        pipeline = Q(pipeline=request.GET[PIPELINE])
        named = LostReason.objects.filter(pipeline | Q(pipeline=None), is_active=True)
        reasons = (
            named.exclude(key=LostReason.OTHER).order_by("position", "id").values_list("name", flat=True)
        )
        stages: Mapping[str, Stage] = request.stages  # type: ignore[attr-defined]
        return [_column(stage, list(reasons) if stage.is_lost else []) for stage in stages.values()]

    def figures(self, rows: Any, columns: Sequence[BoardColumn]) -> Mapping[str, ColumnFigures]:
        found = rows.filter(OPEN | closed_lately()).by_stage()
        return {
            column.key: _figures(found.get(column.key, []), closed=column.tone != TONES["open"])
            for column in columns
        }

    def card_rows(self, rows: QuerySet) -> QuerySet:
        return rows.select_related("company", "owner", "assigned_to")

    def card_lines(self, request: HttpRequest, record: Opportunity) -> Sequence[Any]:
        person = record.assigned_to or record.owner
        company = str(record.company) if record.company else record.company_name
        return (
            formats.money(record.amount, record.currency),
            "" if company in record.name else company,
            record.next_step,
            person.get_full_name() if person else "",
        )

    def card_badges(self, request: HttpRequest, record: Opportunity) -> Sequence[Any]:
        """What an open deal asks attention for: it rests for longer than its stage allows, or is late."""
        if record.status != "open":
            return ()
        stage: Stage | None = request.stages.get(record.stage)  # type: ignore[attr-defined]
        found = []
        moved = record.stage_changed_at
        days = (timezone.now() - moved).days if moved else 0
        if stage and stage.rotting_days is not None and days > stage.rotting_days:
            title = ngettext(
                "Longer than the %(n)s day of this stage",
                "Longer than the %(n)s days of this stage",
                stage.rotting_days,
            ) % {"n": stage.rotting_days}
            here = ngettext("%(n)s day here", "%(n)s days here", days) % {"n": days}
            found.append(formats.badge(here, "warn", title=title))
        closes = record.expected_close_date
        if closes and closes < timezone.localdate():
            found.append(formats.badge(formats.when(closes), "bad", title=_("Expected close")))
        elif closes:
            found.append(formats.badge(formats.when(closes), title=_("Expected close")))
        return found


def pipeline_of(asked: str) -> Pipeline:
    """The pipeline with the id that is asked for, else the default one."""
    known = Pipeline.objects.filter(pk=int(asked)).first() if asked.isdecimal() and len(asked) < 10 else None
    return known or Pipeline.objects.get(is_default=True)


def closed_lately() -> Q:
    """Closed within the last CLOSED_DAYS days."""
    return ~OPEN & Q(actual_close_date__gte=timezone.localdate() - timedelta(days=CLOSED_DAYS))


def _column(stage: Stage, reasons: Sequence[str]) -> BoardColumn:
    asks = "lost_reason" if stage.is_lost else ""
    is_open = stage.outcome == "open"
    rows = Q(stage=stage.key) & (Q() if is_open else closed_lately())
    order = OPEN_FIRST if is_open else NEWEST_FIRST
    return BoardColumn(
        stage.key, stage.name, rows, order, {"stage": stage.key}, asks, reasons, TONES[stage.outcome]
    )


def _figures(rows: Sequence[Mapping[str, Any]], *, closed: bool) -> ColumnFigures:
    """Totals of a stage, and weighted ones where they differ; of a closed one, of how many days."""
    total = {row["currency"]: row["total_value"] for row in rows if row["count"]}
    weighted = {row["currency"]: row["total_weighted_value"] for row in rows if row["count"]}
    details = [formats.totals(total)] if total else []
    details += [_("last %(days)s days") % {"days": CLOSED_DAYS}] if closed else []
    if not closed and any(weighted.values()) and weighted != total:
        details.append(_("%(total)s weighted") % {"total": formats.totals(weighted)})
    return ColumnFigures(f"{sum(row['deals'] for row in rows):,}", details)
