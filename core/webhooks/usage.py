"""Webhooks as users of what their conditions name, and acting in the name of their owner."""

from collections.abc import Sequence

from core.access import Permission
from core.entities import entities
from core.entities.usage import UsageSource, UsageTarget, sources
from core.labels import english
from core.webhooks.models import WebhookSubscription


def _pause(ids: Sequence[int], target: UsageTarget) -> None:
    for subscription in WebhookSubscription.objects.filter(pk__in=ids, is_enabled=True):
        subscription.is_enabled = False
        subscription.disabled_reason = f"{english(target.label)} was deleted, which it uses."[:300]
        subscription.save(update_fields=["is_enabled", "disabled_reason", "updated_at"])


sources.register(
    "webhook",
    UsageSource(
        name="webhook",
        rows=WebhookSubscription.objects.all,
        parts=("conditions",),
        principal="owner",
        action=Permission.AUTOMATE,
        acts=lambda subscription: subscription.is_enabled,
        entities=lambda subscription: (
            {event.partition(".")[0] for event in subscription.events} & {*entities.keys()} or entities.keys()
        ),
        owners=lambda subscription: (subscription.owner_id, subscription.created_by_id),
        pause=_pause,
    ),
)
