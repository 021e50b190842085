"""The leads that became a contact, company or opportunity, on its page."""

from typing import Any

from django.utils.translation import gettext as _

from core.admin import formats, home
from core.admin.home import Panel, PanelLine
from core.entities.blanking import seen_by
from lead_management.models import Lead

TARGETS = ("contact", "company", "opportunity")


def build(record: Any, user: Any) -> Panel | None:
    """None where no lead did."""
    name = record.entity_name
    if name not in TARGETS:
        return None
    rows = (
        seen_by(user, Lead.objects.all()).filter(**{f"converted_{name}": record.pk}).order_by("-converted_at")
    )
    lines = [
        PanelLine(str(lead), home.page_url(Lead, lead.pk), formats.when(lead.converted_at))
        for lead in rows[: home.LINES]
    ]
    url = home.list_url(Lead, archived="any", **{f"converted_{name}__id__exact": record.pk})
    return Panel(_("Converted from"), "person_search", url, lines, "") if lines else None
