"""Migrations that lock or break what runs: `python -m backend.development.migrations`, a part of `make lint`.

While a release is installed the old code still works on the new schema, and tables may hold millions of rows.
So a migration may not block writes for as long as a table is read or rewritten, nor take away or require what
the old code does not know. Each finding is one sentence; what was thought over is named in ACCEPTED.
"""

import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from django.db import connection
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from backend.local_apps import LOCAL_APPS

# The last migrations from before there was this check: what came until then was installed on small databases.
# Of an app that is not named all are checked.
CHECKED_SINCE = {
    "core": "0046_privacy",
    "contacts": "0019",
    "lead_management": "0017",
    "opportunities": "0019",
    "tasks": "0014",
}
# (app, migration) → why it may do what it does.
ACCEPTED: dict[tuple[str, str], str] = {}

_ADDED = r"\bADD\s+(COLUMN\s+)?(?!CONSTRAINT\b)\w+\s"
_VOLATILE = "random|gen_random_uuid|uuidv4|uuidv7|clock_timestamp|nextval"
LOCKING_SQL = {
    r"\bCREATE\s+(UNIQUE\s+)?INDEX\b(?!\s+CONCURRENTLY)": "creates an index without CONCURRENTLY",
    r"\bDROP\s+INDEX\b(?!\s+CONCURRENTLY)": "drops an index without CONCURRENTLY",
    r"\bREINDEX\b(?!.*\bCONCURRENTLY\b)": "reindexes without CONCURRENTLY",
    r"\bLOCK\s+TABLE\b": "locks a table",
    r"\bALTER\s+COLUMN\s+\S+\s+(SET\s+DATA\s+)?TYPE\b": "changes the type of a column",
    r"\bSET\s+NOT\s+NULL\b": "requires a value that the old code may not give",
    r"\b(VACUUM\s+FULL|CLUSTER)\b": "rewrites a table",
    r"\bTRUNCATE\b": "empties a table",
    r"\bDROP\s+(TABLE|COLUMN)\b": "takes away what the old code uses",
    r"\bDROP\s+CONSTRAINT\b": "takes away what the old code relies on",
    r"\bRENAME\b": "renames what the old code uses",
    rf"{_ADDED}(?![^,]*\bDEFAULT\b)[^,]*\bNOT\s+NULL\b": "adds a column that the old code gives no value",
    rf"{_ADDED}[^,]*\bDEFAULT\b[^,]*\b({_VOLATILE})\b": "rewrites a table",
    rf"{_ADDED}[^,]*\b(small|big)?serial\b": "rewrites a table",
    r"\bADD\s+CONSTRAINT\b(?!.*\b(NOT\s+VALID|USING\s+INDEX)\b)": "adds a constraint at once",
}
_BODY = re.compile(r"\$(\w*)\$.*?\$\1\$", re.DOTALL)
_LITERAL = re.compile(r"'(?:[^']|'')*'|--[^\n]*")


def problems(migration: Migration, state: ProjectState) -> Iterator[str]:
    """What is wrong with a migration that begins with `state`; tables that it makes are empty."""
    made: set[str] = set()
    state = state.clone()
    for operation in migration.operations:
        before = state.clone()
        operation.state_forwards(migration.app_label, state)
        if isinstance(operation, operations.CreateModel):
            made.add(operation.name_lower)
        if _table(operation) not in made:
            yield from _problems(operation, migration, before)


def _table(operation: Any) -> str:
    return str(getattr(operation, "model_name", getattr(operation, "name", ""))).lower()


# Operations that lock, or take away what the old code uses, by their own classes alone → what they do, and
# what to do instead.
REFUSED: dict[type[Any], str] = {
    operations.AddIndex: "blocks writes: AddIndexConcurrently, in a migration with atomic = False",
    operations.RemoveIndex: "waits for readers, with writes behind it: RemoveIndexConcurrently",
    operations.AddConstraint: "reads the whole table: AddConstraintNotValid, and ValidateConstraint later",
    operations.RemoveField: "the old code still uses it: take it out of the code a release before",
    operations.DeleteModel: "the old code still uses it: take it out of the code a release before",
    operations.RemoveConstraint: "the old code relies on it: take it out a release later",
    operations.AlterUniqueTogether: "reads the whole table: a unique index, made concurrently",
    operations.AlterIndexTogether: "blocks writes: AddIndexConcurrently, in a migration with atomic = False",
    operations.AlterModelTable: "the old code knows the old name: leave db_table as it is",
    operations.RenameField: "the old code knows the old name: add the new one beside it",
    operations.RenameModel: "the old code knows the old name: add the new one beside it",
}


