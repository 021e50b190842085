"""Leads on the home page: whom to call back, who is hot and was left alone, how many become customers."""

from typing import Any

from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.admin import formats, home
from core.admin.filters import since
from core.admin.home import Figure, HomePart, Panel, PanelLine
from core.entities.blanking import seen_by
from lead_management.models import Lead, LeadStatus
from lead_management.querysets import IS_HOT, OPEN, follow_up_due, left_alone

DAYS = 90


def build(user: Any) -> HomePart:
    figures = [_conversion(user)]
    if not home.has_day(user):
        return HomePart(figures)
    own = seen_by(user, Lead.objects.unarchived()).filter(home.mine(user), OPEN)
    hot, due = IS_HOT & left_alone(), follow_up_due(user)
    counts = own.aggregate(hot=Count("pk", filter=hot), due=Count("pk", filter=due))
    return HomePart(
        [_hot_figure(counts["hot"]), *figures],
        [
            _follow_ups(own.filter(due).order_by("next_follow_up_at", "id"), counts["due"]),
            _hot(own.filter(hot).order_by("-lead_score", "-id"), counts["hot"]),
        ],
    )


def _conversion(user: Any) -> Figure:
    """Of the leads that came in these days, the share converted by now."""
    recent = seen_by(user, Lead.objects.unarchived()).filter(created_at__gte=since(user, DAYS))
    found = recent.aggregate(total=Count("pk"), won=Count("pk", filter=Q(status=LeadStatus.CONVERTED)))
    total, won = found["total"], found["won"]
    share = f"{round(100 * won / total)}%" if total else "-"
    detail = ngettext("%(won)s of %(total)s lead", "%(won)s of %(total)s leads", total) % {
        "won": won,
        "total": total,
    }
    url = home.list_url(Lead, status__exact=LeadStatus.CONVERTED, created=f"{DAYS}d")
    return Figure(_("Conversion, %(days)s days") % {"days": DAYS}, share, url, detail)


def _hot_figure(count: int) -> Figure:
    url = home.list_url(Lead, assignment="mine", hot="left_alone")
    return Figure(_("Hot, not contacted"), str(count), url, tone="warn" if count else "")


def _follow_ups(rows: Any, count: int) -> Panel:
    late = timezone.now()
    lines = [
        PanelLine(
            _name(lead),
            home.page_url(Lead, lead.pk),
            formats.when(lead.next_follow_up_at),
            formats.badge(_("Overdue"), "bad") if lead.next_follow_up_at < late else "",
        )
        for lead in rows[: home.LINES]
    ]
    url = home.list_url(Lead, assignment="mine", follow_up="due")
    return Panel(_("Follow-ups"), "phone_callback", url, lines, _("No follow-up is due today."), count)


def _hot(rows: Any, count: int) -> Panel:
    lines = [
        PanelLine(
            _name(lead),
            home.page_url(Lead, lead.pk),
            formats.when(lead.last_contacted_at) or _("never contacted"),
            formats.badge(lead.lead_score, "warn", title=_("Score")),
        )
        for lead in rows[: home.LINES]
    ]
    url = home.list_url(Lead, assignment="mine", hot="left_alone")
    return Panel(
        _("Hot leads to contact"),
        "local_fire_department",
        url,
        lines,
        _("Every hot lead was contacted."),
        count,
    )


def _name(lead: Lead) -> str:
    return (
        f"{lead} · {lead.company_name}" if lead.company_name and lead.company_name != str(lead) else str(lead)
    )
