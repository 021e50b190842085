"""The deals of a company or contact on its page."""

from typing import Any

from django.db.models import OuterRef, Q, Subquery
from django.utils.translation import gettext as _

from core.access import Permission, role_allows
from core.admin import formats, home
from core.admin.home import Panel, PanelLine
from core.entities.blanking import seen_by
from opportunities.deal_contacts import of_contacts
from opportunities.models import Opportunity, Stage

OF = ("company", "contact")
TONES = {"open": "info", "won": "good", "lost": "bad"}


def build(record: Any, user: Any) -> Panel | None:
    """The newest deals, open ones first."""
    name = record.entity_name
    if name not in OF:
        return None
    stage = Stage.objects.filter(pipeline=OuterRef("pipeline"), key=OuterRef("stage")).values("name")[:1]
    of_record = of_contacts([record.pk]) if name == "contact" else Q(company=record.pk)
    rows = seen_by(user, Opportunity.objects.unarchived()).filter(of_record)
    found = rows.annotate(stage_name=Subquery(stage)).order_by("status", "-id")
    lines = [
        PanelLine(
            deal.name,
            home.page_url(Opportunity, deal.pk),
            formats.money(deal.amount, deal.currency),
            formats.badge(deal.stage_name or deal.stage, TONES[deal.status]),
        )
        for deal in found[: home.LINES]
    ]
    url = home.list_url(Opportunity, **{f"{name}__id__exact": record.pk})
    add = f"{home.add_url(Opportunity)}?{name}={record.pk}" if role_allows(user, Permission.ADD) else ""
    return Panel(_("Opportunities"), "handshake", url, lines, _("No deal yet."), add_url=add)
