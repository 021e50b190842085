"""Opportunities on the home page: what is open and won, what closes soon, where the pipeline stands."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.admin import formats, home
from core.admin.home import Figure, HomePart, Panel, PanelLine
from core.entities.blanking import seen_by
from opportunities.models import Opportunity, Stage
from opportunities.querysets import CLOSING_WEEKS, OPEN, closing, total, won_this_month


def build(user: Any) -> HomePart:
    today = timezone.localdate(timezone=user.zone)
    rows = seen_by(user, Opportunity.objects.unarchived())
    figures = _figures(rows, today)
    team = [_pipeline(rows)] if home.has_team(user) else []
    return HomePart(figures, [_closing(rows, user, today)] if home.has_day(user) else [], team)


def _figures(rows: Any, today: date) -> list[Figure]:
    """What is open and what was won in the present month, by currency, in one statement."""
    won = won_this_month(today)
    counted = rows.filter(OPEN | won).order_by().values("currency")
    found = list(
        counted.annotate(
            open_deals=Count("pk", filter=OPEN),
            won_deals=Count("pk", filter=won),
            open_value=total("amount", OPEN),
            won_value=total("amount", won),
        )
    )
    return [
        _figure(_("Open pipeline"), found, "open", home.list_url(Opportunity, status__exact="open")),
        _figure(
            _("Won this month"), found, "won", home.list_url(Opportunity, closing="won_this_month"), "good"
        ),
    ]


def _figure(label: str, found: list[dict[str, Any]], kind: str, url: str, tone: str = "") -> Figure:
    amounts: dict[str, Decimal] = {row["currency"]: row[f"{kind}_value"] for row in found}
    deals = sum(row[f"{kind}_deals"] for row in found)
    counted = ngettext("%(n)s deal", "%(n)s deals", deals) % {"n": deals}
    first, *others = formats.by_size(amounts) or ["0"]
    return Figure(label, first, url, " · ".join([*others, counted]), tone if deals else "")


def _closing(rows: Any, user: Any, today: date) -> Panel:
    own = rows.filter(home.mine(user), closing(today))
    found = own.select_related("company").order_by("expected_close_date", "id")
    lines = [
        PanelLine(
            deal.name,
            home.page_url(Opportunity, deal.pk),
            formats.when(deal.expected_close_date),
            formats.badge(formats.short_money(deal.amount, deal.currency)) if deal.amount is not None else "",
        )
        for deal in found[: home.LINES]
    ]
    url = home.list_url(Opportunity, assignment="mine", closing="soon")
    title = _("Deals closing within %(weeks)s weeks") % {"weeks": CLOSING_WEEKS}
    return Panel(title, "event_upcoming", url, lines, _("No deal closes soon."), own.count())


def _pipeline(rows: Any) -> Panel:
    """The open deals of the default pipeline by stage; the longest bar is the stage with the most."""
    stages = Stage.objects.filter(pipeline__is_default=True, is_won=False, is_lost=False)
    counted = rows.filter(OPEN, pipeline__is_default=True).by_stage()
    most = max((sum(row["deals"] for row in found) for found in counted.values()), default=0) or 1
    lines = []
    for stage in stages.order_by("position", "id"):
        found = counted.get(stage.key, [])
        deals = sum(row["deals"] for row in found)
        amounts = {row["currency"]: row["total_value"] for row in found}
        lines.append(
            PanelLine(
                stage.name,
                home.list_url(
                    Opportunity, pipeline__id__exact=stage.pipeline_id, stage=stage.key, status__exact="open"
                ),
                formats.totals(amounts) if deals else "-",
                formats.badge(deals),
                round(100 * deals / most),
            )
        )
    url = home.list_url(Opportunity, status__exact="open")
    return Panel(_("Pipeline by stage"), "filter_alt", url, lines, _("No deal is open."))
