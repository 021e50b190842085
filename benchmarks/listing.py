"""Pages of a list of 100,000 leads, beside a plain ModelViewSet's: `python -m benchmarks.listing`.

A server process and a PostgreSQL of their own; per request the CPU time of both together (user and system),
over 200 requests one after another, after 20 to warm up. Wall-clock time would say more about the machine.
Two pages that are compared take turns, and of their turns the median counts: what else the machine does
at a moment makes CPU time longer for both.
"""

import argparse
import os
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg

from backend.development.embedded import ports
from backend.testing.servers import TestServers, start_servers

ROOT = Path(__file__).resolve().parent.parent
WARM_UP, REQUESTS, TURNS = 20, 200, 8
PASSWORD = "password"  # noqa: S105  (as the demo data says)
TARGET = 1 / 3
Spent = dict[str, float]
# A rep who sees every fiftieth lead.
SHARE = """
UPDATE lead_management_lead SET owner_id = u.id, assigned_to_id = NULL
FROM (SELECT id FROM core_user WHERE username = 'rep') u WHERE lead_management_lead.id % 50 = 0;
UPDATE lead_management_lead SET owner_id = u.id, assigned_to_id = NULL
FROM (SELECT id FROM core_user WHERE username = 'rep2') u
WHERE lead_management_lead.id % 50 <> 0
  AND 'rep' IN (SELECT username FROM core_user WHERE id IN (owner_id, assigned_to_id));
"""


# Copies of what is there, under ids and addresses of their own, until there are enough.
MORE = """
INSERT INTO lead_management_lead ({columns}, email)
SELECT {columns}, n || '.' || email FROM lead_management_lead CROSS JOIN generate_series(2, %s) AS n
"""


def environment(servers: TestServers, database: str) -> dict[str, str]:
    return os.environ | {
        "CRM_ENV": "development",
        "DEBUG": "0",
        "RATE_LIMIT_ENABLED": "0",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DATABASE_URL": database,
        "REDIS_URL": servers.valkey.url,
        "CRM_DATA_DIR": str(servers.folder / "data"),
        "DJANGO_SETTINGS_MODULE": "benchmarks.plain_settings",
        "LOG_LEVEL": "WARNING",
    }


def new_database(servers: TestServers) -> tuple[str, dict[str, str]]:
    """A migrated database with an administrator: its address, and the environment of what works on it."""
    with psycopg.connect(servers.postgres.superuser_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE benchmark")
    database = servers.postgres.superuser_url.rsplit("/", 1)[0] + "/benchmark"
    environ = environment(servers, database)
    manage(environ, "migrate", "--verbosity=0")
    manage(environ, "shell", "-v0", "-c", ADMINISTRATOR)
    return database, environ


def manage(environ: dict[str, str], *arguments: str) -> float:
    """Run a management command; seconds it took."""
    started = time.monotonic()
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=environ, check=True)  # noqa: S603
    return time.monotonic() - started


