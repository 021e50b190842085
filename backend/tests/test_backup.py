"""The commands that docs/operations.md gives for saving and restoring, carried out as they stand there."""

import os
import re
import subprocess
import sys

import psycopg
import pytest

from backend.development.embedded.services import Services
from backend.env import BASE_DIR, Env
from backend.testing.stacks import bare_environ, fill

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def kept(tmp_path):
    """The embedded servers of a CRM with three leads, one of them changed once."""
    found = Services(tmp_path.resolve() / "data", Env({}))
    try:
        fill(found.folder)
        found.ensure_running()
        with psycopg.connect(found.database_url()) as connection:
            connection.execute(
                "INSERT INTO lead_management_lead (first_name, custom_fields)"
                ' SELECT name, \'{"plan": "gold"}\' FROM unnest(%s::text[]) AS name',
                [["Ada", "Bob", "Łucja"]],
            )
            connection.execute("UPDATE lead_management_lead SET city = 'Turin' WHERE first_name = 'Ada'")
        yield found
    finally:
        found.remove()


def documented():
    """The shell commands of the section, block by block."""
    text = (BASE_DIR / "docs" / "operations.md").read_text()
    section = text[text.index("## Back-up and restore") : text.index("## Upgrade")]
    return re.findall(r"```\n(.*?)```", section, re.DOTALL)


def run(kept, folder, script, **variables):
    """Run a block in `folder`, where `python` and manage.py are at hand."""
    environ = bare_environ(kept.folder, **variables)
    environ["PATH"] = f"{os.path.dirname(sys.executable)}:{environ['PATH']}"
    for name in ("manage.py", "backend"):
        if not (folder / name).exists():
            (folder / name).symlink_to(BASE_DIR / name)
    command = ["bash", "-euo", "pipefail", "-c", script.replace("manage.py", str(BASE_DIR / "manage.py"))]
    made = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr


COUNT = "SELECT count(*) FROM core_change WHERE entity = 'lead'"
CITY = "SELECT city FROM lead_management_lead WHERE first_name = 'Ada'"


def state(url):
    """What is in the database, and that its triggers work: names, changes before and after one more."""
    with psycopg.connect(url, autocommit=True) as connection:
        names = connection.execute("SELECT first_name FROM lead_management_lead ORDER BY id").fetchall()
        [before] = connection.execute(COUNT).fetchone()
        connection.execute("UPDATE lead_management_lead SET city = city || '!' WHERE first_name = 'Ada'")
        [city] = connection.execute(CITY).fetchone()
        [after] = connection.execute(COUNT).fetchone()
        with pytest.raises(
            psycopg.Error, match=r"core_change is append-only|permission denied for table core_change"
        ):
            connection.execute("DELETE FROM core_change")
    return [name for (name,) in names], city, before, after


def test_the_commands_for_any_server_save_and_restore_all(kept, tmp_path):
    save, _, _ = documented()
    pg_dump, pg_restore = save.splitlines()
    own = kept.environment()
    given = {"PATH": f"{own['PATH']}:{os.environ['PATH']}"}
    run(kept, tmp_path, pg_dump, DATABASE_URL=own["DATABASE_URL"], **given)
    [dump] = tmp_path.glob("crm-*.dump")
    empty = own["DATABASE_MIGRATION_URL"].rsplit("/", 1)[0] + "/crm_empty"
    with psycopg.connect(own["DATABASE_MIGRATION_URL"], autocommit=True) as connection:
        connection.execute("CREATE DATABASE crm_empty")
    restore = pg_restore.replace("crm-2026-01-31.dump", dump.name)
    run(kept, tmp_path, restore, EMPTY_DATABASE_URL=empty, **given)
    assert state(empty) == (["Ada", "Bob", "Łucja"], "Turin!", 4, 5)


def test_the_commands_for_the_embedded_server_save_and_bring_back(kept, tmp_path):
    _, save, restore = documented()
    run(kept, tmp_path, save)
    assert (tmp_path / "crm-embedded.dump").stat().st_size > 10_000
    with psycopg.connect(kept.database_url()) as connection:
        connection.execute("DELETE FROM lead_management_lead")
    run(kept, tmp_path, restore)
    assert state(kept.database_url()) == (["Ada", "Bob", "Łucja"], "Turin!", 4, 5)
    with psycopg.connect(kept.database_url().rsplit("/", 1)[0] + "/crm_before") as connection:
        assert connection.execute("SELECT count(*) FROM lead_management_lead").fetchone() == (0,)
