"""Bulk bodies: `{"ids": […] | "filter": {…}, "action": …, "data": {…}, "mode": "partial" | "atomic"}`."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.conditions import parse, record_q
from core.conf import conf
from core.entities import Entity, field_types
from core.entities.assignment import METHODS, shares
from core.entities.bulk import Bulk, BulkResult
from core.entities.references import existing_ids
from core.errors import InvalidError, refused_as

ACTIONS = {"update": "updated", "delete": "deleted", "assign": "updated"}
KEYS = {"ids", "filter", "action", "data", "mode"}
BODY_KEYS = {"ids", "filter", "mode"}
ASSIGN_KEYS = {*BODY_KEYS, "assigned_to", "users", "team", "method"}


def run(entity: Entity, request: Request) -> Response:
    """Carry out a bulk request. Raises InvalidError where the body itself is wrong."""
    body = _body(request, KEYS)
    word = body.get("action")
    if not isinstance(word, str) or word not in ACTIONS:
        raise InvalidError.of("action", f"Expected one of: {', '.join(ACTIONS)}.", "invalid_choice")
    data = body.get("data", {})
    if word == "assign":
        _only_known(data, ASSIGN_KEYS - BODY_KEYS, "data.")
        return _assign(entity, request, body, data)
    if word == "delete" and data:
        raise InvalidError.of("data", "Deleting takes no data.", "unknown_field")
    bulk = _bulk(entity, request, body, Permission.DELETE if word == "delete" else Permission.CHANGE)
    return _answer(bulk.archive() if word == "delete" else bulk.update(data), ACTIONS[word])


def assign(entity: Entity, request: Request) -> Response:
    """`{"ids": […], "assigned_to": 5}`, or `"users": […]` or `"team"` with a `method`."""
    body = _body(request, ASSIGN_KEYS)
    data = {k: v for k, v in body.items() if k not in BODY_KEYS}
    return _assign(entity, request, body, data)


def _assign(entity: Entity, request: Request, body: Mapping[str, Any], data: Any) -> Response:
    method = data.get("method", METHODS[0]) if isinstance(data, Mapping) else METHODS[0]
    if method not in METHODS:
        raise InvalidError.of("method", f"Expected one of: {', '.join(METHODS)}.", "invalid_choice")
    users = _assignees(data, request.user)
    team = int(data["team"]) if "team" in data else None
    bulk = _bulk(entity, request, body, Permission.CHANGE)
    return _answer(bulk.assign(lambda ids: shares(entity, ids, users, method, team)), "updated")


def _body(request: Request, keys: set[str]) -> Mapping[str, Any]:
    body = request.data
    if not isinstance(body, Mapping):
        raise InvalidError.of("", "Expected an object.", "not_an_object")
    _only_known(body, keys)
    if ("ids" in body) == ("filter" in body):
        raise InvalidError.of("ids", 'Give either "ids" or "filter".', "required")
    return body


def _only_known(given: Any, keys: set[str], above: str = "") -> None:
    for name in given if isinstance(given, Mapping) else ():
        if name not in keys:
            raise InvalidError.unknown(f"{above}{name}", sorted(keys))


def _bulk(entity: Entity, request: Request, body: Mapping[str, Any], action: str) -> Bulk:
    mode = body.get("mode", "partial")
    if mode not in ("partial", "atomic"):
        raise InvalidError.of("mode", "Expected partial or atomic.", "invalid_choice")
    ids = ids_of(body["ids"]) if "ids" in body else _matching(entity, request.user, body["filter"], action)
    return Bulk(entity, request.user, ids, atomic=mode == "atomic")


def ids_of(raw: Any, name: str = "ids") -> list[int]:
    if not isinstance(raw, list) or not raw:
        raise InvalidError.of(name, "Expected a list of ids.", "not_a_list")
    if len(raw) > conf.BULK_LIMIT:
        raise InvalidError.of(name, f"At most {conf.BULK_LIMIT} ids.", "max_length")
    with refused_as(name):
        return [field_types.Reference().to_internal_value(item) for item in raw]


def _matching(entity: Entity, user: Any, raw: Any, action: str) -> list[int]:
    """Ids of the records a filter names; more than the limit is an error, never a part of them."""
    if not raw:
        raise InvalidError.of("filter", "An empty filter would name every record.", "blank")
    rows = entity.visible_to(user, action).filter(archived_at=None)
    found = rows.filter(record_q(parse(entity, raw, name="filter"))).order_by("pk")
    ids = list(found.values_list("pk", flat=True)[: conf.BULK_LIMIT + 1])
    if len(ids) > conf.BULK_LIMIT:
        raise InvalidError.of("filter", f"More than {conf.BULK_LIMIT} records match.", "max_length")
    return ids


def _assignees(data: Any, user: Any) -> list[int]:
    """The users named by `assigned_to`, `users` or `team`; all of them must be there and active."""
    given = [key for key in ("assigned_to", "users", "team") if isinstance(data, Mapping) and key in data]
    if len(given) != 1:
        raise InvalidError.of("assigned_to", 'Give one of "assigned_to", "users", "team".', "required")
    key = given[0]
    ids = ids_of(data[key] if key == "users" else [data[key]], key)
    if key == "team":
        members = get_user_model().objects.filter(team_id=ids[0], is_active=True).order_by("pk")
        ids = list(members.values_list("pk", flat=True))
    if not ids or set(ids) - existing_ids("user", ids, user):
        raise InvalidError.of(key, "There is no such active user or team member.", "does_not_exist")
    return ids


def _answer(result: BulkResult, word: str) -> Response:
    """`results` in the order of the request; 207 where some were not done."""
    results = [_item(result, i, pk, word) for i, pk in enumerate(result.order)]
    body = {
        "success": not result.failed or bool(result.done),
        word: len(result.done),
        "errors": [{k: r[k] for k in ("id", "code", "message")} for r in results if "code" in r],
        "results": results,
    }
    return Response(body, 207 if result.failed else 200)


def _item(result: BulkResult, index: int, pk: int, word: str) -> dict[str, Any]:
    if pk in result.failed:
        code, message = result.failed[pk]
        return {"index": index, "id": pk, "status": "error", "code": code, "message": message}
    return {"index": index, "id": pk, "status": word}
