"""Ratios of automation on a PostgreSQL of its own: `python -m benchmarks.automation [--leads 100000]`.

steps      three-step runs per second and process, and their time over that of their SQL alone
creation   creating a lead with 20 active, non-matching workflows over creating one with none
matching   feeding imported leads to 20 workflows of which 2 match, over inserting the leads
"""

import argparse
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from backend.testing.servers import start_servers

RUNS = 300
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
    from core.models import Workflow

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
    from core.models import Workflow, WorkflowExecution

    WorkflowExecution.objects.all().delete()
    Workflow.objects.all().delete()


def steps(user: Any) -> None:
    from core.models import Workflow
    from core.workflows import engine
    from lead_management.models import Lead

    workflow = Workflow.objects.create(
        name="Steps", status="active", run_as=user, trigger_type="manual",
        trigger_conditions={"model": "lead"}, actions=ACTIONS,
    )  # fmt: skip
    for n in range(RUNS):
        lead = Lead.objects.create(first_name=f"L{n}", owner=user)
        engine.queue_workflow(workflow, {"lead_id": lead.pk})
    with sql_time() as spent:
        seconds = timed(lambda: engine.run_due(600))
    rate, ratio = 3 * RUNS / seconds, seconds / spent[0]
    print(
        f"steps      {rate:6.0f} steps/s per process (target 300); {ratio:.2f} x their SQL alone (target 3)"
    )
    clear()


def creation(user: Any) -> None:
    from rest_framework.test import APIClient

    client = APIClient()
    client.force_authenticate(user)
    client.defaults["HTTP_HOST"] = "localhost"

    def create(count: int = 300) -> None:
        for n in range(count):
            client.post("/api/v1/leads/", {"first_name": f"C{n}"}, format="json")

    create(50)
    without = min(timed(create) for _ in range(3))
    make_workflows(user, 0)
    with_them = min(timed(create) for _ in range(3))
    print(f"creation   {with_them / without:6.2f} x with 20 non-matching workflows (target 1.1)")
    clear()


def matching(user: Any, count: int) -> None:
    from django.db import connection

    from core.changes.dispatch import dispatch

    def insert() -> None:
        with connection.cursor() as cursor:
            cursor.execute(LEADS, [user.pk, count])

    dispatch()
    inserting = timed(insert)
    without = timed(dispatch)
    for label, state in (("1 in 100", "CA"), ("nearly all", "NY")):
        make_workflows(user, 2, state)
        insert()
        with_them = timed(dispatch)
        added = with_them - without
        share = added / (inserting + without)
        print(
            f"matching   {count} leads: inserting {inserting:.2f} s, feeding {without:.2f} s;"
            f" 20 workflows of which 2 match {label} add {added:.2f} s ({share:.0%}; target 20 %)"
        )
        clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=100_000)
    options = parser.parse_args()
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
        from core.models import User

        user = User.objects.create_user("bench", "bench@crm.example", secrets.token_urlsafe(12), role="admin")
        steps(user)
        creation(user)
        matching(user, options.leads)
    finally:
        servers.stop()


if __name__ == "__main__":
    main()
