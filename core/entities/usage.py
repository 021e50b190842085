"""Who uses what: whoever keeps references to users, teams, stages, templates, custom fields or tags outside
of foreign keys registers where, and is asked before one of these goes.

Definitions of workflows, conditions of saved views, settings of imports are JSON. They name a thing either as
the value of a field ({"field": "owner", "op": "eq", "value": 5}, {"owner": 5}, {"template_id": "welcome"})
or, a custom field, by its own name; both are found wherever they stand, also one reference away
({"company.owner": 5}, {"company.custom_fields.tier": "gold"}).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_noop

from core.entities.entity import entities
from core.errors import ConflictError, FieldIssue
from core.registry import Registry

MAX_NAMED = 50
REMEDY = gettext_noop("change these first, or send force=true.")
REMEDY_WITHOUT_FORCE = gettext_noop("change these first.")
# Where what names a field holds values of it.
VALUES = ("value", "from", "to")
# The name under which whom a row acts for is compared.
PRINCIPAL = "principal"
# Before the key of a custom field, which may be called like a field.
CUSTOM = "custom_fields"


class InUseError(ConflictError):
    """What uses a target stands against its deletion. `brief` says so without what to do about it over the
    API."""

    code = "in_use"

    def __init__(self, message: str, brief: str, issues: Iterable[FieldIssue]) -> None:
        super().__init__(message, issues=issues)
        self.brief = brief


@dataclass(frozen=True)
class UsageTarget:
    """What is about to go. It is meant where one of `fields` has one of `values`, or where a text holds
    `name`; `entity`, if given, is whose definitions alone can mean it, and those that refer to it.

    `references` are references of whose definitions are looked at, with what each points at.
    """

    label: Any
    fields: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    name: str = ""
    entity: str = ""
    references: frozenset[tuple[str, str]] = frozenset()
    is_own: bool = True

    def seen_from(self, names: Iterable[str]) -> "UsageTarget":
        """The target as definitions about these entities can mean it."""
        known = [entities[name] for name in names if name in entities]
        found = {(c.name, c.field_type.target) for one in known for c in one.reference_columns}
        is_own = self.entity in ("", *(one.name for one in known))
        return replace(self, references=frozenset(found), is_own=is_own)

    def is_value(self, field_name: str, value: Any) -> bool:
        """Whether a field's value names it."""
        before, _, last = field_name.rpartition(".")
        if before.rpartition(".")[2] == CUSTOM:
            before, last = before.removesuffix(CUSTOM).removesuffix("."), f"{CUSTOM}.{last}"
        named = last in self.fields and not isinstance(value, bool) and str(value) in self.values
        return named and self._is_meant(before)

    def is_named(self, text: Any) -> bool:
        """Whether a text holds its name as a whole word."""
        if not self.name or not isinstance(text, str):
            return False
        pattern = rf"(?<!\w)(?:(\w+)\.)?{re.escape(self.name)}(?![\w-])"
        return any(self._is_meant(found[1] or "") for found in re.finditer(pattern, text))

    def _is_meant(self, reference: str) -> bool:
        """Whether what stands behind this name, or behind none, can be the target's."""
        pointed_at = {target for name, target in self.references if name == reference}
        return self.entity in ("", *pointed_at) if pointed_at else self.is_own


@dataclass(frozen=True)
class Usage:
    """One thing that uses a target, and where in it."""

    source: str
    pk: int
    name: str
    where: tuple[str, ...]
    owners: tuple[int, ...] = ()

    @property
    def issue(self) -> FieldIssue:
        """For the answer that refuses."""
        text = gettext("%(name)s uses it in %(places)s.") if self.where else gettext("%(name)s uses it.")
        said = text % {"name": repr(self.name), "places": ", ".join(self.where[:5])}
        return FieldIssue(f"{self.source} {self.pk}", "in_use", said)


@dataclass(frozen=True)
class UsageSource:
    """A model whose rows may use targets.

    `parts` are its attributes that hold definitions; `principal` is the foreign key to the user in whose name
    a row acts, if it does. `pause` stops those that would fail or fall silent without the target; without it
    others only find out.
    """

    name: str
    rows: Callable[[], QuerySet]
    parts: tuple[str, ...]
    principal: str = ""
    acts: Callable[[Any], bool] = lambda row: True
    # What the role of that user must allow.
    action: str | None = None
    entities: Callable[[Any], Iterable[str]] = lambda row: (row.entity,)
    owners: Callable[[Any], Iterable[int | None]] = lambda row: (row.owner_id,)
    pause: Callable[[Sequence[int], UsageTarget], None] | None = None

    def principal_of(self, row: Any) -> int | None:
        """The id of the user in whose name a row acts."""
        return getattr(row, f"{self.principal}_id") if self.principal and self.acts(row) else None

    def where(self, row: Any, target: UsageTarget) -> list[str]:
        """The paths in a row at which it uses the target."""
        target = target.seen_from(self.entities(row))
        found = [path for part in self.parts for path in places(target, getattr(row, part), part)]
        return [*found, *places(target, self.principal_of(row), self.principal, PRINCIPAL)]


