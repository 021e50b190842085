"""What the processes run as may write the audit trail and never change it; another role owns the tables."""

import subprocess
import sys

import psycopg
import pytest

from backend.development.embedded import postgres, state
from backend.development.embedded.services import Services
from backend.env import BASE_DIR, Env
from backend.testing.stacks import bare_environ, fill

pytestmark = pytest.mark.timeout(300)
REFUSED = [
    "UPDATE core_change SET actor_id = 1",
    "DELETE FROM core_change",
    "TRUNCATE core_change",
    "UPDATE core_auditseal SET rows = 0",
    "DELETE FROM core_auditseal",
    "INSERT INTO core_auditseal (id, kind, first_id, last_id, rows, affected, touched, unsealed, reason, at,"
    " digest, previous, hash)"
    " VALUES (0, 'pruned', 1, 9223372036854775807, 0, 0, '{}', '{}', '', now(), '', '', '')",
    "UPDATE core_sealbound SET last_id = 0",
    "LOCK TABLE core_sealbound IN ROW SHARE MODE",
    "INSERT INTO core_changeretention (days) VALUES (1)",
    "DELETE FROM core_changearchive",
    "SELECT core_auditseal_append('pruned', 1, 2, 0, '{}', '{}', '')",
    "CREATE FUNCTION public.sha256(text) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea'",
    "DELETE FROM core_auditverification",
    "DROP TABLE core_change",
    "ALTER TABLE core_change DISABLE TRIGGER ALL",
    "ALTER TABLE lead_management_lead DISABLE TRIGGER ALL",
    "CREATE OR REPLACE FUNCTION core_change_prune(days integer, most bigint)"
    " RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
    "SET session_replication_role = replica",
    "SET ROLE crm_owner",
    "CREATE TABLE own (id int)",
    "DELETE FROM django_migrations",
]
SEAL = "SELECT core_auditseal_next(10000)"
REWRITE = "SELECT core_change_rewrite(ARRAY[%s]::bigint[], ARRAY['{}'::jsonb], ARRAY[''], ARRAY[''], %s)"
ERASURE = (
    "INSERT INTO core_privacyrequest (kind, status, subject, found, progress, counts, kept)"
    " VALUES ('erase', 'running', '{}', '{}', '{}', '{}', '[]') RETURNING id"
)
SEALS = "SELECT kind, rows, affected, reason FROM core_auditseal ORDER BY id"
OWNER = "SELECT tableowner FROM pg_tables WHERE tablename = 'core_change'"


@pytest.fixture
def kept(tmp_path):
    """The embedded servers of a CRM that was migrated and holds nothing."""
    found = Services(tmp_path.resolve() / "data", Env({}))
    try:
        fill(found.folder)
        found.ensure_running()
        yield found
    finally:
        found.remove()


def not_refused(url):
    """Those of the statements that the role may carry out, and ought not to."""
    done = []
    for statement in REFUSED:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT set_config('crm.maintenance', 'on', true)")
            try:
                connection.execute(statement)
                done.append(statement)
            except psycopg.errors.InsufficientPrivilege:
                pass
            except psycopg.Error:  # the role may, but something hangs on it
                done.append(statement)
            connection.rollback()
    return done


def test_the_running_role_adds_to_the_trail_and_never_changes_it(kept):
    url = kept.database_url()
    assert not_refused(url) == []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO lead_management_lead (first_name) VALUES ('Ada'), ('Bob')")
        connection.execute("UPDATE lead_management_lead SET city = 'Turin' WHERE first_name = 'Ada'")
        [count] = connection.execute("SELECT count(*) FROM core_change").fetchone()
        assert [connection.execute(SEAL).fetchone()[0] for _ in range(3)] == [0, count, 0]
        [[newest]] = connection.execute("SELECT max(id) FROM core_change").fetchall()
        # What erasures and the retention may do is sealed by what does it.
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="for an erasure that is running"):
            connection.execute(REWRITE, [newest, 1])
        [request] = connection.execute(ERASURE).fetchone()
        assert connection.execute(REWRITE, [newest, request]).fetchone() == (1,)
        # The owner has said that changes are kept for ever.
        assert connection.execute("SELECT days FROM core_changeretention").fetchall() == [(0,)]
        assert connection.execute("SELECT core_change_prune(1, 10)").fetchone() == (0,)
        assert connection.execute(SEALS).fetchall() == [
            ("sealed", count, 0, ""),
            ("erased", count, 1, f"privacy request {request}"),
        ]

    # A cluster from before there was an owner: everything is given to that, once, and `prepare` grants anew.
    password = state.load(kept.folder).superuser_password
    superuser = postgres.address(postgres.SUPERUSER, password, state.load(kept.folder).postgres_port)
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("REASSIGN OWNED BY crm_owner TO crm")
        connection.execute("ALTER ROLE crm CREATEDB")
        connection.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM crm_owner")
    assert not_refused(url) != []
    kept.stop()
    kept.ensure_running()
    command = [sys.executable, "manage.py", "prepare"]
    made = subprocess.run(
        command, cwd=BASE_DIR, env=bare_environ(kept.folder), capture_output=True, text=True
    )
    assert (made.returncode, made.stderr) == (0, "")
    assert not_refused(url) == []
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute(OWNER).fetchone() == ("crm_owner",)
        connection.execute("INSERT INTO lead_management_lead (first_name) VALUES ('Cleo')")
        assert [connection.execute(SEAL).fetchone()[0] for _ in range(2)] == [0, 1]
