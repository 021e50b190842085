"""Parsing and checking: from JSON to a small tree in which every field, operator and value is known good."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from core.conditions.related import FarColumns, RelatedColumn, related_column, target_of, unknown_related
from core.conditions.relative_dates import relative_or_absolute, time_span
from core.entities import field_types
from core.entities.columns import Column
from core.entities.custom import PREFIX, schema
from core.entities.entity import Entity
from core.entities.reading import resource_named
from core.errors import FieldIssue, InvalidError, ValueRefusedError

MAX_DEPTH = 8
MAX_LEAVES = 100
MAX_LIST = 1_000
# More faults than anyone reads; a hostile body is not answered with a larger one.
MAX_ISSUES = 50
CHANGE_OPERATORS = ("changed", "changed_to", "changed_from")
LISTS = ("in", "not_in", "has_any", "has_all", "has_none")
SPANS = ("within_last", "within_next")


@dataclass(frozen=True)
class Leaf:
    """`field op value`, the value as the field's type reads it."""

    column: Column
    op: str
    value: Any


@dataclass(frozen=True)
class ChangedPredicate(Leaf):
    """A leaf about the change itself: changed, changed_to, changed_from."""


@dataclass(frozen=True)
class Group:
    word: str  # "all" or "any"
    children: tuple["Condition", ...]


@dataclass(frozen=True)
class Negation:
    child: "Condition"


Condition = Leaf | Group | Negation


def parse(entity: Entity, raw: Any, *, changes: bool = False, name: str = "conditions") -> Condition:
    """The condition in `raw`, or InvalidError with every fault under its path below `name`.

    `changes` allows the operators that look at a change; without it they are refused. An empty object or
    list as a whole matches everything; inside of a condition, or as the value of a leaf, nothing is an error
    and never "skip this condition".
    """
    parser = _Parser(entity, changes)
    parsed = parser.node(raw, name, 0)
    if parser.issues or parsed is None:
        raise InvalidError(parser.issues)
    return parsed


def fields_of(condition: Condition) -> Iterator[Leaf]:
    """Every leaf of a condition."""
    if isinstance(condition, Leaf):
        yield condition
        return
    children = condition.children if isinstance(condition, Group) else (condition.child,)
    for child in children:
        yield from fields_of(child)


def resources_behind(condition: Condition) -> set[str]:
    """What a condition reads through references, as scopes name it."""
    columns = (leaf.column for leaf in fields_of(condition))
    return {resource_named(target_of(c.reference)) for c in columns if isinstance(c, RelatedColumn)}


