"""The entity: model, columns and row rules, registered once by its app."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from django.db import models
from django.db.models import F, Q

from core.entities.columns import Column, column, derived
from core.entities.comparisons import RecordComparison
from core.entities.field_rights import UNLIMITED, FieldRights, rights_of
from core.entities.field_types import BIGINT_MAX, Integer, Reference
from core.entities.merging import Merging
from core.errors import InvalidError
from core.registry import Registry

# A rule looks at the values about to be written and, on a change, at the record's present ones; it may
# complete the values and raises InvalidError where they do not fit together.
Rule = Callable[[dict[str, Any], Mapping[str, Any] | None], None]
# Before the key of a custom field.
CUSTOM_PREFIX = "custom_fields."
CUSTOM_VALUES = "custom_fields"


@dataclass(frozen=True)
class NeedsAny:
    """The rule that a record has at least one of some fields: somebody to speak of."""

    names: tuple[str, ...]
    message: Any

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        return (*self.names, *(f"{name}_id" for name in self.names))

    def __call__(self, values: dict[str, Any], before: Mapping[str, Any] | None) -> None:
        # An import asks this of each row, and nearly each one gives a name.
        for path in self._paths:
            if values.get(path):
                return
        if before is not None and values.keys().isdisjoint(self._paths):
            return
        kept = before or {}
        if not any(values.get(path, kept.get(path)) for path in self._paths):
            raise InvalidError.of(self.names[0], self.message, "required")


@dataclass(frozen=True)
class Entity:
    """What the generic parts know of one kind of record."""

    name: str
    plural: str
    model: type[Any]
    columns: tuple[Column, ...]
    # How a record is called in lists of references, notifications, the timeline: columns joined by blanks.
    display_fields: tuple[str, ...]
    # What else it is called by where all of them are blank: the first of these that is not.
    display_fallback: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    # By what records are compared to find those that are the same; none where duplicates are no matter.
    duplicates: tuple[RecordComparison, ...] = ()
    # How several records become one; None where they cannot be merged.
    merging: Merging | None = None
    # Which records are still somebody's work, for levelling it; None: all of them.
    open_filter: Q | None = None
    ordering: str = "-id"
    # Where words are looked for: columns, among them the stored text of several, and the searchable custom
    # fields.
    search_fields: tuple[str, ...] = ("search_text", "custom_fields")
    # Whether a name that nothing is called may make a record, where an import says so.
    create_by_name: bool = False
    # Columns that figures, boards, scores and verbs are made of: no role's rights hide them.
    always_shown: tuple[str, ...] = ()
    # Fields of which a rule moves values from one to another: a right on one of them is one on all.
    coupled: tuple[tuple[str, ...], ...] = ()
    # Figures of `statistics` → the column whose values they tell of; without it they are left out.
    figures: Mapping[str, str] = field(default_factory=dict)
    # A record as one would send it, for the documentation.
    example: dict[str, Any] = field(default_factory=dict)
    # Whose rights have limited it: what this is was given by `for_user`.
    rights: FieldRights = UNLIMITED

    @cached_property
    def by_name(self) -> dict[str, Column]:
        return {c.name: c for c in self.columns}

    @cached_property
    def reference_columns(self) -> tuple[Column, ...]:
        """Those that point at another record, a user, a pipeline, ..."""
        return tuple(c for c in self.columns if isinstance(c.field_type, Reference))

    @property
    def display_columns(self) -> tuple[str, ...]:
        """All that must be read to say how a record is called."""
        return (*self.display_fields, *self.display_fallback)

    @cached_property
    def by_input_name(self) -> dict[str, Column]:
        """Columns by every name accepted on input."""
        return self.by_name | {alias: c for c in self.columns for alias in c.aliases}

    @cached_property
    def user_columns(self) -> tuple[Column, ...]:
        """Those that name a user: the owner, the assignee, and whatever an app adds."""
        return tuple(c for c in self.reference_columns if c.field_type.target == "user")

    @cached_property
    def public_names(self) -> dict[str, str]:
        """Table column → public name, for what the change table recorded."""
        return {c.path: c.name for c in self.columns if c.expression is None}

    def for_user(self, user: Any) -> "Entity":
        """The entity as this user knows it: without the fields hidden from their role, with the read-only
        ones locked. The entity itself for who is not limited; asked once more it gives the same."""
        return self.limited(rights_of(user))

    def limited(self, rights: FieldRights) -> "Entity":
        """The entity as these rights leave it."""
        return self if rights == self.rights else _limited(self.name, rights)

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The names of the fields hidden here: own ones, those made of them, `custom_fields.<key>`."""
        named = self._with_coupled(self.rights.hidden_in(self.name))
        return named and named | _made_of(entities[self.name].columns, named)

    @cached_property
    def read_only(self) -> frozenset[str]:
        """The names of the fields that may be read alone here."""
        return self._with_coupled(self.rights.read_only_in(self.name)) - self.hidden

    def coupled_with(self, name: str) -> tuple[str, ...]:
        """The fields on which a right is one on this field: itself, and what it is coupled with."""
        return next((names for names in self.coupled if name in names), (name,))

    def _with_coupled(self, names: frozenset[str]) -> frozenset[str]:
        return frozenset(other for name in names for other in self.coupled_with(name))

    @cached_property
    def hidden_keys(self) -> frozenset[str]:
        """The keys of the custom fields hidden here."""
        return _keys(self.hidden)

    @cached_property
    def locked_keys(self) -> frozenset[str]:
        """The keys of the custom fields that may be read alone."""
        return _keys(self.read_only)

    @cached_property
    def hidden_paths(self) -> frozenset[str]:
        """The table columns of what is hidden here."""
        return frozenset(c.path for c in entities[self.name].columns if c.name in self.hidden)

    def visible_to(self, user: Any, action: str = "view") -> models.QuerySet:
        """The rows of this entity on which `user` may do `action`, archived ones included."""
        return self.model.objects.visible_to(user, action)


