"""Finding the duplicates of all leads beside one reading of them:
`python -m benchmarks.duplicates --records 1000000`.

A PostgreSQL of its own. One lead in ten has the address or the number of another. The reading fetches every
column of every lead once; the ratio of both is the result. With a fuzzy rule as well: `--fuzzy`.
"""

import argparse
import subprocess
import sys
import time

import psycopg

from backend.testing.servers import start_servers
from benchmarks.listing import ROOT, new_database

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
from core.duplicates.finding import find_once
from core.duplicates.models import DuplicatePair
from core.entities import entities
started = time.perf_counter()
while find_once(entities["lead"]):
    pass
print(time.perf_counter() - started, DuplicatePair.objects.count())
"""


def read(database: str) -> float:
    """Seconds to fetch all leads once."""
    started = time.perf_counter()
    with psycopg.connect(database) as connection, connection.cursor(name="leads") as cursor:
        cursor.itersize = 2_000
        cursor.execute("SELECT * FROM lead_management_lead")
        for _ in cursor:
            pass
    return time.perf_counter() - started


def find(environ: dict[str, str]) -> tuple[float, int]:
    """Seconds to find all duplicates, and how many pairs there are."""
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", FIND]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True)  # noqa: S603
    seconds, pairs = done.stdout.split()[-2:]
    return float(seconds), int(pairs)


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
        reading = min(read(database) for _ in range(3))
        finding, pairs = find(environ)
    finally:
        servers.stop()
    ratio = finding / reading
    verdict = "met" if ratio <= TARGET else "missed"
    print(f"{asked.records} leads: read in {reading:.2f} s, {pairs} pairs found in {finding:.2f} s")
    print(f"ratio {ratio:.1f}, target {TARGET}: {verdict}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
