"""From changes to deliveries: a row for each change, subscription and event that fit."""

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import Q

from core import jobs
from core.changes import ChangeBatch
from core.changes.matching import Candidate, matched
from core.conditions import change_q, parse, record_q
from core.conditions.grammar import ChangedPredicate, fields_of
from core.entities import Entity, entities, field_rights
from core.entities.zones import record_zone
from core.errors import InvalidError
from core.webhooks import events
from core.webhooks.events import changes_q
from core.webhooks.models import WebhookSubscription

DELIVER_JOB = "core.tasks.deliver_webhooks"


def consume(batch: ChangeBatch) -> None:
    """Insert the deliveries of a batch of changes, of those written without automation as well."""
    entity = entities.get(batch.entity)
    if entity is None:
        return
    found = [c for s in subscriptions(entity) for c in candidates(entity, s)]
    made = sum(_insert(c.version, changes) for c, changes in matched(entity, batch.ids, found))
    if made:
        jobs.enqueue(DELIVER_JOB)


def subscriptions(entity: Entity) -> list[WebhookSubscription]:
    """Enabled ones with an event of this entity."""
    rows = WebhookSubscription.objects.filter(is_enabled=True).select_related("owner").order_by("id")
    rows = rows.annotate(rights=field_rights.words_of("owner__role"))
    for one in rows:
        setattr(one.owner, field_rights.WORDS, one.rights)
    return [s for s in rows if any(e.partition(".")[0] == entity.name for e in s.events)]


def candidates(entity: Entity, subscription: WebhookSubscription) -> list[Candidate]:
    """One for each event; none for a subscription whose conditions no longer parse."""
    entity = entity.for_user(subscription.owner)
    names = [e for e in subscription.events if events.is_heard(entity, e)]
    try:
        of_change, of_record = conditions_of(entity, subscription)
        return [Candidate((subscription, n), changes_q(entity, n) & of_change, of_record) for n in names]
    except InvalidError:
        return []


def conditions_of(entity: Entity, subscription: WebhookSubscription) -> tuple[Q, Q]:
    """A Q over changes and one over records, which the owner must see."""
    owner = subscription.owner
    seen = entity.model.policy.scope(owner)
    if not subscription.conditions:
        return Q(), seen
    condition = parse(entity, subscription.conditions, changes=True)
    if any(isinstance(leaf, ChangedPredicate) for leaf in fields_of(condition)):
        return change_q(entity, condition, record_zone(), user=owner), seen
    return Q(), seen & record_q(condition, record_zone(), user=owner)


_INSERT = """
INSERT INTO core_webhookdelivery (key, subscription_id, event, lane, url, entity, object_id, change_id)
SELECT 'evt-' || c.id || '-' || %(subscription)s || '-' || %(event)s, %(subscription)s,
       CASE WHEN %(event)s LIKE '%%.*' THEN c.entity || '.' || c.kind ELSE %(event)s END,
       'subscription:' || %(subscription)s, '', c.entity, c.object_id, c.id
FROM core_change c WHERE c.id = ANY(%(changes)s) ORDER BY c.id
ON CONFLICT (key) DO NOTHING
"""


def _insert(mark: Any, changes: Sequence[int]) -> int:
    subscription, event = mark
    given = {"subscription": subscription.pk, "event": event, "changes": list(changes)}
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, given)
        return cursor.rowcount
