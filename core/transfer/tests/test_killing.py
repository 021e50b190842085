"""kill -9 of an installation's web server, worker and PostgreSQL, each in the middle of an import.

A locked table holds the import where everything is written and nothing committed: the worst moment.
"""

import contextlib
import threading
import time
from contextlib import contextmanager

import httpx
import psutil
import psycopg
import pytest

from backend.development.embedded.services import Services
from backend.env import Env
from backend.testing.stacks import fill, running_stack

pytestmark = pytest.mark.timeout(600)
RUNNING = "The CRM is running. Ctrl-C stops it."
SECONDS = 120
GOOD = 2_100


def csv_of(rows):
    """`rows` leads and one with a fault, which is stored last."""
    lines = (f"First{i},lead{i}@x.example,Acme {i % 50}" for i in range(rows))
    return ("first_name,email,company_name\n" + "\n".join(lines) + "\nBob,broken,Acme 1\n").encode()


def wait_until(probe, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {probe.__name__}")


class Installation:
    """A running stack, its API as an administrator, its database, and how to kill its parts."""

    def __init__(self, stack):
        self.stack = stack
        self.services = Services(stack.data, Env({}))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=60)
        self.starts = 1

    def ready(self):
        """Wait for the stack and sign in."""
        self.stack.await_said(RUNNING, times=self.starts)
        answer = self.client.post("/api/auth/login/", json={"username": "admin", "password": "password"})
        self.client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access']}"

    def start_again(self):
        wait_until(lambda: not self.stack.processes())
        self.starts += 1
        self.stack.start()
        self.ready()

    def send(self, content):
        return self.client.post("/api/v1/import/leads/", files={"file": ("leads.csv", content, "text/csv")})

    def rows(self, statement):
        with psycopg.connect(self.services.database_url(), autocommit=True) as connection:
            return connection.execute(statement).fetchall()

    def count(self, table, where="true"):
        return self.rows(f"SELECT count(*) FROM {table} WHERE {where}")[0][0]  # noqa: S608

    @contextmanager
    def held(self):
        """Imports come as far as their faults, which are the last they store; entered once one is there."""
        with psycopg.connect(self.services.database_url()) as connection:
            connection.execute("LOCK TABLE core_importissue IN SHARE MODE")
            yield lambda: wait_until(self.is_held)

    def is_held(self):
        return self.rows(
            "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'core_importissue'::regclass"
        )

    def kill_web(self):
        (web,) = (p for p in self.stack.processes() if "uvicorn" in p.cmdline())
        web.kill()

    def kill_worker(self):
        """The process of Celery's pool that runs the import: the one whose session waits."""
        port = self.rows(
            "SELECT client_port FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
            " WHERE NOT l.granted AND l.relation = 'core_importissue'::regclass"
        )[0][0]
        (worker,) = (p for p in self.stack.processes() if port in local_ports(p))
        assert "celery" in worker.cmdline()
        worker.kill()

    def kill_postgres(self):
        """The postmaster, then every backend of it, as when the machine loses its power."""
        postmaster = psutil.Process(int(self.services.status()["PostgreSQL"].split()[1]))
        for found in [postmaster, *postmaster.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                found.kill()
        wait_until(lambda: not postmaster.is_running() or postmaster.status() == psutil.STATUS_ZOMBIE)


def local_ports(process):
    with contextlib.suppress(psutil.Error):
        return {c.laddr.port for c in process.net_connections("inet") if c.status == "ESTABLISHED"}
    return set()


@pytest.fixture
def crm(tmp_path):
    data = tmp_path.resolve() / "data"
    fill(data)
    with running_stack(data, CRM_DEMO_LEADS="0") as stack:
        made = Installation(stack)
        made.ready()
        yield made
        made.client.close()
    made.services.remove()


def test_kills_of_web_worker_and_database_leave_no_half_import_and_the_job_ends_with_true_figures(crm):
    reported = {"type": "send_notification", "params": {"message": "{{payload.created}}"}}
    workflow = {
        "name": "After imports",
        "trigger_type": "import_finished",
        "status": "active",
        "actions": [reported],
    }
    crm.client.post("/api/v1/workflows/", json=workflow).raise_for_status()

    # The web server, in the middle of an import that it answers at once.
    with crm.held() as there:
        lost = threading.Thread(target=send_and_lose, args=(crm, csv_of(300)))
        lost.start()
        there()
        crm.kill_web()
        lost.join(SECONDS)
    crm.start_again()
    assert nothing_is_written(crm)
    assert crm.count("core_importjob") == 0

    # Celery's process, in the middle of a job.
    with crm.held() as there:
        job = crm.send(csv_of(GOOD)).json()
        there()
        crm.kill_worker()
    # The whole of PostgreSQL, in the middle of the second attempt.
    with contextlib.suppress(psycopg.OperationalError), crm.held() as there:
        assert nothing_is_written(crm)
        wait_until(lambda: crm.count("core_importjob", "attempt = 2"))
        there()
        crm.kill_postgres()
    crm.services.ensure_running()
    with crm.held() as there:
        there()
        assert nothing_is_written(crm)
        assert crm.count("core_importjob", "attempt = 3 AND status = 'running'") == 1
    wait_until(lambda: crm.count("core_importjob", "status NOT IN ('pending', 'running')"))
    assert_ended_once(crm, job["url"])


def send_and_lose(crm, content):
    with pytest.raises(httpx.TransportError):
        crm.send(content)


def nothing_is_written(crm):
    """No lead, no change of one, no fault."""
    tables = ("lead_management_lead", "core_importissue")
    return [crm.count(t) for t in tables] + [crm.count("core_change", "entity = 'lead'")] == [0, 0, 0]


def assert_ended_once(crm, url):
    """Figures add up and are those of the tables; each lead was captured once, and the end told once."""
    found = crm.client.get(url).json()
    names = ("status", "read", "created", "updated", "unchanged", "skipped", "failed")
    assert [found[name] for name in names] == ["finished", GOOD + 1, GOOD, 0, 0, 0, 1]
    assert (crm.count("lead_management_lead"), crm.count("core_importissue")) == (GOOD, 1)
    captured = "SELECT count(*), count(DISTINCT object_id), min(import_id), max(import_id) FROM core_change"
    assert crm.rows(f"{captured} WHERE entity = 'lead'") == [(GOOD, GOOD, found["id"], found["id"])]
    wait_until(lambda: crm.count("core_workflowexecution", "status = 'completed'"))
    assert crm.rows("SELECT body FROM core_notification WHERE type = 'workflow'") == [(str(GOOD),)]
    assert crm.count("core_notification", "type = 'import_finished'") == 1
