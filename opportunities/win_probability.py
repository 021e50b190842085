"""The win probability of a deal with its reasons, and how forecasts by it would have gone."""

from typing import Any

from core.lead_scoring import engine
from core.lead_scoring.answers import shown_to, stored_reasons
from core.lead_scoring.feature_reader import training_reader
from core.lead_scoring.history import training_snapshots
from core.lead_scoring.models import ScoringModel
from core.lead_scoring.rule_store import rules_of
from opportunities.backtest import backtest
from opportunities.models import Opportunity, OpportunityScore, OpportunityStatus
from opportunities.scoring import DEALS

SHOWN = ("probability", "score", "base", "factors", "model_version", "warning", "scored_at")


def win_probability(deal: Opportunity, user: Any) -> dict[str, Any]:
    """What the stage says, and what the model does with its reasons, where there is one, as `user` may see
    them."""
    by = engine.current(DEALS)
    found = {"opportunity_id": deal.pk, "stage_probability": deal.probability}
    is_open = deal.status == OpportunityStatus.OPEN
    if not by.scores or not (is_open or OpportunityScore.objects.filter(pk=deal.pk).exists()):
        nothing: dict[str, Any] = {"probability": None, "score": None, "factors": [], "model_version": None}
        return found | nothing | {"warning": by.warning}
    reasons = shown_to(user, stored_reasons(deal.pk, DEALS), DEALS)
    return found | {name: reasons[name] for name in SHOWN if name in reasons}


def newest_backtest() -> dict[str, Any]:
    """As measured at the newest training; without blocks where there was none, or too few deals."""
    rows = ScoringModel.objects.filter(entity=DEALS.entity).exclude(backtest={}).order_by("-id")
    row = rows.values("pk", "backtest").first()
    return {"model_version": row["pk"], **row["backtest"]} if row else {"model_version": None, "blocks": []}


def backtest_now() -> dict[str, Any]:
    """The same of all deals that are closed now; empty where they are too few."""
    seen = training_snapshots(training_reader(DEALS))
    return backtest(seen.frame, seen.won, seen.weight, seen.group, rules_of(DEALS, None))
