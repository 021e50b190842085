"""A record of one entity as input for another: every field that both have."""

from collections.abc import Collection
from typing import Any

from core.entities.custom import definitions
from core.entities.entity import Entity


def shared_fields(
    source: Entity, target: Entity, record: Any, without: Collection[str] = ()
) -> dict[str, Any]:
    """What `record` has in the fields that can be written in both entities under one name, custom fields of
    one key and type too; `without` names those that are not copied."""
    known = target.by_name
    values = {
        column.name: getattr(record, column.path)
        for column in source.columns
        if column.writable and column.name in known and known[column.name].writable
    }
    values["custom_fields"] = shared_custom_fields(source, target, record)
    return {name: value for name, value in values.items() if name not in without}


def shared_custom_fields(source: Entity, target: Entity, record: Any) -> dict[str, Any]:
    """The record's custom values that `target` defines under the same key and type."""
    if not record.custom_fields:
        return {}
    types = {d.key: d.type for d in definitions(source)}
    return {
        d.key: record.custom_fields[d.key]
        for d in definitions(target)
        if types.get(d.key) == d.type and d.key in record.custom_fields
    }
