"""`/ws/notifications/`: new notifications, and changes of the records a client asked for.

Opened with a one-time ticket (`?ticket=`, from `POST /api/v1/notifications/ticket/`) or, outside of browsers,
with `Authorization: Bearer <access token>`. Closed with 4401 when the session or key has ended, and with 4429
where its user has as many open already as one may have, or an address sent too many wrong credentials.
"""

import asyncio
import contextlib
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import orjson
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Exists, OuterRef
from django.http.request import validate_host
from redis.exceptions import RedisError

from core.access import scopes
from core.accounts import keys, limits, tickets
from core.accounts.attempts import TooManyAttemptsError, count_refused_credential
from core.accounts.models import User
from core.accounts.origin import origin_of_address
from core.accounts.tickets import Principal
from core.accounts.tokens import TokenRefusedError, read_access
from core.changes.models import Change
from core.conf import conf
from core.entities import entities
from core.notifications import inbox
from core.notifications.live import entity_group, user_group

logger = logging.getLogger(__name__)

ENDED = 4401
MISUSED = 4400
NOT_FOUND = 4404
TOO_MANY = 4429
TRY_AGAIN = 1013
MAX_MESSAGE = 4_096
MAX_IDS = 200


class LiveConsumer(AsyncWebsocketConsumer):
    """One open connection of one principal. `watched` maps entities to ids, or to None for all of them."""

    principal: Principal
    place: str
    watcher: asyncio.Task | None = None

    async def connect(self) -> None:
        self.watched: dict[str, set[int] | None] = {}
        user = self.scope["user"]
        self.place = uuid4().hex
        if not await held(user.pk, self.place):
            await self.close(TOO_MANY)
            return
        self.principal = self.scope["principal"]
        await self.channel_layer.group_add(user_group(user.pk), self.channel_name)
        await self.accept()
        await self._send_event({"event": "hello", "unread": await unread_of(user)})
        self.watcher = asyncio.create_task(self._watch())

    async def disconnect(self, code: int) -> None:
        if self.watcher:
            self.watcher.cancel()
        if hasattr(self, "principal"):
            await left(self.principal.user_id, self.place)
            await self.channel_layer.group_discard(user_group(self.principal.user_id), self.channel_name)
        for entity in self.watched:
            await self.channel_layer.group_discard(entity_group(entity), self.channel_name)

    async def _watch(self) -> None:
        """Close once the session or the key has ended, or cannot be asked about: the client comes back."""
        with contextlib.suppress(asyncio.CancelledError):
            try:
                while await current_user(self.principal):
                    await held(self.principal.user_id, self.place)
                    await asyncio.sleep(conf.LIVE_CHECK_S)
            except DatabaseError:
                await self.close(TRY_AGAIN)
                return
            await self.close(ENDED)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """`{"subscribe": {"entity": "lead", "ids": [1, 2]}}`, `{"unsubscribe": {"entity": "lead"}}` or
        `{"ping": …}`; without `ids` all records of the entity."""
        if text_data is None or len(text_data) > MAX_MESSAGE:
            await self.close(MISUSED)
            return
        try:
            answer = await self._handle(orjson.loads(text_data))
        except ValueError as error:
            answer = {"event": "error", "detail": str(error)[:200]}
        await self._send_event(answer)

    async def _handle(self, message: Any) -> dict[str, Any]:
        if not isinstance(message, dict) or len(message) != 1:
            raise ValueError("Expected an object with one of: subscribe, unsubscribe, ping.")
        ((verb, body),) = message.items()
        if verb == "ping":
            return {"event": "pong"}
        if verb not in ("subscribe", "unsubscribe"):
            raise ValueError("Known: subscribe, unsubscribe, ping.")
        entity, ids = asked_for(body)
        if verb == "subscribe":
            if not await may_read(self.principal, entities[entity].plural):
                raise ValueError(f"This key may not read {entities[entity].plural}.")
            self.watched[entity] = ids
            await self.channel_layer.group_add(entity_group(entity), self.channel_name)
        else:
            self.watched.pop(entity, None)
            await self.channel_layer.group_discard(entity_group(entity), self.channel_name)
        return {"event": f"{verb}d", "entity": entity}

    async def notify(self, message: dict[str, Any]) -> None:
        """From the user's group: a notification, if its reader sees it now."""
        event = message["event"]
        if await is_shown(self.principal, event["notification"]["id"]):
            await self._send_event(event)

    async def changed(self, message: dict[str, Any]) -> None:
        """From an entity's group: passed on as far as the client watches it and its user sees it now."""
        entity, ids = message["entity"], message["ids"]
        if entity not in self.watched:
            return
        wanted = self.watched[entity]
        if ids is None and wanted is None:
            if await sees_any(self.principal, entity, *message["changes"]):
                await self._send_event({"event": "changed", "entity": entity, "ids": None})
            return
        found = wanted if ids is None else [pk for pk in ids if wanted is None or pk in wanted]
        seen = await visible_ids(self.principal, entity, found) if found else []
        if seen:
            await self._send_event({"event": "changed", "entity": entity, "ids": seen})

    async def _send_event(self, event: dict[str, Any]) -> None:
        await self.send(text_data=orjson.dumps(event).decode())


