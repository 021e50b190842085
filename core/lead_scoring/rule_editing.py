"""Replacing the rules, over the API and in the admin site."""

from collections.abc import Callable
from typing import Any

from django.db import transaction

from core.entities.locks import MATCHING, lock
from core.lead_scoring import jobs
from core.lead_scoring.models import ScoringJob, ScoringRules
from core.lead_scoring.rule_store import keep_rules, newest_rules
from core.lead_scoring.rules import RuleSet
from core.lead_scoring.scoring_target import target_of


def replace_rules(rules: RuleSet, user: Any, check: Callable[[int | None], None]) -> ScoringRules:
    """Store new rules and have all leads scored anew. `check` is given the version that they replace, under
    lock, and raises where that is not the one that was read."""
    with transaction.atomic():
        lock(MATCHING, "scoring rules")
        check(newest_rules(target_of()))
        kept = keep_rules(rules, user)
        jobs.start(ScoringJob.Kind.BULK)
    return kept