def _problems(operation: Any, migration: Migration, before: ProjectState) -> Iterator[str]:
    if what := REFUSED.get(type(operation)):
        yield f"{operation.describe()}: {what}"
    elif isinstance(operation, operations.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from _problems(inner, migration, before)
    elif isinstance(operation, operations.AddField):
        yield from _added(operation.field, f"{operation.model_name}.{operation.name}")
    elif isinstance(operation, operations.AlterField):
        fields = before.models[migration.app_label, operation.model_name_lower].fields
        yield from _altered(fields[operation.name], operation.field, operation.name, operation.model_name)
    elif isinstance(operation, operations.RunPython) and migration.atomic:
        yield "RunPython in one transaction locks what it writes until its end: atomic = False, in portions"
    elif isinstance(operation, operations.RunSQL):
        yield from _in_sql(operation.sql)


def _added(field: Any, name: str) -> Iterator[str]:
    if field.many_to_many:
        return
    if field.generated:
        yield f"{name} is generated: the table is rewritten"
    elif not field.null and not field.has_db_default():
        yield f"{name} is NOT NULL without db_default: the old code inserts rows without it"
    if _has_index(field):
        yield f"{name} comes with an index, which blocks writes: db_index=False, and AddIndexConcurrently"


def _has_index(field: Any) -> bool:
    return bool(field.unique or field.db_index)


def _altered(old: Any, new: Any, name: str, model: str) -> Iterator[str]:
    before, after = _type(old, name), _type(new, name)
    if before != after and not _is_wider(before, after):
        yield f"{model}.{name} becomes {after}: the table is rewritten; add a column beside it"
    if old.null and not new.null:
        yield f"{model}.{name} becomes NOT NULL: add a check that is not valid, validate it, and then this"
    if _has_index(new) and not _has_index(old):
        yield f"{model}.{name} gets an index, which blocks writes: AddIndexConcurrently"


def _type(field: Any, name: str) -> str:
    """The type of the column; of a foreign key, where it leads to."""
    if field.is_relation:
        return str(field.remote_field.model).lower()
    named = field.clone()
    named.set_attributes_from_name(name)
    return named.db_type(connection) or ""


def _is_wider(old: str, new: str) -> bool:
    """Whether PostgreSQL need not look at the rows."""
    lengths = [re.fullmatch(r"varchar\((\d+)\)", one) for one in (old, new)]
    if lengths[0] and new in ("text", "varchar"):
        return True
    return bool(lengths[0] and lengths[1] and int(lengths[0][1]) <= int(lengths[1][1]))


def _in_sql(given: Any) -> Iterator[str]:
    """What statements do; bodies of functions are done later, and by others."""
    parts = [given] if isinstance(given, str) else [p if isinstance(p, str) else p[0] for p in given]
    for part in parts:
        bare = _LITERAL.sub("''", _BODY.sub("''", part))
        for statement in bare.split(";"):
            for pattern, what in LOCKING_SQL.items():
                if re.search(pattern, statement, re.IGNORECASE | re.DOTALL):
                    yield f"SQL that {what}: {' '.join(statement.split())[:80]}"


def found() -> dict[tuple[str, str], list[str]]:
    """The problems of the migrations since CHECKED_SINCE, but for those that are ACCEPTED."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    new = [
        (app, name)
        for app, name in sorted(loader.graph.nodes)
        if app in LOCAL_APPS and name[:4] > CHECKED_SINCE.get(app, "")[:4] and (app, name) not in ACCEPTED
    ]
    wrong = {
        key: [*problems(loader.graph.nodes[key], loader.project_state(key, at_end=False))] for key in new
    }
    return {key: sentences for key, sentences in wrong.items() if sentences}


def main() -> int:
    import django  # the settings are named first

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    django.setup()
    wrong = found()
    for (app, name), sentences in wrong.items():
        for sentence in sentences:
            sys.stdout.write(f"{app} {name}: {sentence}\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
