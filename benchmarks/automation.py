"""Figures of automation on a PostgreSQL and a Valkey of its own: `python -m benchmarks.automation`.

steps      three-step runs (update_field, create_task, send_notification) per second and process, and their
           time over that of their SQL alone; runs of one workflow, and of twenty taken turn about
creation   creating a lead with 20 active, non-matching workflows over creating one with none
latency    from the change's commit to its run's first step, with a worker and the broker, and by the loop
           without a broker
matching   feeding imported leads to 20 workflows of which 2 match, over inserting the leads

`--only steps,latency` leaves out the others, `--leads 100000` says how many are imported.
"""

import argparse
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from backend.testing.servers import start_servers

RUNS = 300
ROUNDS = 5
TURNS = 40
CHANGES = 200
MATCHING_ROUNDS = 3
PARTS = ("steps", "creation", "latency", "matching")
ACTIONS = [
    {"type": "update_field", "params": {"field": "priority", "value": "urgent"}},
    {"type": "create_task", "params": {"title": "Ring {{ lead.first_name }}", "due_days": 2}},
    {"type": "send_notification", "params": {"message": "New: {{ lead.first_name }}"}},
]
LEADS = """
INSERT INTO lead_management_lead (first_name, last_name, email, state, owner_id)
SELECT 'F' || n, 'L' || n, n || '@x.example', CASE WHEN n %% 100 = 0 THEN 'CA' ELSE 'NY' END, %s
FROM generate_series(1, %s) n
"""


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def worked(work: Callable[[], Any]) -> float:
    """Seconds of the processor that this process and its database session needed: on a busy machine the
    clock tells of the others as well."""
    before = _processor()
    work()
    return _processor() - before


def _processor() -> float:
    from django.db import connection

    connection.ensure_connection()
    session = psutil.Process(connection.connection.info.backend_pid).cpu_times()
    return time.process_time() + session.user + session.system


