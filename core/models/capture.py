"""Triggers that write the change table: declared per model, generic in what they record.

Statement-level with transition tables, so that a bulk write costs one extra INSERT … SELECT. Rows are
compared as jsonb by column name: a column added later is captured without touching the triggers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models

# Who and why: one transaction-local setting, a JSON object (core.changes.context). Django's connections
# call themselves "crm…", so what comes in any other way without a context is "sql".
_DECLARE = [
    ("ctx", "jsonb"),
]
_CONTEXT = (
    "ctx := coalesce(nullif(current_setting('crm.context', true), ''), '{}')::jsonb;"
    " IF NOT ctx ? 'source' THEN ctx := ctx || jsonb_build_object('source',"
    " CASE WHEN current_setting('application_name') LIKE 'crm%' THEN 'system' ELSE 'sql' END); END IF;"
)
_INSERT = """
WITH written AS (
    INSERT INTO core_change (entity, object_id, kind, changes, actor_id, source, request_id, import_id,
                             execution_id, agent_session_id, agent, depth)
    SELECT '{entity}', r.id, r.kind, r.changes, (ctx->>'actor_id')::bigint, ctx->>'source',
           coalesce(ctx->>'request_id', ''), (ctx->>'import_id')::bigint,
           (ctx->>'execution_id')::bigint, (ctx->>'agent_session_id')::bigint,
           coalesce(ctx->>'agent', ''), coalesce((ctx->>'depth')::smallint, 0::smallint)
    FROM ({rows}) AS r(id, kind, changes)
    RETURNING id
)
INSERT INTO core_outbox (entity, min_id, max_id, rows, automation)
SELECT '{entity}', min(id), max(id), count(*), coalesce((ctx->>'automation')::boolean, true)
FROM written HAVING count(*) > 0;
RETURN NULL;
"""
_CREATED = "SELECT n.id, 'created', '{{}}'::jsonb FROM new_rows n ORDER BY n.id"
_UPDATED = """
SELECT n.id, {kind}, d.changes
FROM new_rows n JOIN old_rows o ON o.id = n.id
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(a.key, jsonb_build_array(a.value, b.value)) AS changes
    FROM jsonb_each(to_jsonb(o) - '{untracked}'::text[]) a
    JOIN jsonb_each(to_jsonb(n)) b ON b.key = a.key AND b.value IS DISTINCT FROM a.value
) d
WHERE d.changes IS NOT NULL ORDER BY n.id
"""
_DELETED = """
SELECT o.id, 'deleted', (
    SELECT coalesce(jsonb_object_agg(a.key, jsonb_build_array(a.value, NULL)), '{{}}')
    FROM jsonb_each(jsonb_strip_nulls(to_jsonb(o) - '{untracked}'::text[])) a
)
FROM old_rows o ORDER BY o.id
"""
# Of parts of records: all values, those that stay the same too, for nothing else says what the part was.
_PART_CREATED = """
SELECT n.{record}, 'created', (
    SELECT jsonb_object_agg(a.key, jsonb_build_array(NULL, a.value))
    FROM jsonb_each(jsonb_strip_nulls(to_jsonb(n) - '{untracked}'::text[])) a
)
FROM new_rows n ORDER BY n.id
"""
_PART_UPDATED = """
SELECT n.{record}, 'updated', (
    SELECT jsonb_object_agg(a.key, jsonb_build_array(a.value, b.value))
    FROM jsonb_each(to_jsonb(o) - '{untracked}'::text[]) a JOIN jsonb_each(to_jsonb(n)) b ON b.key = a.key
)
FROM new_rows n JOIN old_rows o ON o.id = n.id
WHERE to_jsonb(o) - '{untracked}'::text[] <> to_jsonb(n) - '{untracked}'::text[] ORDER BY n.id
"""
_PART_DELETED = _DELETED.replace("SELECT o.id,", "SELECT o.{record},")
# The names under which changes are recorded, filled as the models are declared.
NAMES: list[str] = []


@dataclass(frozen=True)
class CapturedPart:
    """Rows that are a part of a record, which the column `record` names. `shows` are the resources that a
    change of one is about, as scopes name them, that of the record before all. The columns `untracked` are in
    no change."""

    model: str
    record: str
    shows: tuple[str, ...]
    untracked: tuple[str, ...]


# Those names that are of parts of records.
PARTS: dict[str, CapturedPart] = {}
_ARCHIVING = (
    "CASE WHEN o.archived_at IS NULL AND n.archived_at IS NOT NULL THEN 'archived'"
    " WHEN o.archived_at IS NOT NULL AND n.archived_at IS NULL THEN 'restored' ELSE 'updated' END"
)


def captured(entity: str, *, untracked: Iterable[str] = (), archivable: bool = False) -> list:
    """The triggers that record every change of a table under the name `entity`.

    `untracked` columns neither appear in a change nor make one; `archivable` tables have `archived_at`.
    A TRUNCATE cannot be recorded row by row, and a record under a new id would leave its history behind:
    both are refused.
    """
    names = "{" + ",".join(untracked) + "}"
    kind = _ARCHIVING if archivable else "'updated'"
    statements = [rows.format(untracked=names, kind=kind) for rows in (_CREATED, _UPDATED, _DELETED)]
    return _recording(entity, statements)


def captured_part(
    entity: str, record: str, *, model: str, shows: Iterable[str], untracked: Iterable[str] = ()
) -> list:
    """As `captured`, for rows that are a part of a record: each change is recorded under the record's id (in
    the column `record`), with all values of the row, so that it says by itself what came and went. `model` is
    the label of their model; `shows` are the resources that such a change is about, as scopes name them, that
    of the record before all."""
    left_out = ("id", record, *untracked)
    PARTS[entity] = CapturedPart(model, record, tuple(shows), left_out)
    names = "{" + ",".join(left_out) + "}"
    parts = (_PART_CREATED, _PART_UPDATED, _PART_DELETED)
    return _recording(entity, [rows.format(untracked=names, record=record) for rows in parts])


def _recording(entity: str, statements: Iterable[str]) -> list:
    """The triggers for what the statements give of a creation, an update and a deletion."""
    NAMES.append(entity)
    parts = [
        ("created", pgtrigger.Insert, pgtrigger.Referencing(new="new_rows")),
        ("updated", pgtrigger.Update, pgtrigger.Referencing(old="old_rows", new="new_rows")),
        ("deleted", pgtrigger.Delete, pgtrigger.Referencing(old="old_rows")),
    ]
    triggers = [
        _capture(f"capture_{name}", operation, tables, entity, rows)
        for (name, operation, tables), rows in zip(parts, statements, strict=True)
    ]
    return [*triggers, *_REFUSED, _COMPOSED]


class _IsNotComposed(pgtrigger.Condition):
    """Whether any text of the new row has letters in another form than Unicode's composed one (NFC)."""

    def __init__(self) -> None:
        super().__init__("resolved for each model")

    def resolve(self, model: Any) -> str:
        texts = models.CharField | models.TextField | models.JSONField | ArrayField
        columns = [f.column for f in model._meta.local_fields if isinstance(f, texts) and not f.primary_key]
        values = ", ".join(f'NEW."{column}"' for column in columns) or "''"
        return f"concat({values}) IS NOT NFC NORMALIZED"