entities: Registry[Entity] = Registry("entity")


@lru_cache(maxsize=256)
def _limited(name: str, rights: FieldRights) -> Entity:
    whole = entities[name]
    if not rights:
        return whole
    bare = replace(whole, rights=rights)
    shown = tuple(_as_seen(c, bare) for c in whole.columns if c.name not in bare.hidden)
    return replace(
        bare,
        columns=shown,
        display_fallback=tuple(n for n in whole.display_fallback if n not in bare.hidden),
        duplicates=tuple(seen for one in whole.duplicates if (seen := one.without(bare.hidden)) is not None),
    )


def _as_seen(column: Column, entity: Entity) -> Column:
    """A column with the rights of whom the entity was limited for."""
    if column.writable and column.name in entity.read_only:
        column = replace(column, writable=False, locked=True)
    if column.name == CUSTOM_VALUES and entity.hidden_keys:
        column = replace(column, without=tuple(sorted(entity.hidden_keys)))
    if isinstance(column.field_type, Reference):
        column = replace(column, rights_behind=entity.rights)
    return column


def _keys(names: frozenset[str]) -> frozenset[str]:
    return frozenset(n.removeprefix(CUSTOM_PREFIX) for n in names if n.startswith(CUSTOM_PREFIX))


def _made_of(columns: tuple[Column, ...], names: frozenset[str]) -> frozenset[str]:
    """Those of the derived columns that are computed from one of these."""
    paths = {c.path for c in columns if c.name in names}
    return frozenset(c.name for c in columns if c.expression is not None and paths & _sources(c.expression))


def _sources(expression: Any) -> set[str]:
    """The fields that an expression or a condition reads."""
    if isinstance(expression, F):
        return {str(expression.name)}  # type: ignore[attr-defined]  # the stub lacks it
    if isinstance(expression, Q):
        return set().union(*(_sources(child) for child in expression.children))
    if isinstance(expression, tuple):
        return {str(expression[0]).partition("__")[0]} | _sources(expression[1])
    parts: list[Any] = getattr(expression, "get_source_expressions", list)()
    return set().union(*(_sources(part) for part in parts))


def entity_of(model: Any) -> Entity:
    """The entity of a model class or instance."""
    return entities[model.entity_name]


def record_columns(model: Any) -> tuple[Column, ...]:
    """The columns every entity has, in the order they are shown after its own."""
    return (
        column(model, "owner"),
        column(model, "assigned_to"),
        column(model, "tags"),
        column(model, "custom_fields", filterable=False, orderable=False),
        column(model, "external_id", exact=True),
        column(model, "created_by"),
        column(model, "created_at"),
        column(model, "updated_at"),
        column(model, "archived_at"),
        column(model, "version"),
    )


def id_column(model: Any) -> Column:
    return column(model, "id", writable=False, field_type=Integer(max_value=BIGINT_MAX))


def register(entity: Entity) -> Entity:
    """Put an entity into the registry, under its singular name."""
    return entities.register(entity.name, entity)


def by_plural(plural: str) -> Entity | None:
    """The entity an address such as /api/v1/leads/ names."""
    return next((e for e in entities if e.plural == plural), None)


__all__ = [
    "Entity",
    "NeedsAny",
    "Rule",
    "by_plural",
    "column",
    "derived",
    "entities",
    "entity_of",
    "id_column",
    "record_columns",
    "register",
]
