"""What scoring knows of deals: their features, their outcome, and how the forecast would have gone by it."""

from typing import Any

import numpy as np
from django.db.models import Q
from django.utils.translation import gettext_noop

from core.lead_scoring.activity_counts import INBOUND, MEETINGS, activity_counts
from core.lead_scoring.features import Kind
from core.lead_scoring.rules import Rule, RuleSet
from core.lead_scoring.scoring_target import Batch, ScoringTarget, days_since, days_until, scoring_targets
from opportunities.backtest import backtest
from opportunities.models import (
    OpportunityPending,
    OpportunityScore,
    OpportunityStatus,
    Pipeline,
)

# What the stage alone says: beside it a model has to prove itself. Fitted to outcomes like any rules.
STAGE_STEPS = {20: 8, 40: 10, 60: 12, 80: 12}
STAGE_RULES = RuleSet(
    base=50,
    rules=tuple(
        Rule(f"stage_{least}", "probability", "at_least", least, points, f"Stage of {least} % or more")
        for least, points in STAGE_STEPS.items()
    ),
)

DEALS = scoring_targets.register(
    "opportunity",
    ScoringTarget(
        entity="opportunity",
        won=Q(status=OpportunityStatus.WON),
        lost=Q(status=OpportunityStatus.LOST),
        outcome_column="status",
        score_model=OpportunityScore,
        pending_model=OpportunityPending,
        score_column="win_score",
        probability_column="win_probability",
        default_rules=STAGE_RULES,
        landmarks=(0, 7, 30, 60, 90),
        open_values=frozenset((OpportunityStatus.OPEN.value,)),
        scored=Q(status=OpportunityStatus.OPEN),
        has_rules=False,
        backtest=backtest,
    ),
)

DEALS.plain("probability", gettext_noop("Probability of the stage"), Kind.NUMBER)
DEALS.plain("stage", "Stage", Kind.CATEGORY)
DEALS.plain("amount", "Amount", Kind.NUMBER)
DEALS.plain("currency", "Currency", Kind.CATEGORY)
DEALS.plain("lead_source", "Source", Kind.CATEGORY)
DEALS.plain("tags", "Tags", Kind.MULTI)
DEALS.plain("forecast_category", gettext_noop("Forecast category"), Kind.CATEGORY)


@DEALS.feature("pipeline", "Pipeline", Kind.CATEGORY, "pipeline_id")
def _pipeline(batch: Batch) -> list[str | None]:
    names = dict(Pipeline.objects.values_list("pk", "name"))
    return [names.get(pk) for pk in batch.columns["pipeline_id"]]


@DEALS.feature("contact", "Contact", Kind.CATEGORY, "contact_id")
def _contact(batch: Batch) -> list[str | None]:
    """Whether somebody is known there: never who."""
    return ["known" if pk else None for pk in batch.columns["contact_id"]]


@DEALS.feature("company", "Company", Kind.CATEGORY, "company_id")
def _company(batch: Batch) -> list[str | None]:
    return ["known" if pk else None for pk in batch.columns["company_id"]]


@DEALS.feature("next_step", "Next step", Kind.CATEGORY, "next_step")
def _next_step(batch: Batch) -> list[str | None]:
    """Whether one is planned: never its words."""
    return ["planned" if text else None for text in batch.columns["next_step"]]


@DEALS.feature("age_days", "Days since creation", Kind.NUMBER, "created_at")
def _age(batch: Batch) -> np.ndarray:
    return days_since(batch.columns["created_at"], batch.moments)


@DEALS.feature("days_since_contact", "Days since contact", Kind.NUMBER, "last_contacted_at")
def _recency(batch: Batch) -> np.ndarray:
    return days_since(batch.columns["last_contacted_at"], batch.moments)


@DEALS.feature("days_until_close", "Days until expected close", Kind.DATE, "expected_close_date")
def _closing(batch: Batch) -> np.ndarray:
    return days_until(batch.columns["expected_close_date"], batch.moments)


@DEALS.feature("meetings", "Meetings", Kind.NUMBER, "last_contacted_at")
def _meetings(batch: Batch) -> Any:
    return activity_counts(batch, "opportunity")[:, MEETINGS]


@DEALS.feature("inbound", "Heard from them", Kind.NUMBER, "last_contacted_at")
def _inbound(batch: Batch) -> Any:
    return activity_counts(batch, "opportunity")[:, INBOUND]