sources: Registry[UsageSource] = Registry("usage source")
# Whom to notify of what was paused: (target, usages), registered by what can reach people.
listeners: Registry[Callable[[UsageTarget, Sequence[Usage]], None]] = Registry("usage listener")


def usages(target: UsageTarget) -> list[Usage]:
    """Everything registered that uses the target."""
    return [usage for source in sources for usage in _of_source(source, target)]


def release(target: UsageTarget, *, force: bool = False) -> None:
    """Make sure that nothing uses the target any more, before it is deleted.

    With `force` whatever uses it is paused and its owners are notified. Raises ConflictError, which names
    everything that uses it. Call inside `audit_context`.
    """
    found = usages(target)
    if found and not force:
        raise in_use(target, found)
    for source in sources:
        ids = [usage.pk for usage in found if usage.source == source.name]
        if source.pause is not None and ids:
            source.pause(ids, target)
    for listener in listeners if found else ():
        listener(target, found)


def release_row(row: Any, *, force: bool = False) -> None:
    """`release` for a row whose model says how it is used, by `usage_target()`."""
    usage_target = getattr(row, "usage_target", None)
    if usage_target is not None:
        release(usage_target(), force=force)


def check_unused(target: UsageTarget) -> None:
    """Raises ConflictError, which names who uses the target, for what nobody can be made to do without."""
    found = usages(target)
    if found:
        raise in_use(target, found, REMEDY_WITHOUT_FORCE)


def check_renaming(before: Any, wanted: Any) -> None:
    """Raises ConflictError where definitions name a row by what it would not be called any more."""
    if not hasattr(before, "usage_target"):
        return
    known = before.usage_target()
    gone = known.values - wanted.usage_target().values
    if gone:
        check_unused(replace(known, values=gone, name=""))


def in_use(target: UsageTarget, found: Sequence[Usage], remedy: str = REMEDY) -> InUseError:
    """The refusal that names who uses the target."""
    message = gettext("%(label)s is in use by %(count)s: %(remedy)s") % {
        "label": target.label,
        "count": len(found),
        "remedy": gettext(remedy),
    }
    brief = gettext("%(label)s is in use by %(count)s") % {"label": target.label, "count": len(found)}
    return InUseError(message, brief, [usage.issue for usage in found[:MAX_NAMED]])


def _of_source(source: UsageSource, target: UsageTarget) -> Iterator[Usage]:
    for row in source.rows():
        where = source.where(row, target)
        if where:
            owners = tuple(dict.fromkeys(pk for pk in source.owners(row) if pk))
            yield Usage(source.name, row.pk, str(row), tuple(where), owners)


def places(target: UsageTarget, value: Any, path: str, field_name: str = "") -> Iterator[str]:
    """The paths in a JSON value at which it names the target."""
    if isinstance(value, Mapping):
        named = value.get("field") if isinstance(value.get("field"), str) else None
        for key, inner in value.items():
            below, name = f"{path}.{key}", _name_of(key, field_name)
            if target.is_named(name):
                yield below
            yield from places(target, inner, below, named if named and key in VALUES else name)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from places(target, inner, f"{path}[{i}]", field_name)
    elif target.is_value(field_name, value) or target.is_named(value):
        yield path


def _name_of(key: str, field_name: str) -> str:
    """What a key names: custom fields may stand in an object of their own, without their prefix."""
    return f"{CUSTOM}.{key}" if field_name == CUSTOM else key


def replaced(target: UsageTarget, value: Any, by: Any, field_name: str = "") -> Any:
    """A JSON value in which `by` stands wherever a field names the target."""
    if isinstance(value, Mapping):
        named = value.get("field") if isinstance(value.get("field"), str) else None
        return {
            key: replaced(target, inner, by, named if named and key in VALUES else _name_of(key, field_name))
            for key, inner in value.items()
        }
    if isinstance(value, list):
        found = [replaced(target, inner, by, field_name) for inner in value]
        return [item for i, item in enumerate(found) if item != by or by not in found[:i]]
    return type(value)(by) if target.is_value(field_name, value) else value