def asked_for(body: Any) -> tuple[str, set[int] | None]:
    """The entity and the ids (None for all) of a subscription. Raises ValueError."""
    if not isinstance(body, dict) or set(body) - {"entity", "ids"}:
        raise ValueError('Expected {"entity": …, "ids": […]}.')
    entity, ids = body.get("entity"), body.get("ids")
    if not isinstance(entity, str) or entity not in entities:
        raise ValueError(f"Known entities: {', '.join(entities.keys())}.")
    if ids is None:
        return entity, None
    if not isinstance(ids, list) or len(ids) > MAX_IDS or not all(type(pk) is int for pk in ids):
        raise ValueError(f"ids: at most {MAX_IDS} whole numbers.")
    return entity, set(ids)


def origin_allowed(scope: Any) -> bool:
    """Of browsers only our own pages and those of CORS_ALLOWED_ORIGINS; other clients send no Origin."""
    origin = _header(scope, b"origin")
    if not origin:
        return True
    if origin in settings.CORS_ALLOWED_ORIGINS:
        return True
    host = _header(scope, b"host")
    parts = urlsplit(origin)
    same = parts.netloc == host and validate_host(parts.hostname or "", settings.ALLOWED_HOSTS)
    return parts.scheme in ("http", "https") and same


def _header(scope: Any, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


@database_sync_to_async
def authenticate(scope: Any) -> Principal | None:
    """Whoever the ticket or the header stands for."""
    ticket = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [""])[0]
    if ticket:
        return tickets.redeem(ticket)
    scheme, _, text = _header(scope, b"authorization").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return _by_key(text.strip()) if text.startswith(keys.MARK) else _by_token(text.strip())


def _by_token(text: str) -> Principal | None:
    try:
        token = read_access(text)
    except TokenRefusedError:
        return None
    return Principal(token.user_id, session_id=token.session_id)


def _by_key(text: str) -> Principal | None:
    key = keys.find(text)
    allowed = key is not None and scopes.scope_allows(key.scopes, "notifications", writing=False)
    return Principal(key.user_id, key_id=key.pk) if key and allowed else None


@database_sync_to_async
def may_try_again(scope: Any) -> bool:
    """Count a connection that nobody was let in by; false where its address made too many of them."""
    try:
        count_refused_credential(origin_of_address((scope.get("client") or ("",))[0], _forwarded(scope)))
    except TooManyAttemptsError:
        return False
    return True


def _forwarded(scope: Any) -> str:
    """What proxies wrote, in one header or in several."""
    return ",".join(v.decode("latin-1") for key, v in scope["headers"] if key == b"x-forwarded-for")


@sync_to_async
def held(user_id: int, place: str) -> bool:
    """Whether the connection is one of those that its user may have open; renewed by asking again."""
    return limits.hold(f"live:{user_id}", place, conf.LIVE_CONNECTIONS, conf.LIVE_CHECK_S * 3)


@sync_to_async
def left(user_id: int, place: str) -> None:
    limits.leave(f"live:{user_id}", place)


@database_sync_to_async
def current_user(principal: Principal) -> User | None:
    return principal.user()


@database_sync_to_async
def may_read(principal: Principal, resource: str) -> bool:
    return principal.may_read(resource)


@database_sync_to_async
def is_shown(principal: Principal, notification: int) -> bool:
    """Whether it is in the principal's inbox and about what they see; not once they have gone."""
    user = principal.user()
    return user is not None and inbox.visible(user).filter(pk=notification).exists()


@database_sync_to_async
def unread_of(user: User) -> int:
    return inbox.counts(user)["unread"]


@database_sync_to_async
def visible_ids(principal: Principal, entity: str, ids: Any) -> list[int]:
    """Those of `ids` that the principal sees now."""
    user = principal.user()
    rows: Any = entities[entity].visible_to(user).filter(pk__in=list(ids)[: MAX_IDS * 2]) if user else []
    return sorted(row.pk for row in rows.only("pk")) if user else []


@database_sync_to_async
def sees_any(principal: Principal, entity: str, first: int, last: int) -> bool:
    """Whether the principal sees a record that any of these changes is about."""
    user = principal.user()
    changes = Change.objects.filter(entity=entity, object_id=OuterRef("pk"), pk__range=(first, last))
    return user is not None and entities[entity].visible_to(user).filter(Exists(changes)).exists()


_consumer = LiveConsumer.as_asgi()


async def websocket(scope: Any, receive: Any, send: Any) -> None:
    """The WebSocket half of the application: one address, everything else is refused.

    Strangers are refused before a channel is opened for them. Where Valkey or the database cannot be reached
    the answer is 503, or the code 1013 for a connection that was open already: the client comes back.
    """
    accepted = False

    async def sent(message: Any) -> None:
        nonlocal accepted
        accepted = accepted or message["type"] == "websocket.accept"
        await send(message)

    try:
        if scope["path"].rstrip("/") != "/ws/notifications":
            await _refuse(receive, send, NOT_FOUND)
            return
        principal = await authenticate(scope) if origin_allowed(scope) else None
        user = await current_user(principal) if principal else None
        if user is None:
            await _refuse(receive, send, ENDED if await may_try_again(scope) else TOO_MANY)
            return
        await _consumer({**scope, "principal": principal, "user": user}, receive, sent)
    except (DatabaseError, RedisError) as error:
        logger.warning("The live connection cannot be served: %s", error)
        await _close_for_now(scope, send, accepted)


async def _refuse(receive: Any, send: Any, code: int) -> None:
    await receive()
    await send({"type": "websocket.close", "code": code})


async def _close_for_now(scope: Any, send: Any, accepted: bool) -> None:
    if accepted or "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": TRY_AGAIN})
        return
    headers = [(b"retry-after", b"5"), (b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"Try again in a moment."})
