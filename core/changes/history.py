"""What happened to records, as the API and the admin site show it."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from core.changes.models import Change
from core.entities import Entity
from core.entities.aliases import ids_of
from core.entities.entity import CUSTOM_VALUES


def of_record(entity: Entity, pk: int) -> QuerySet[Change]:
    """The changes of a record and of those that were merged into it, newest first."""
    return Change.objects.filter(entity=entity.name, **one_or_more(ids_of(entity, pk))).order_by("-id")


def one_or_more(ids: list[int]) -> dict[str, Any]:
    """The condition that `object_id` is one of `ids`: of a single one the index gives the order as well."""
    return {"object_id__in": ids} if len(ids) > 1 else {"object_id": ids[0]}


def presented(changes: Iterable[Change], by_name: Mapping[str, Entity]) -> list[dict[str, Any]]:
    """Change rows as the API shows them; `by_name` gives entities as whoever looks knows them."""
    rows = list(changes)
    actors = actors_of(rows)
    return [_presented(change, by_name.get(change.entity), actors) for change in rows]


def shown_changes(changes: Mapping[str, Any], entity: Entity | None) -> dict[str, dict[str, Any]]:
    """What a change row holds, by public names, without what is hidden from whom the entity is limited for.
    A change in nothing else leaves nothing."""
    if entity is None:
        return {name: {"old": old, "new": new} for name, (old, new) in changes.items()}
    names = entity.public_names
    seen = changes if not entity.rights else _seen(changes, entity)
    return {names.get(key, key): {"old": old, "new": new} for key, (old, new) in seen.items()}


def _seen(changes: Mapping[str, Any], entity: Entity) -> dict[str, Any]:
    """The changes of what is not hidden; a change row holds all custom fields together."""
    found = {path: change for path, change in changes.items() if path not in entity.hidden_paths}
    if CUSTOM_VALUES in found and entity.hidden_keys:
        old, new = (_without(values, entity.hidden_keys) for values in found[CUSTOM_VALUES])
        if old == new:
            del found[CUSTOM_VALUES]
        else:
            found[CUSTOM_VALUES] = [old, new]
    return found


def _without(values: Any, keys: Iterable[str]) -> Any:
    return (
        {key: value for key, value in values.items() if key not in keys}
        if isinstance(values, dict)
        else values
    )


def actors_of(changes: Iterable[Any]) -> dict[int, dict[str, Any]]:
    """Short forms of everyone who acted, deactivated ones included, in one query."""
    ids = {change.actor_id for change in changes} - {None}
    found = get_user_model().objects.filter(pk__in=ids) if ids else []
    return {u.pk: {"id": u.pk, "username": u.username, "full_name": u.get_full_name()} for u in found}


def _presented(change: Change, entity: Entity | None, actors: dict[int, dict[str, Any]]) -> dict[str, Any]:
    gone = {"id": change.actor_id, "username": "", "full_name": ""}
    return {
        "id": change.pk,
        "entity": change.entity,
        "object_id": change.object_id,
        "kind": change.kind,
        "changes": shown_changes(change.changes, entity),
        "actor": actors.get(change.actor_id, gone) if change.actor_id else None,
        "source": change.source,
        "request_id": change.request_id,
        "import_id": change.import_id,
        "execution_id": change.execution_id,
        "agent_session_id": change.agent_session_id,
        "agent": change.agent,
        "at": change.at,
    }
