"""Finding the duplicates of all leads beside one reading of them:
`python -m benchmarks.duplicates --records 1000000`.

A PostgreSQL of its own. One lead in ten has the address or the number of another. The reading fetches every
column of every lead once; the result is the ratio of the processor's seconds, here and in PostgreSQL, for
the machine may be busy with others. With a fuzzy rule as well: `--fuzzy`.
"""

import argparse
import subprocess
import sys
import time

import psutil
import psycopg

from backend.testing.servers import start_servers
from benchmarks.listing import ROOT, cpu, new_database

TARGET = 10
FILL = (
    "INSERT INTO lead_management_lead (first_name, last_name, email, phone, company_name)"
    " SELECT 'Person', 'Number' || n,"
    " 'person' || CASE WHEN n %% 20 = 0 THEN n - 1 ELSE n END || '@mail.example',"
    " '+1415' || lpad((CASE WHEN n %% 20 = 10 THEN n - 1 ELSE n END)::text, 7, '0'), 'Company ' || n"
    " FROM generate_series(1, %s) n"
)
FUZZY = (
    "INSERT INTO core_duplicaterule (name, entity, compare, match, threshold)"
    " VALUES ('Alike', 'lead', 'name_company', 'fuzzy', 0.8)"
)
FIND = """
import time
import psutil
from django.db import connection
from core.duplicates.finding import find_once
from core.duplicates.models import DuplicatePair
from core.entities import entities
connection.ensure_connection()
session = psutil.Process(connection.connection.info.backend_pid)
def cpu():
    spent = session.cpu_times()
    return time.process_time() + spent.user + spent.system
started, before = time.perf_counter(), cpu()
while find_once(entities["lead"]):
    pass
print(time.perf_counter() - started, cpu() - before, DuplicatePair.objects.count())
"""


def read(database: str) -> tuple[float, float]:
    """Seconds to fetch all leads once, and those of the processor, here and in PostgreSQL."""
    with psycopg.connect(database) as connection, connection.cursor(name="leads") as cursor:
        session = psutil.Process(connection.info.backend_pid)
        started, before = time.perf_counter(), cpu(session) + time.process_time()
        cursor.itersize = 2_000
        cursor.execute("SELECT * FROM lead_management_lead")
        for _ in cursor:
            pass
        return time.perf_counter() - started, cpu(session) + time.process_time() - before


def find(environ: dict[str, str]) -> tuple[float, float, int]:
    """The same of finding all duplicates, and how many pairs there are."""
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", FIND]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True)  # noqa: S603
    seconds, spent, pairs = done.stdout.split()[-3:]
    return float(seconds), float(spent), int(pairs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--fuzzy", action="store_true")
    asked = parser.parse_args()
    servers = start_servers()
    try:
        database, environ = new_database(servers)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(FILL, [asked.records])
            if asked.fuzzy:
                connection.execute(FUZZY)
            connection.execute("VACUUM ANALYZE")
        reading = [read(database) for _ in range(3)]
        seconds, spent, pairs = find(environ)
    finally:
        servers.stop()
    least = min(used for _, used in reading)
    ratio = spent / least
    verdict = "met" if ratio <= TARGET else "missed"
    print(f"{asked.records} leads, {pairs} pairs: read in {min(reading)[0]:.2f} s, found in {seconds:.2f} s")
    print(f"of the processor {least:.2f} s and {spent:.2f} s: ratio {ratio:.1f}, target {TARGET}: {verdict}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