@contextmanager
def web(
    environ: dict[str, str], application: str = "backend.asgi:application", *, processes: int = 1
) -> Iterator[tuple[str, psutil.Process]]:
    """A running web server: its address and process."""
    port = ports.any_free()
    command = [sys.executable, "-m", "uvicorn", application, f"--port={port}", f"--workers={processes}"]
    process = subprocess.Popen([*command, "--no-access-log", "--log-level=warning"], cwd=ROOT, env=environ)  # noqa: S603
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                httpx.get(f"{url}/livez", timeout=2).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield url, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def cpu(process: psutil.Process) -> float:
    """CPU seconds of a process, of its children that live and of those that ended."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def postmaster(servers: TestServers) -> psutil.Process:
    pid = (servers.postgres.data / "postmaster.pid").read_text().split()[0]
    return psutil.Process(int(pid))


def measure(client: httpx.Client, paths: list[str], processes: dict[str, psutil.Process]) -> list[Spent]:
    """Milliseconds of CPU per request of each path, by process and altogether."""
    for path in paths * WARM_UP:
        client.get(path).raise_for_status()
    turns = [[turn(client, path, processes) for path in paths] for _ in range(TURNS)]
    return [median_of(one_path) for one_path in zip(*turns, strict=True)]


def turn(client: httpx.Client, path: str, processes: dict[str, psutil.Process]) -> Spent:
    requests = REQUESTS // TURNS
    before = {name: cpu(process) for name, process in processes.items()}
    for _ in range(requests):
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
    spent = {name: (cpu(process) - before[name]) * 1000 / requests for name, process in processes.items()}
    return spent | {"all": sum(spent.values())}


def median_of(turns: Sequence[Spent]) -> Spent:
    return {name: statistics.median(spent[name] for spent in turns) for name in turns[0]}


def sign_in(url: str, username: str) -> httpx.Client:
    client = httpx.Client(base_url=url, timeout=60)
    body = {"username": username, "password": PASSWORD}
    token = client.post("/api/auth/login/", json=body).raise_for_status().json()["access"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def line(name: str, spent: Spent, note: str = "") -> str:
    parts = "  ".join(f"{key} {value:6.2f}" for key, value in spent.items())
    return f"  {name:<34} {parts} ms  {note}"


def compare(client: httpx.Client, who: str, processes: dict[str, psutil.Process]) -> float:
    """Both kinds of page for one user; the ratio of ours to the plain one."""
    first = client.get("/api/v1/leads/").json()
    plain_first = client.get("/plain/leads/").json()
    assert [r["id"] for r in first["results"]] == [r["id"] for r in plain_first["results"]]
    assert set(first["results"][0]) == set(plain_first["results"][0])
    count = (
        f"{first['count']}{' (estimated)' if first.get('count_estimated') else ''} of {plain_first['count']}"
    )
    plain, ours = measure(client, ["/plain/leads/", "/api/v1/leads/"], processes)
    ratio = ours["all"] / plain["all"]
    print(f"{who}: count {count}")
    print(line("ModelViewSet, COUNT(*)", plain))
    print(line("ours", ours, f"ratio {ratio:.2f}"))
    return ratio


def searches(client: httpx.Client, database: str, processes: dict[str, psutil.Process]) -> None:
    """An address and a rare word, and whether an index found them."""
    rare = "Zyxomma"
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute(
            "SELECT email, id FROM lead_management_lead WHERE id % 7919 = 0 LIMIT 1"
        ).fetchone()
        email, pk = row if row else ("", 0)
        connection.execute(
            "UPDATE lead_management_lead SET company_name = %s WHERE id = %s", [f"{rare} Works", pk]
        )
        connection.execute("VACUUM ANALYZE lead_management_lead")
        for term in (email, rare):
            found = client.get("/api/v1/leads/", params={"search": term}).json()
            plan = connection.execute(
                "EXPLAIN SELECT id FROM lead_management_lead"
                " WHERE archived_at IS NULL AND search_text LIKE %s ORDER BY id DESC LIMIT 51",
                [f"%{term.upper()}%"],
            ).fetchall()
            index = any("lead_search" in text for (text,) in plan)
            [spent] = measure(client, [f"/api/v1/leads/?search={term}"], processes)
            print(line(f"search={term[:26]}", spent, f"count {found['count']}, index: {index}"))


def multiply(connection: psycopg.Connection, times: int) -> None:
    """As many leads again, `times - 1` times."""
    found = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'lead_management_lead'"
        " AND is_generated = 'NEVER' AND column_name NOT IN ('id', 'email')"
    )
    columns = ", ".join(name for (name,) in found)
    connection.execute(MORE.format(columns=columns), [times])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument(
        "--copies", type=int, default=1, help="Seed a part of them and copy it so many times."
    )
    options = parser.parse_args()
    servers = start_servers()
    try:
        database, environ = new_database(servers)
        seeded = options.leads // options.copies
        seconds = manage(environ, "seed_demo", f"--leads={seeded}", "--force")
        print(f"seed_demo --leads {seeded}: {seconds:.1f} s")
        with psycopg.connect(database, autocommit=True) as connection:
            multiply(connection, options.copies)
            connection.execute(SHARE)
            connection.execute("VACUUM ANALYZE")
        with web(environ) as (url, process):
            processes = {"web": process, "postgres": postmaster(servers)}
            ratios = [compare(sign_in(url, who), who, processes) for who in ("admin", "rep")]
            searches(sign_in(url, "admin"), database, processes)
    finally:
        servers.stop()
    missed = [ratio for ratio in ratios if ratio > TARGET]
    print(f"target {TARGET:.2f}: {'missed' if missed else 'met'}")
    return 1 if missed else 0


ADMINISTRATOR = (
    "from core.models import User;"
    f" User.objects.create_superuser('admin', 'admin@crm.example', '{PASSWORD}', role='admin')"
)

if __name__ == "__main__":
    sys.exit(main())
