"""Lead scoring on the home page of administrators: what scores, and how well."""

from typing import Any

from django.utils.translation import gettext as _

from core.admin import formats, home
from core.admin.home import HomePart, Panel, PanelLine
from core.lead_scoring.models import ScoringModel

SHOWN = 3
TONES = {"active": "good", "rejected": "warn"}


def build(user: Any) -> HomePart:
    return HomePart(system=[_models()]) if home.runs_system(user) else HomePart()


def _models() -> Panel:
    rows = ScoringModel.objects.defer("artefact", "holdout_model").order_by("-id")[:SHOWN]
    lines = [
        PanelLine(
            _("Model %(id)s, learned from %(n)s leads") % {"id": row.pk, "n": row.leads},
            home.page_url(ScoringModel, row.pk),
            formats.when(row.activated_at or row.created_at),
            formats.badge(row.get_status_display(), TONES.get(row.status, "neutral")),
        )
        for row in rows
    ]
    return Panel(
        _("Scoring models"),
        "network_intelligence",
        home.list_url(ScoringModel),
        lines,
        _("The rules score alone."),
    )
