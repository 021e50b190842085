"""F1, W2, W18, W20: workers killed again and again, servers too; nothing is lost, effects come once.

Everything runs on servers of its own: PostgreSQL is killed here, and other tests need theirs.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import psycopg
import pytest

from backend.launch import BASE_DIR
from backend.testing.servers import start_servers

RUNS = 60
KILLS = 4
# Workers start slowly on a busy machine; the leases of killed ones run out after half a minute.
DEADLINE_S = 150
SETUP = """
from core.models import EmailTemplate, User, Workflow
from core.conf import conf
user = User.objects.create_user("chaos", "chaos@crm.example", "correct horse battery", role="admin")
Workflow.objects.create(name="Chaos", trigger_type="record_created", run_as=user, status="active",
    trigger_conditions={"model": "lead"}, actions=[
    {"type": "add_tag", "params": {"tag": "one"}},
    {"type": "add_comment", "params": {"body": "two of {{ lead.first_name }}"}},
    {"type": "wait", "params": {"seconds": 1}},
    {"type": "create_record", "params": {"model": "task",
                                         "fields": {"title": "three", "lead": "{{ lead.id }}"}}},
    {"type": "send_email", "params": {"subject": "four", "body": "x", "to": "x@crm.example"}}])
"""


class Cluster:
    """A database of its own, and `run_automation` processes that are killed and replaced."""

    def __init__(self, servers):
        self.servers = servers
        self.url = servers.postgres.superuser_url
        self.workers = []
        self.environ = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "backend.settings",
            "CRM_ENV": "development",
            "DATABASE_URL": self.url,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "CRM_DATA_DIR": str(servers.folder),
            "EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend",
        }

    def manage(self, *arguments, **options):
        command = [sys.executable, "-m", "django", *arguments]
        return subprocess.run(
            command, cwd=BASE_DIR, env=self.environ, check=True, capture_output=True, **options
        )

    def start_worker(self):
        command = [sys.executable, "-m", "django", "run_automation", "--pause", "0.1"]
        process = subprocess.Popen(
            command, cwd=BASE_DIR, env=self.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.workers.append(process)

    def kill_one_at_work(self):
        """SIGKILL to a process that holds a lease now, and another in its place; whether there was one."""
        rows = self.rows("SELECT worker FROM core_workflowexecution WHERE status = 'running'")
        busy = {int(row[0].split("/")[1]) for row in rows}
        for process in [p for p in self.workers if p.pid in busy and p.poll() is None]:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.replace_dead()
            return True
        return False

    def replace_dead(self):
        for process in [p for p in self.workers if p.poll() is not None]:
            self.workers.remove(process)
            self.start_worker()

    def rows(self, sql):
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql).fetchall()


@contextmanager
def cluster():
    servers = start_servers()
    made = Cluster(servers)
    try:
        made.manage("migrate", "--verbosity", "0")
        made.manage("shell", "-c", SETUP)
        yield made
    finally:
        for process in made.workers:
            process.kill()
            process.wait()
        servers.stop()


def insert_lead(found):
    """One acknowledged lead; while the server is down, try until it is up."""
    while True:
        try:
            found.rows("INSERT INTO lead_management_lead (first_name) VALUES ('Grace') RETURNING id")
            return
        except psycopg.OperationalError:
            time.sleep(0.2)


@pytest.mark.timeout(400)
def test_workers_and_postgresql_are_killed_under_load_and_every_effect_comes_once():
    with cluster() as found:
        for _ in range(2):
            found.start_worker()
        for _ in range(RUNS):
            insert_lead(found)
        kills = _work_under_fire(found)
        assert kills == KILLS
        assert found.rows("SELECT tags, count(*) FROM lead_management_lead GROUP BY 1") == [(["one"], RUNS)]
        for counted in EFFECTS:
            assert found.rows(counted) == [(RUNS, RUNS)], counted
        states = found.rows("SELECT status, count(*) FROM core_workflowexecution GROUP BY 1")
        assert states == [("completed", RUNS)]
        assert found.rows("SELECT count(*) FROM core_workflowstep WHERE status = 'completed'") == [
            (RUNS * 5,)
        ]
        early = "SELECT count(*) FROM core_workflowstep WHERE type = 'wait' AND finished_at < next_at"
        assert found.rows(early) == [(0,)]


EFFECTS = (
    "SELECT count(*), count(DISTINCT object_id) FROM core_comment",
    "SELECT count(*), count(DISTINCT lead_id) FROM tasks_task",
    "SELECT count(*), count(DISTINCT object_id) FROM core_emailmessage",
)


def _work_under_fire(found):
    """Until every run has ended: workers die in mid-work, PostgreSQL between them. Returns the kills."""
    deadline, kills = time.monotonic() + DEADLINE_S, 0
    while time.monotonic() < deadline:
        found.replace_dead()
        try:
            if kills < KILLS and found.kill_one_at_work():
                kills += 1
                if kills == KILLS // 2:
                    _crash(found)
            if found.rows(ENDED) == [(RUNS,)]:
                return kills
        except psycopg.OperationalError:
            pass  # PostgreSQL recovers from its crash
        time.sleep(0.05)
    states = "SELECT status, error_code, count(*) FROM core_workflowexecution GROUP BY 1, 2"
    pytest.fail(str(found.rows(states)))
    return kills


ENDED = "SELECT count(*) FROM core_workflowexecution WHERE status = 'completed'"


OTHERS = """
SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def _crash(found):
    """A backend of PostgreSQL dies by SIGKILL: the server drops every session and recovers from its log."""
    while True:
        for (pid,) in found.rows(OTHERS):
            # One that has ended by itself meanwhile is no crash: take another.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return
        time.sleep(0.05)
