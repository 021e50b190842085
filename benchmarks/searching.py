"""Global search beside the search of one entity's list: `python -m benchmarks.searching --records 1000000`.

A server process and a PostgreSQL of their own. For each question the median of the wall-clock time of 40
answers, the two taking turns; the ratio of both is the result.
"""

import argparse
import statistics
import sys
import time

import httpx
import psycopg

from backend.testing.servers import start_servers
from benchmarks.listing import new_database, sign_in, web

TIMES, WARM_UP = 40, 5
TARGET = 3
# A word of one record, words of many, an address, a number, and a word with a typing error.
QUESTIONS = ("unique777", "common", "common unique77", "person77@mail.example", "+14155550077", "uniqe777")
FILL = (
    "INSERT INTO lead_management_lead (first_name, last_name, email, phone, company_name)"
    " SELECT 'Person', 'Unique' || n, 'person' || n || '@mail.example', '+1415555' || lpad(n::text, 4, '0'),"
    " 'Common ' || md5(n::text) FROM generate_series(1, %s) n",
    "INSERT INTO contacts_contact (first_name, last_name, email) SELECT 'Contact', 'Common' || md5(n::text),"
    " 'contact' || n || '@mail.example' FROM generate_series(1, %s / 2) n",
    "INSERT INTO contacts_company (name, city) SELECT 'Common ' || md5((-n)::text), 'Town' || n"
    " FROM generate_series(1, %s / 4) n",
)


def seconds(client: httpx.Client, path: str, question: dict[str, str]) -> float:
    started = time.perf_counter()
    client.get(path, params=question).raise_for_status()
    return time.perf_counter() - started


def compare(client: httpx.Client, text: str) -> float:
    """The ratio of the medians of both searches for a text."""
    turns = [
        (
            seconds(client, "/api/v1/leads/", {"search": text, "page_size": "20"}),
            seconds(client, "/api/v1/search/", {"q": text, "page_size": "20"}),
        )
        for _ in range(WARM_UP + TIMES)
    ][WARM_UP:]
    one, every = (statistics.median(column) * 1000 for column in zip(*turns, strict=True))
    print(f"  {text:<24} leads {one:8.1f} ms  everything {every:8.1f} ms  ratio {every / one:.2f}")
    return every / one


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000, help="Leads; contacts are half as many.")
    records = parser.parse_args().records
    servers = start_servers()
    try:
        database, environ = new_database(servers)
        with psycopg.connect(database, autocommit=True) as connection:
            for statement in FILL:
                connection.execute(statement, [records])
            connection.execute("VACUUM ANALYZE")
        with web(environ) as (url, _):
            ratios = [compare(sign_in(url, "admin"), text) for text in QUESTIONS]
    finally:
        servers.stop()
    middle = statistics.median(ratios)
    verdict = "met" if middle <= TARGET else "missed"
    print(f"{records} leads: median ratio {middle:.2f}, target {TARGET}: {verdict}")
    return 0 if middle <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
