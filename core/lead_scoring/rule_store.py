"""Rule sets that are stored: the newest one scores, alone or beside what a model learned."""

from typing import Any

import numpy as np

from core.lead_scoring.feature_reader import FeatureReader, ruled_features
from core.lead_scoring.history import training_snapshots
from core.lead_scoring.model import Model
from core.lead_scoring.models import ScoringRules
from core.lead_scoring.rules import RuleSet, rules_from_json
from core.lead_scoring.scoring_target import ScoringTarget, target_of

# The newest closed leads whose mean points stand for a typical lead's.
TYPICAL = 2_000


def newest_rules(target: ScoringTarget) -> int | None:
    """The version that scores; None while the first rules were never replaced, or cannot be."""
    if not target.has_rules:
        return None
    return ScoringRules.objects.order_by("-id").values_list("id", flat=True).first()


def rules_of(target: ScoringTarget, rules_id: int | None) -> RuleSet:
    """A stored rule set; the target's first one where there is none."""
    if rules_id is None:
        return target.default_rules
    content = ScoringRules.objects.filter(pk=rules_id).values_list("content", flat=True).first()
    return target.default_rules if content is None else rules_from_json(content)


def keep_rules(rules: RuleSet, user: Any) -> ScoringRules:
    """Store a new version. It scores from the moment the transaction ends; whoever calls has leads scored."""
    means = mean_points(target_of(), rules)
    return ScoringRules.objects.create(content=rules.to_json(), means=means, created_by=user)


def mean_points(target: ScoringTarget, rules: RuleSet) -> list[float]:
    """What each feature of the rules gave the newest closed leads on average, in their snapshots."""
    seen = training_snapshots(FeatureReader(target, ruled_features(target, rules, known=set())), TYPICAL)
    if not len(seen.weight):
        return [0.0] * len(rules.features())
    return np.average(rules.points(seen.frame), axis=0, weights=seen.weight).tolist()


def under_rules(target: ScoringTarget, model: Model, rules_id: int | None) -> Model:
    """A learned model as it scores under a version of the rules; under None as it was trained.

    What was learned stays. The rules keep their weight in the model and are centred on their own means.
    """
    if rules_id is None:
        return model
    rules = rules_of(target, rules_id)
    if rules == model.rules:
        return model
    means = ScoringRules.objects.filter(pk=rules_id).values_list("means", flat=True).first()
    # Versions of earlier releases kept no means.
    return model.under(rules, mean_points(target, rules) if means is None else means)
