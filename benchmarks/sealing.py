"""What sealing the change table costs: `python -m benchmarks.sealing --changes 1000000`.

Sealing and verifying so many changes, against one reading of them; writing leads while another connection
seals, against writing them while none does, in turn.
"""

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time

import psycopg

from backend.testing.servers import start_servers

FILL = """
INSERT INTO core_change (entity, object_id, kind, changes, source, actor_id, request_id)
SELECT 'lead', n %% 100000, CASE WHEN n %% 10 = 0 THEN 'created' ELSE 'updated' END,
    CASE WHEN n %% 10 = 0 THEN '{}'::jsonb
        ELSE jsonb_build_object('city', jsonb_build_array('Turin', 'Milan ' || n),
                                'score', jsonb_build_array(n, n + 1)) END,
    'api', n %% 50, gen_random_uuid()::text
FROM generate_series(1, %s) AS n
"""
READ = "SELECT sum(length(c::text)) FROM core_change c"
ONE = "INSERT INTO lead_management_lead (first_name, email) VALUES ('Ada', %s)"
MANY = "UPDATE lead_management_lead SET city = city || 'o' WHERE id % 2 = 0"
TABLES = ("core_change", "core_auditseal")
ROUNDS = 5


def seconds(connection, statement, given=None):
    started = time.perf_counter()
    connection.execute(statement, given)
    return time.perf_counter() - started


def seal(connection):
    """Seal everything; how long it took."""
    started, quiet = time.perf_counter(), 0
    while quiet < 2:
        sealed = connection.execute("SELECT core_auditseal_next(10000)").fetchone()[0]
        quiet = 0 if sealed else quiet + 1
    return time.perf_counter() - started


def write(connection, number, run):
    """Leads created one by one, and changed by one statement, a second."""
    started = time.perf_counter()
    for n in range(number):
        connection.execute(ONE, [f"{run}-{n}@example.com"])
    created = number / (time.perf_counter() - started)
    rows = connection.execute("SELECT count(*) FROM lead_management_lead WHERE id %% 2 = 0", []).fetchone()[0]
    return created, rows / seconds(connection, MANY)


def sealing_process(url, stop):
    """Seal every second, far more often than beat does."""
    with psycopg.connect(url, autocommit=True) as connection:
        while not stop.wait(1):
            seal(connection)


def writing(url, number):
    """Medians of the ratios with and without sealing, of creations and of changes."""
    ratios = []
    with psycopg.connect(url, autocommit=True) as connection:
        write(connection, number, "warm")
        for run in range(ROUNDS):
            without = write(connection, number, f"without-{run}")
            stop = threading.Event()
            thread = threading.Thread(target=sealing_process, args=(url, stop))
            thread.start()
            sealed = write(connection, number, f"with-{run}")
            stop.set()
            thread.join()
            ratios.append((without[0] / sealed[0], without[1] / sealed[1], *without))
    return [statistics.median(column) for column in zip(*ratios, strict=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=200_000)
    parser.add_argument("--creations", type=int, default=2_000)
    asked = parser.parse_args()
    servers = start_servers()
    try:
        url = servers.postgres.superuser_url
        created, changed, creations, changes = writing(url, asked.creations)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("TRUNCATE core_change, core_auditseal, core_sealbound")
            connection.execute(FILL, [asked.changes])
            connection.execute("VACUUM ANALYZE core_change")
            read = min(seconds(connection, READ) for _ in range(3))
            sealed = seal(connection)
            sizes = [
                connection.execute("SELECT pg_total_relation_size(%s)", [t]).fetchone()[0] for t in TABLES
            ]
            share = sizes[1] / sizes[0]
        started = time.perf_counter()
        environ = servers_environ(servers)
        command = [sys.executable, "manage.py", "audit_verify"]
        subprocess.run(command, env=environ, check=True, capture_output=True)  # noqa: S603
        verified = time.perf_counter() - started
    finally:
        servers.stop()
    print(f"{asked.changes} changes: read in {read:.2f} s; seals take {share:.0%} of the space of changes")
    for name, took in (("sealed", sealed), ("verified", verified)):
        print(f"{name} in {took:.2f} s, {asked.changes / took:,.0f} a second: {took / read:.1f} readings")
    print(f"created one by one, {creations:,.0f} a second: {created:.2f} times as long while another seals")
    print(
        f"changed by one statement, {changes:,.0f} a second: {changed:.2f} times as long while another seals"
    )
    return 0


def servers_environ(servers):
    """The environment of a command that works on these servers."""
    return os.environ | {
        "CRM_ENV": "development",
        "SECRET_KEY": "benchmark-" * 6,
        "DATABASE_URL": servers.postgres.superuser_url,
        "REDIS_URL": servers.valkey.url,
        "CRM_DATA_DIR": str(servers.folder),
    }


if __name__ == "__main__":
    sys.exit(main())
