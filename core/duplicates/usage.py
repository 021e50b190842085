"""Rules about duplicates as users of the custom fields that they compare."""

from collections.abc import Sequence

from core.entities.models import DuplicateRule
from core.entities.usage import UsageSource, UsageTarget, sources


def _pause(ids: Sequence[int], target: UsageTarget) -> None:
    """A rule would find nothing without its field."""
    for rule in DuplicateRule.objects.filter(pk__in=ids, is_active=True):
        rule.is_active = False
        rule.save(update_fields=["is_active", "updated_at"])


sources.register(
    "duplicate_rule",
    UsageSource(
        name="duplicate_rule",
        rows=DuplicateRule.objects.all,
        parts=("compare",),
        entities=lambda rule: (rule.entity, rule.across),
        owners=lambda rule: (),
        pause=_pause,
    ),
)
