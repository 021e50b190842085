"""A person who is everywhere, and a look at everything that is stored."""

from pathlib import Path

import pytest


@pytest.fixture
def files(settings, tmp_path):
    """The folder of the default storage, of this test alone."""
    folder = tmp_path / "files"
    settings.STORAGES = settings.STORAGES | {
        "default": settings.STORAGES["default"] | {"OPTIONS": {"location": folder}}
    }
    return folder


@pytest.fixture
def places(files):
    """places(word, …) → the tables, with their columns, and the files in which a word stands, in any case."""
    from django.db import connection

    def find(*words: str) -> set[str]:
        found = set()
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names(cursor):
                cursor.execute(f'SELECT to_jsonb(t)::text FROM "{table}" t')  # noqa: S608
                rows = [text for (text,) in cursor.fetchall()]
                hexed = [word.encode().hex() for word in words]
                wanted = [w.lower() for w in (*words, *hexed)]
                found |= {table for row in rows if any(word in row.lower() for word in wanted)}
        stored = [path for path in Path(files).rglob("*") if path.is_file()] if Path(files).exists() else []
        for path in stored:
            content = path.read_bytes().lower()
            found |= {path.parent.name for word in words if word.lower().encode() in content}
        return found

    return find