# Two spellings of one name must not be two names, whoever wrote them: what comes through psql, a shell or
# COPY is composed here. What is structure in JSON is not changed by composing.
_COMPOSED = pgtrigger.Trigger(
    name="compose_text",
    level=pgtrigger.Row,
    when=pgtrigger.Before,
    operation=pgtrigger.Insert | pgtrigger.Update,
    condition=_IsNotComposed(),
    func="RETURN jsonb_populate_record(NEW, normalize(to_jsonb(NEW)::text, NFC)::jsonb);",
)


def _capture(
    name: str, operation: pgtrigger.Operation, tables: pgtrigger.Referencing, entity: str, rows: str
) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=operation,
        referencing=tables,
        declare=_DECLARE,
        func=_CONTEXT + _INSERT.format(entity=entity, rows=rows),
    )


def _refused(name: str, operation: pgtrigger.Operation, message: str) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.Before,
        operation=operation,
        func=f"RAISE EXCEPTION '{message}' USING ERRCODE = 'insufficient_privilege';",
    )


_REFUSED = (
    _refused("no_truncate", pgtrigger.Truncate, "TRUNCATE would escape the change table; use DELETE"),
    _refused("no_new_id", pgtrigger.UpdateOf("id"), "a record keeps its id: its history is kept under it"),
)


def versioned(derived: Iterable[str] = ()) -> pgtrigger.Trigger:
    """Raise `version` and `updated_at` whenever a field changes.

    Fields that the system derives (scores, engagement) are left out: writing only them leaves the version,
    and so a client's ETag, as it was. A version written from outside (a stale copy saved whole) is overruled:
    it never goes back. A generated column cannot be looked at before the write.
    """
    exclude = ["updated_at", "created_at", "search_text", *derived]
    return pgtrigger.Trigger(
        name="raise_version",
        level=pgtrigger.Row,
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.AnyChange(exclude=exclude),
        func="NEW.version := OLD.version + 1; NEW.updated_at := clock_timestamp(); RETURN NEW;",
    )


def raises_version_of(table: str, holder: str) -> list[pgtrigger.Trigger]:
    """Triggers of a table of parts: one that comes, changes or goes raises the `version` of the record that
    the column `holder` names, in `table`, once for each statement."""
    parts = [
        ("created", pgtrigger.Insert, pgtrigger.Referencing(new="new_rows"), ("new_rows",)),
        (
            "updated",
            pgtrigger.Update,
            pgtrigger.Referencing(old="old_rows", new="new_rows"),
            ("old_rows", "new_rows"),
        ),
        ("deleted", pgtrigger.Delete, pgtrigger.Referencing(old="old_rows"), ("old_rows",)),
    ]
    return [
        pgtrigger.Trigger(
            name=f"raise_version_{name}",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=operation,
            referencing=tables,
            func=f"UPDATE {table} SET version = version + 1 WHERE id IN ("  # noqa: S608 (constants)
            + " UNION ".join(f"SELECT {holder} FROM {rows}" for rows in those)  # noqa: S608 (constants)
            + "); RETURN NULL;",
        )
        for name, operation, tables, those in parts
    ]