@contextmanager
def sql_time() -> Iterator[list[float]]:
    """Seconds that statements took, as a bare loop over the same ones would spend."""
    from django.db import connection

    spent = [0.0]

    def measure(execute: Any, *arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            spent[0] += time.perf_counter() - started

    with connection.execute_wrapper(measure):
        yield spent


def make_workflows(user: Any, matching: int, state: str = "CA") -> None:
    from core.workflows.models import Workflow

    for n in range(20):
        Workflow.objects.create(
            name=f"W{n}",
            status="active",
            run_as=user,
            trigger_type="record_created",
            trigger_conditions={"model": "lead", "conditions": {"state": state if n < matching else "ZZ"}},
            actions=ACTIONS,
        )


def clear() -> None:
    from core.workflows.models import Workflow, WorkflowExecution

    WorkflowExecution.objects.all().delete()
    Workflow.objects.all().delete()


def steps(user: Any) -> None:
    for label, workflows in (("one workflow", 1), ("20 workflows", 20)):
        measured = [_steps(user, workflows) for _ in range(ROUNDS)]
        rate = statistics.median(rate for rate, _, _ in measured)
        best = max(rate for rate, _, _ in measured)
        ratio = statistics.median(ratio for _, ratio, _ in measured)
        cpu = statistics.median(cpu for _, _, cpu in measured)
        print(
            f"steps      {label}: {rate:.0f} steps/s per process, best of {ROUNDS} rounds {best:.0f}"
            f" (target 300); {ratio:.2f} x their SQL alone (target 3); {cpu:.1f} ms of the processor per run"
            f" (with its session's), {3_000 / cpu:.0f} steps for each second of it"
        )


def _steps(user: Any, workflows: int) -> tuple[float, float, float]:
    """Steps per second, time over that of the SQL alone, milliseconds of the processor per run."""
    from core.workflows import engine
    from core.workflows.models import Workflow
    from lead_management.models import Lead

    made = [
        Workflow.objects.create(
            name=f"Steps {n}", status="active", run_as=user, trigger_type="manual",
            trigger_conditions={"model": "lead"}, actions=ACTIONS,
        )
        for n in range(workflows)
    ]  # fmt: skip
    for n in range(RUNS):
        lead = Lead.objects.create(first_name=f"L{n}", owner=user)
        engine.queue_workflow(made[n % workflows], {"lead_id": lead.pk})
    processor = _processor()
    with sql_time() as spent:
        seconds = timed(lambda: engine.run_due(600))
    processor = _processor() - processor
    clear()
    return 3 * RUNS / seconds, seconds / spent[0], processor / RUNS * 1_000


def creation(user: Any) -> None:
    """Turn about, many times, so that whatever else the machine does falls on both alike."""
    from core.changes.dispatch import dispatch
    from core.workflows.models import Workflow

    client = api_client(user)
    make_workflows(user, 0)
    requests: dict[bool, list[float]] = {True: [], False: []}
    feeding: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(TURNS):
        for active in (True, False):
            Workflow.objects.update(status="active" if active else "draft")
            dispatch()
            for n in range(6):
                request = timed(lambda: client.post("/api/v1/leads/", {"first_name": "C"}, format="json"))
                fed = timed(dispatch)
                if turn and n:
                    requests[active].append(request)
                    feeding[active].append(fed)
    medians = {k: statistics.median(v) for k, v in requests.items()}
    behind = {k: statistics.median(v) for k, v in feeding.items()}
    print(
        f"creation   {medians[True] / medians[False]:.2f} x with 20 non-matching workflows (target 1.1):"
        f" {medians[False] * 1e3:.1f} and {medians[True] * 1e3:.1f} ms; behind the request the dispatcher"
        f" takes {behind[False] * 1e3:.1f} and {behind[True] * 1e3:.1f} ms"
    )
    clear()


def api_client(user: Any) -> Any:
    from rest_framework.test import APIClient

    client = APIClient()
    client.force_authenticate(user)
    client.defaults["HTTP_HOST"] = "localhost"
    return client


WORKER = ["celery", "--quiet", "-A", "backend", "worker", "--loglevel=warning", "--concurrency=2",
          "--without-gossip", "--without-mingle"]  # fmt: skip
LOOP = ["django", "run_automation"]
LATENCY = """
SELECT extract(epoch FROM s.started_at - c.at)::float8 * 1000
FROM core_workflowstep s JOIN core_workflowexecution e ON e.id = s.execution_id
JOIN core_change c ON c.id = e.change_id WHERE s.position = 0 ORDER BY 1
"""


def latency(user: Any, command: list[str], label: str, target: str, pause_s: float) -> None:
    """A change every `pause_s`, as people make them; when its first step started, by PostgreSQL's clock and
    this machine's, which are one."""
    from django.db import connection

    from core.changes.dispatch import dispatch
    from core.workflows.models import WorkflowExecution

    make_workflows(user, 1)
    dispatch()
    client = api_client(user)
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        _create_until(client, lambda: WorkflowExecution.objects.filter(status="completed").exists())
        WorkflowExecution.objects.all().delete()
        for _ in range(CHANGES):
            client.post("/api/v1/leads/", {"first_name": "N", "state": "CA"}, format="json")
            time.sleep(pause_s)
        wait_until(lambda: not WorkflowExecution.objects.exclude(status="completed").exists())
    finally:
        process.terminate()
        process.wait(30)
    with connection.cursor() as cursor:
        cursor.execute(LATENCY)
        found = [row[0] for row in cursor.fetchall()]
    p50, p99 = statistics.median(found), found[int(len(found) * 0.99)]
    print(
        f"latency    {label}: change to first step p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        f" of {len(found)} changes ({target})"
    )
    clear()


def _create_until(client: Any, ready: Callable[[], bool]) -> None:
    """Until the process has started and worked once."""

    def tried() -> bool:
        client.post("/api/v1/leads/", {"first_name": "W", "state": "CA"}, format="json")
        return ready()

    wait_until(tried, 0.5)
    time.sleep(3)


def wait_until(ready: Callable[[], bool], pause_s: float = 0.2) -> None:
    until = time.monotonic() + 60
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError("nothing was done within a minute")
        time.sleep(pause_s)


def matching(user: Any, count: int) -> None:
    """Turn about as well, in seconds of the processor; of each way the best of its rounds, which is the least
    disturbed one."""
    from django.db import connection

    from core.changes.dispatch import dispatch

    def insert() -> None:
        with connection.cursor() as cursor:
            cursor.execute(LEADS, [user.pk, count])

    ways: dict[str, str | None] = {"none": None, "1 in 100": "CA", "nearly all": "NY"}
    inserting: list[float] = []
    feeding: dict[str, list[float]] = {way: [] for way in ways}
    dispatch()
    for _ in range(MATCHING_ROUNDS):
        for way, state in ways.items():
            if state:
                make_workflows(user, 2, state)
                dispatch()
            inserting.append(worked(insert))
            feeding[way].append(worked(dispatch))
            clear()
    without, inserted = min(feeding["none"]), min(inserting)
    for way in ("1 in 100", "nearly all"):
        added = min(feeding[way]) - without
        print(
            f"matching   {count} leads: inserting {inserted:.2f} s, feeding {without:.2f} s; 20 workflows of"
            f" which 2 match {way} add {added:.2f} s ({added / (inserted + without):.0%}; target 20 %)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--only", default=",".join(PARTS))
    options = parser.parse_args()
    wanted = options.only.split(",")
    servers = start_servers()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "backend.settings",
        "CRM_ENV": "development",
        "DATABASE_URL": servers.postgres.superuser_url,
        "REDIS_URL": servers.valkey.url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "CRM_DATA_DIR": str(servers.folder / "data"),
        "RATE_LIMIT_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    }
    try:
        subprocess.run([sys.executable, "-m", "django", "migrate", "--verbosity", "0"], check=True)
        import django

        django.setup()
        from core.accounts.models import User

        user = User.objects.create_user("bench", "bench@crm.example", secrets.token_urlsafe(12), role="admin")
        if "steps" in wanted:
            steps(user)
        if "creation" in wanted:
            creation(user)
        if "latency" in wanted:
            latency(user, WORKER, "with a broker", "targets 100 and 500", 0.2)
            latency(user, LOOP, "without one", "target: the sweep, 1000", 0.2)
        if "matching" in wanted:
            matching(user, options.leads)
    finally:
        servers.stop()


if __name__ == "__main__":
    main()
