"""Every table of the database says what it holds of persons."""

from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from backend.local_apps import LOCAL_APPS
from core.personal_data import impersonal_tables, kept_by_law, person_entities, personal_tables
from core.privacy.tables import searched_tables

TEXTS = ("text", "character varying", "character", "json", "jsonb", "ARRAY", "bytea", "USER-DEFINED")
# Types of columns that hold a person's words neither by themselves nor in JSON.
PLAIN_ARRAYS = ("_int2", "_int4", "_int8", "_float8", "_uuid")
# What packages keep for themselves.
PLAIN_TYPES = ("xid8",)


def columns_with_text():
    """Table → its columns of text, lists of texts, JSON and bytes; generated ones left out."""
    found: dict[str, set[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.table_name, c.column_name, c.data_type, c.udt_name FROM information_schema.columns c"
            " JOIN information_schema.tables t USING (table_schema, table_name)"
            " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.is_generated = 'NEVER'"
        )
        for table, column, kind, udt in cursor.fetchall():
            if kind in TEXTS and udt not in PLAIN_ARRAYS + PLAIN_TYPES:
                found.setdefault(table, set()).add(column)
    return found


@pytest.mark.django_db
def test_every_table_with_text_is_registered_once():
    tables = set(columns_with_text())
    personal, impersonal = set(personal_tables.keys()), set(impersonal_tables.keys())
    assert tables - personal - impersonal == set(), "register these with core.personal_data"
    assert personal & impersonal == set()
    assert all(len(impersonal_tables[name]) > 20 for name in impersonal)


@pytest.mark.django_db
def test_every_column_of_a_persons_table_is_searched_or_kept_with_a_reason():
    texts = columns_with_text()
    wrong = {}
    for name, table in searched_tables().items():
        registered = table.registered
        # Columns of addresses are somebody's own: they go with their record.
        searched = {column.name for column in table.columns} | set(registered.read) | table.addresses
        missing = texts.get(name, set()) - searched - set(registered.kept) - {table.pk}
        unknown = (set(registered.kept) | set(registered.emptied)) - texts.get(name, set())
        if missing or unknown:
            wrong[name] = (missing, unknown)
    assert wrong == {}


@pytest.mark.django_db
def test_what_is_registered_is_there():
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    named = {*personal_tables.keys(), *impersonal_tables.keys(), *kept_by_law.keys()}
    assert named - tables == set()
    assert set(person_entities.keys()) == {"contact", "lead"}


def test_nothing_else_may_write_the_change_table():
    """Its trigger lets maintenance pass; who says so is named here."""
    found = set()
    for app in LOCAL_APPS:
        for path in Path(settings.BASE_DIR, app).rglob("*.py"):
            if {"tests", "migrations"} & set(path.parts):
                continue
            text = path.read_text()
            if "crm.maintenance" in text or "core.Change:append_only" in text:
                found.add(str(path.relative_to(settings.BASE_DIR)))
    assert found == {
        "core/changes/archiving.py",  # what was written to a file, by the owner alone
        "core/changes/models.py",  # the trigger itself
        "core/changes/restore.py",  # a database that was restored on another server
    }
