"""The pipeline of a past day and other reports over many changes: `python -m benchmarks.reports`.

A PostgreSQL of its own with so many deals and changes, spread over two years; the median time of some
requests (statements, and Python around them). The reference is one statement that reads the same changes and
only counts them by deal: what any answer of the change table costs at least.
"""

import argparse
import os
import secrets
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django
import psutil

from backend.testing.servers import TestServers, start_servers
from benchmarks.listing import cpu, postmaster

TURNS = 5
TARGET_S = 2.0
DEALS = """
INSERT INTO opportunities_opportunity
    (name, pipeline_id, stage, amount, currency, expected_close_date, created_at, company_name, lost_reason,
     lead_source, next_step, notes, external_id, tags, forecast_category)
SELECT 'Deal ' || n, p.id, (ARRAY['prospecting', 'qualification', 'proposal', 'closed_won'])[1 + n %% 4],
       n %% 9000, (ARRAY['USD', 'EUR'])[1 + n %% 2], current_date - n %% 400,
       now() - (730 - 700.0 * n / %s) * interval '1 day', '', '', '', '', '', '', '{}', 'pipeline'
FROM generate_series(1, %s) n, opportunities_pipeline p WHERE p.is_default
"""
# Of each deal the same number, in turn of its amount, stage, close date and notes, from its creation to now.
CHANGES = """
INSERT INTO core_change (entity, object_id, kind, changes, source, at)
SELECT 'opportunity', o.id, 'updated',
       CASE (o.id + k) %% 4
           WHEN 0 THEN jsonb_build_object('amount', jsonb_build_array(k * 10, k * 10 + 10))
           WHEN 1 THEN jsonb_build_object('stage', '["prospecting", "qualification"]'::jsonb, 'probability',
                                          '[10, 25]'::jsonb)
           WHEN 2 THEN jsonb_build_object('expected_close_date', '["2026-01-01", "2026-02-01"]'::jsonb)
           ELSE jsonb_build_object('notes', '["a", "b"]'::jsonb) END,
       'api', o.created_at + (now() - o.created_at) * k / %s
FROM opportunities_opportunity o, generate_series(1, %s) k
ORDER BY o.created_at + (now() - o.created_at) * k / %s
"""
REFERENCE = """
SELECT count(*) FROM (
    SELECT object_id, count(*) FROM core_change WHERE entity = 'opportunity' AND at >= %s GROUP BY object_id
) c
"""


def prepare(servers: TestServers) -> None:
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "backend.settings",
        "CRM_ENV": "development",
        "DATABASE_URL": servers.postgres.superuser_url,
        "REDIS_URL": servers.valkey.url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "CRM_DATA_DIR": str(servers.folder / "data"),
    }
    django.setup()


def fill(deals: int, changes: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(DEALS, [deals, deals])
        cursor.execute("UPDATE opportunities_opportunity SET status = 'won' WHERE stage = 'closed_won'")
        each = max(1, changes // deals)
        cursor.execute(CHANGES, [each, each, each])
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE core_change")
        cursor.execute("VACUUM ANALYZE opportunities_opportunity")


def seconds(work: Callable[[], Any], server: psutil.Process) -> tuple[float, float]:
    """The median of some turns after one to warm up: by the clock, and CPU of server and client."""
    work()
    spent, used = [], []
    for _ in range(TURNS):
        begun, before = time.perf_counter(), cpu(server) + time.process_time()
        work()
        spent.append(time.perf_counter() - begun)
        used.append(cpu(server) + time.process_time() - before)
    return statistics.median(spent), statistics.median(used)


def measure(deals: int, server: psutil.Process) -> None:
    from django.db import connection
    from django.utils import timezone
    from rest_framework.test import APIClient

    from core.accounts.models import User

    admin = User.objects.create_superuser("admin", password=secrets.token_urlsafe())
    client = APIClient()
    client.force_authenticate(admin)
    day = timezone.localdate() - timedelta(days=365)

    def reference() -> None:
        with connection.cursor() as cursor:
            cursor.execute(REFERENCE, [day])
            cursor.fetchall()

    def report(name: str, **params: Any) -> Callable[[], Any]:
        def ask() -> None:
            answer = client.get(f"/api/v1/reports/{name}/", params, headers={"Host": "localhost"})
            assert answer.status_code == 200, answer.content

        return ask

    clock, least = seconds(reference, server)
    print(f"{deals:,} deals; reference (changes counted by deal) {clock:.2f} s, {least:.2f} s of CPU")
    end = day + timedelta(days=180)
    works = {
        "pipeline a year ago": report("pipeline", date=day),
        "waterfall of half a year": report("waterfall", start=day, end=end),
        "funnel of a year": report("funnel", start=day, end=end),
        "trend of a year by owner": report("trend", start=day, end=end, group_by="owner"),
    }
    for name, work in works.items():
        clock, used = seconds(work, server)
        print(f"{name}: {clock:.2f} s (target {TARGET_S}), {used:.2f} s of CPU, {used / least:.1f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=1_000_000)
    given = parser.parse_args()
    servers = start_servers()
    try:
        prepare(servers)
        fill(given.deals, given.changes)
        measure(given.deals, postmaster(servers))
    finally:
        servers.stop()


if __name__ == "__main__":
    main()