class _Parser:
    def __init__(self, entity: Entity, changes: bool) -> None:
        self.entity, self.changes = entity, changes
        self.columns: Mapping[str, Column] = entity.by_name
        self.far_columns = FarColumns()
        self.issues: list[FieldIssue] = []
        self.leaves = 0

    def node(self, raw: Any, path: str, depth: int) -> Condition | None:
        if depth > MAX_DEPTH:
            return self._fault(
                path, "too_deep", _("Conditions nest at most %(max_depth)s deep.") % {"max_depth": MAX_DEPTH}
            )
        if depth and raw in ({}, []):
            return self._fault(path, "blank", _("An empty condition would match everything."))
        if isinstance(raw, list):
            return self._group("all", raw, path, depth)
        if not isinstance(raw, Mapping):
            return self._fault(path, "invalid", _("Expected an object or a list of conditions."))
        for word in ("all", "any", "not"):
            if word in raw:
                return self._branch(word, raw, path, depth)
        if "field" in raw:
            return self._leaf(raw, path)
        return self._equalities(raw, path)

    def _branch(self, word: str, raw: Mapping[str, Any], path: str, depth: int) -> Condition | None:
        if len(raw) > 1:
            return self._fault(path, "invalid", _('"%(word)s" stands alone in its object.') % {"word": word})
        below = f"{path}.{word}"
        if word == "not":
            child = self.node(raw[word], below, depth + 1)
            return Negation(child) if child is not None else None
        if not isinstance(raw[word], list) or not raw[word]:
            return self._fault(below, "invalid", _("Expected a list of at least one condition."))
        return self._group(word, raw[word], below, depth)

    def _group(self, word: str, raw: list[Any], path: str, depth: int) -> Group:
        children = [self.node(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(raw)]
        return Group(word, tuple(child for child in children if child is not None))

    def _equalities(self, raw: Mapping[str, Any], path: str) -> Group:
        """The short form: every field equals its value; a list means any of these."""
        leaves = [self._leaf({"field": key, "value": value}, path) for key, value in raw.items()]
        return Group("all", tuple(leaf for leaf in leaves if leaf is not None))

    def _leaf(self, raw: Mapping[str, Any], path: str) -> Leaf | None:
        self.leaves += 1
        if self.leaves > MAX_LEAVES:
            return self._fault(
                path, "too_many", _("At most %(max_leaves)s conditions.") % {"max_leaves": MAX_LEAVES}
            )
        column = self._column(raw.get("field"), path)
        return self._typed(column, raw, f"{path}.{column.name}") if column else None

    def _typed(self, column: Column, raw: Mapping[str, Any], path: str) -> Leaf | None:
        unknown = set(raw) - {"field", "op", "value"}
        if unknown:
            return self._fault(
                path,
                "invalid",
                _("Unknown keys: %(known)s.") % {"known": ", ".join(sorted(map(str, unknown)))},
            )
        op = self._operator(column, raw["op"] if "op" in raw else equality(column, raw.get("value")), path)
        if op is None:
            return None
        try:
            value = operand(column, op, raw.get("value"), given="value" in raw)
        except ValueRefusedError as error:
            return self._fault(path, error.code, error.message)
        return ChangedPredicate(column, op, value) if op in CHANGE_OPERATORS else Leaf(column, op, value)

    def _column(self, name: Any, path: str) -> Column | None:
        found = self._named(name) if isinstance(name, str) else None
        if found is None or not found.filterable:
            return self._fault(f"{path}.{str(name)[:100]}", "unknown_field", self._unknown(str(name)))
        return found

    def _unknown(self, name: str) -> str:
        known = ", ".join(sorted(n for n, c in self.columns.items() if c.filterable))
        return unknown_related(self.columns, name, known=self.far_columns) or _(
            "Unknown field. Known: %(known)s."
        ) % {"known": known}

    def _named(self, name: str) -> Column | None:
        """Definitions of custom fields are read once one is spoken of."""
        if name.startswith(PREFIX) and self.columns is self.entity.by_name:
            self.columns = schema(self.entity)
        found = self.columns.get(name) or self.entity.by_input_name.get(name)
        return found or related_column(self.columns, name, known=self.far_columns)

    def _operator(self, column: Column, op: Any, path: str) -> str | None:
        allowed = column.field_type.operators
        if self.changes and not column.custom and column.expression is None and not _is_related(column):
            allowed += CHANGE_OPERATORS
        if op in allowed:
            return op
        return self._fault(
            path,
            "unknown_operator",
            _("Unknown operator %(op)s. Known: %(names)s.")
            % {"op": repr(str(op)[:40]), "names": ", ".join(allowed)},
        )

    def _fault(self, path: str, code: str, message: str) -> Any:
        """Note a fault; None, which stands for what could not be read."""
        if len(self.issues) < MAX_ISSUES:
            self.issues.append(FieldIssue(path, code, message))
        return None


def _is_related(column: Column) -> bool:
    """What happens to another record is no change of this one."""
    return isinstance(column, RelatedColumn)


def equality(column: Column, value: Any) -> str:
    """The operator that is meant where none is named."""
    if "has_any" in column.field_type.operators:
        return "has_any"
    return "in" if isinstance(value, list) else "eq"


def operand(column: Column, op: str, raw: Any, *, given: bool = True) -> Any:
    """The value of a leaf in the form its operator compiles from. Raises ValueRefusedError."""
    if op == "changed":
        return None
    if op == "is_empty":
        return field_types.Boolean().to_internal_value(raw) if given else True
    if raw is None or raw in ("", []):
        raise ValueRefusedError(_('A value is needed; to match empty fields use "is_empty".'), code="blank")
    if op in LISTS or op == "between":
        return _list(column, op, raw)
    if op in SPANS:
        return time_span(raw)
    return _single(column, op, raw)


def _single(column: Column, op: str, raw: Any) -> Any:
    if op in ("contains", "starts_with", "ends_with"):
        return field_types.Text(max_length=500, trim_whitespace=False).to_internal_value(raw)
    return _clean(column, raw)


def _list(column: Column, op: str, raw: Any) -> list[Any]:
    if op in ("has_any", "has_all", "has_none") and isinstance(raw, str):
        raw = [raw]
    if not isinstance(raw, list | tuple):
        raise ValueRefusedError(_("Expected a list."), code="not_a_list")
    if len(raw) > MAX_LIST:
        raise ValueRefusedError(_("At most %(max_list)s values.") % {"max_list": MAX_LIST}, code="max_length")
    if op == "between" and len(raw) != 2:
        raise ValueRefusedError(_("Expected two values, from and to."), code="invalid")
    return [_clean(column, item) for item in raw]


def _clean(column: Column, raw: Any) -> Any:
    """One value; of lists, one item. What is blank, or becomes so, is no value to compare with."""
    if isinstance(column.field_type, field_types.TextList | field_types.MultiChoice):
        value = next(iter(column.field_type.to_internal_value([raw])), "")
    elif isinstance(column.field_type, field_types.Date | field_types.DateTime):
        value = relative_or_absolute(column.field_type, raw)
    else:
        value = "" if raw is None else column.field_type.to_internal_value(raw)
    if value == "":
        raise ValueRefusedError(_("An empty value is no value to compare with."), code="blank")
    return value
