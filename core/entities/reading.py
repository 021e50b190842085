"""Records as the API gives them: plain rows of the asked-for columns, no model instances in between."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import orjson
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from core.access import scopes
from core.entities import custom, field_types
from core.entities.columns import Column
from core.entities.entity import Entity, entities, entity_of
from core.entities.json_sql import rows_as_json, rows_as_text
from core.entities.references import target_model
from core.errors import InvalidError

Row = dict[str, Any]


class Reader:
    """Reads an entity's rows as dicts of `fields` (all by default), with `expand`ed references.

    `more` are columns that are none of the entity's (core.entities.json_sql.document_columns). Raises
    InvalidError for unknown names, listing the known ones.
    """

    def __init__(
        self,
        entity: Entity,
        *,
        fields: Sequence[str] = (),
        expand: Sequence[str] = (),
        more: Sequence[Column] = (),
    ) -> None:
        self.entity = entity
        columns = custom.schema(entity, names=fields) if fields else entity.by_name
        self.columns = pick(columns, fields, "fields") if fields else entity.columns
        if more:
            self.columns = [*self.columns, *more]
        self.expanded = pick(references(entity), expand, "expand")

    def documents(self, ids: Sequence[int], user: Any, using: str = DEFAULT_DB_ALIAS) -> list[Any]:
        """The records of `ids` ready for orjson, references expanded where that is asked for."""
        if not self.expanded:
            return rows_as_json(self.entity, self.columns, ids, using)
        found = [orjson.loads(text) for text in rows_as_text(self.entity, self.columns, ids, using)]
        for column in self.expanded:
            self._expand(found, column, user)
        return found

    def rows(self, queryset: QuerySet, user: Any) -> list[Row]:
        """The rows of a queryset, in its order, in one query and one more per expanded reference."""
        return self.shown(self.values(queryset), user)

    def shown(self, tuples: Iterable[Sequence[Any]], user: Any) -> list[Row]:
        """Tuples of `values` as dicts, references expanded."""
        found = [self.row(values) for values in tuples]
        for column in self.expanded:
            self._expand(found, column, user)
        return found

    def values(self, queryset: QuerySet, *more: str) -> QuerySet:
        """The queryset as tuples in the order of the columns, `more` annotations behind them."""
        made = [c.expression is not None or bool(c.without) for c in self.columns]
        aliases = {f"_c{i}": c.target for i, c in enumerate(self.columns) if made[i]}
        paths = [f"_c{i}" if made[i] else c.path for i, c in enumerate(self.columns)]
        return queryset.annotate(**aliases).values_list(*paths, *more)

    @cached_property
    def _converters(self) -> list[tuple[str, Callable[[Any], Any] | None]]:
        return [(c.name, converter(c)) for c in self.columns]

    def row(self, values: Sequence[Any]) -> Row:
        """One tuple of `values` as a dict ready for orjson."""
        return {
            name: value if convert is None or value is None else convert(value)
            for (name, convert), value in zip(self._converters, values, strict=True)
        }

    def _expand(self, rows: list[Row], column: Column, user: Any) -> None:
        """Put short forms for ids. Raises ScopeMissingError for an API key that may not read what is
        referred to."""
        scopes.require(user, resource_named(column.field_type.target))
        ids = {pk for row in rows if (pk := row.get(column.name)) is not None}
        known = nested_refs(column.field_type.target, ids, user)
        for row in rows:
            if column.name in row:
                # A reference to something hidden stays its bare id: the id was visible before.
                row[column.name] = known.get(row[column.name], row[column.name])


def pick(columns: dict[str, Column], names: Iterable[str], parameter: str) -> list[Column]:
    """The named columns; InvalidError on `parameter` for a name that is not there."""
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in columns]
    if unknown:
        known = ", ".join(sorted(columns))
        raise InvalidError.of(
            parameter,
            _("Unknown: %(known)s. Known: %(known2)s.")
            % {"known": ", ".join(unknown)[:200], "known2": known},
            "unknown",
        )
    return [columns[name] for name in names]


def references(entity: Entity) -> dict[str, Column]:
    return {c.name: c for c in entity.reference_columns}


def converter(column: Column) -> Callable[[Any], Any] | None:
    """What turns a database value into JSON where orjson would not by itself."""
    return column.field_type.to_representation if isinstance(column.field_type, field_types.Money) else None


def resource_named(target: str) -> str:
    """What references point at, as scopes and addresses name it: `lead` is of `leads`."""
    entity = entities.get(target)
    if entity is not None:
        return entity.plural
    return f"{target[:-1]}ies" if target.endswith("y") else f"{target}s"


def title_of(entity: Entity, values: dict[str, Any]) -> str:
    """How a record is called, from its values by column path."""
    name = " ".join(str(values[column]) for column in entity.display_fields if values.get(column))
    others = (str(values[column]) for column in entity.display_fallback if values.get(column))
    return name or next(others, f"{entity.name} {values.get('id')}")


def title(record: Any) -> str:
    """How an instance is called: by what is on it, which is not all where its reader may not see all."""
    entity = entity_of(record)
    return title_of(entity, {name: getattr(record, name) for name in ("id", *entity.display_columns)})


def nested_refs(target: str, ids: set[int], user: Any) -> dict[int, Row]:
    """Short forms `{id, name, …}` of those of `ids` that `user` sees, in one query."""
    if not ids:
        return {}
    rows = target_model(target).objects.visible_to(user).filter(pk__in=ids).order_by()
    entity = entities.get(target)
    if entity:
        entity = entity.for_user(user)
        paths = dict.fromkeys(("id", *entity.display_columns))
        return {r["id"]: {"id": r["id"], "name": title_of(entity, r)} for r in rows.values(*paths)}
    if target == "user":
        return {r["id"]: user_brief(r) for r in rows.values("id", "username", "first_name", "last_name")}
    return {r["id"]: r for r in rows.values("id", "name")}


def user_brief(row: Row) -> Row:
    full_name = f"{row['first_name']} {row['last_name']}".strip()
    return {"id": row["id"], "username": row["username"], "full_name": full_name or row["username"]}
