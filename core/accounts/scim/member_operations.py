"""Changes of who is in a group. The library applies each operation to every member in turn, which takes
minutes where hundreds leave a large group; here members are looked up."""

import re
from typing import Any

from scim2_models import Context, GroupMember, InvalidValueException

Members = dict[str, GroupMember]

_ONE = re.compile(r'members\[\s*value\s+eq\s+"([^"\\]*)"\s*\]\Z', re.IGNORECASE)
_URN = "urn:ietf:params:scim:schemas:core:2.0:group:"


def is_about_members(operation: Any) -> bool:
    """Whether `apply` does the operation: on `members`, or on one of them by its value."""
    path = path_of(operation)
    is_remove = operation.op == "remove"
    return path == "members" or bool(is_remove and operation.value is None and _ONE.match(path))


def apply(operation: Any, members: Members) -> Members:
    """The members after it, by their values. Raises InvalidValueException."""
    match = _ONE.match(path_of(operation))
    named = {match[1]: member(match[1])} if match else given(operation.value)
    if operation.op == "remove":
        everyone = not match and operation.value is None
        return {} if everyone else {value: one for value, one in members.items() if value not in named}
    return members | named if operation.op == "add" else named


def member(value: str, kind: str | None = None) -> GroupMember:
    fields: dict[str, Any] = {"value": value, "type": kind}
    return GroupMember(**fields)


def given(value: Any) -> Members:
    """The members that a value lists, or is."""
    found: Members = {}
    for item in value if isinstance(value, list) else [] if value is None else [value]:
        fields = {name.lower(): text for name, text in item.items()} if isinstance(item, dict) else {}
        named, kind = fields.get("value"), fields.get("type")
        if not isinstance(named, str) or not isinstance(kind, str | None):
            raise InvalidValueException(detail="members: a list of objects with a value each.")
        found[named] = member(named, kind)
    return found


def split(operation: Any) -> list[Any]:
    """An operation without a path as one on its members and one on all else; any other as it is."""
    value = operation.value
    if operation.path or not isinstance(value, dict):
        return [operation]
    ours = {name: item for name, item in value.items() if _plain(name) == "members"}
    rest = {name: item for name, item in value.items() if name not in ours}
    parts = [operation.model_copy(update={"value": rest})] if rest or not ours else []
    for item in ours.values():
        made = {"op": operation.op, "path": "members", "value": item}
        parts.append(type(operation).model_validate(made, scim_ctx=Context.DEFAULT))
    return parts


def path_of(operation: Any) -> str:
    """Its path in small letters, without the name of the schema."""
    return _plain(str(operation.path or ""))


def _plain(path: str) -> str:
    return path.lower().removeprefix(_URN)
