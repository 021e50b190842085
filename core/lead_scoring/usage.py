"""The present rule set as a user of the custom fields that it looks at."""

from typing import Any

from django.db.models import QuerySet

from core.entities.usage import UsageSource, sources
from core.lead_scoring.default_entity import DEFAULT_ENTITY
from core.lead_scoring.models import ScoringRules


def _present() -> QuerySet:
    """The newest counts; older ones are history."""
    newest: Any = ScoringRules.objects.order_by("-pk").values_list("pk", flat=True)[:1]
    return ScoringRules.objects.filter(pk__in=list(newest))


sources.register(
    "scoring_rules",
    UsageSource(
        name="scoring_rules",
        rows=_present,
        parts=("content",),
        entities=lambda rules: (DEFAULT_ENTITY,),
        owners=lambda rules: (rules.created_by_id,),
    ),
)
