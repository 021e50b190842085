"""Messages to open WebSockets, sent after the commit: new notifications and which records changed.

Lossy by design: what a client missed it fetches again. So a Valkey that is away loses these messages and
delays nothing; it is left alone for some seconds after a failure.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import redis
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from django.utils import translation

from core.changes import ChangeBatch, consumers
from core.entities import entities
from core.notifications.models import Notification
from core.notifications.wording import body_of, title_of
from core.sharing.operations import records_of

log = logging.getLogger(__name__)
# Of more records than this in one go no ids are sent: the client fetches again.
MANY = 100
PAUSE_AFTER_FAILURE_S = 5.0
_silent_until = 0.0


def user_group(user_id: int) -> str:
    return f"user.{user_id}"


def entity_group(entity: str) -> str:
    return f"changes.{entity}"


def announce(rows: Iterable[Notification]) -> None:
    """Send notifications to their recipients' open connections, once the transaction commits."""
    messages = [(user_group(row.recipient_id), {"type": "notify", "event": _serialized(row)}) for row in rows]
    if messages:
        transaction.on_commit(partial(publish, messages), robust=True)


def _serialized(row: Notification) -> dict[str, Any]:
    names = ("id", "type", "entity", "object_id", "count")
    shown = {name: getattr(row, name) for name in names}
    with translation.override(row.recipient.reading_language):
        shown |= {"title": title_of(row), "body": body_of(row)}
    return {"event": "notification", "notification": shown | {"created_at": row.created_at.isoformat()}}


def changed(batch: ChangeBatch) -> None:
    """A consumer of changes: which records changed. Who may see them is asked at the other end."""
    if batch.entity == "share":
        _shared(batch)
    if batch.entity not in entities:
        return
    ids = list(batch.changes.order_by().values_list("object_id", flat=True).distinct()[: MANY + 1])
    message = {
        "type": "changed",
        "entity": batch.entity,
        "ids": ids if len(ids) <= MANY else None,
        # Of many the changes are named, so that the other end can ask whether any concerns its user.
        "changes": [min(batch.ids), max(batch.ids)],
    }
    transaction.on_commit(partial(publish, [(entity_group(batch.entity), message)]), robust=True)


def _shared(batch: ChangeBatch) -> None:
    """What is shared, or no longer is, changed for those whom it is shared with."""
    messages = []
    for name, ids in records_of(batch).items():
        for start in range(0, len(ids) if name in entities else 0, MANY):
            part = ids[start : start + MANY]
            messages.append((entity_group(name), {"type": "changed", "entity": name, "ids": part}))
    transaction.on_commit(partial(publish, messages), robust=True)


consumers.register("live", changed)


def publish(messages: list[tuple[str, dict[str, Any]]]) -> None:
    """Send now, over one connection. A failure is logged."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        async_to_sync(_send_all)(messages)
    except (redis.RedisError, OSError) as error:
        _silent_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
        log.warning("live messages are lost while Valkey is away: %s", error)


async def _send_all(messages: list[tuple[str, dict[str, Any]]]) -> None:
    layer = get_channel_layer()
    await asyncio.gather(*(layer.group_send(group, message) for group, message in messages))
