"""Every kind of request at several sizes, beside what it costs at least: `make bench`.

    python -m benchmarks.performance --rows 10000 100000 1000000

Starts a PostgreSQL of its own and fills one database of each size (`benchmarks.filling`). Of each request
(`benchmarks.requests`): CPU of web server and PostgreSQL, the median answer time, how many times the floor's
CPU that is (`benchmarks.floor`, the same columns and count rule), and how it grew since the smallest size. At
the largest size the plans of all statements are looked at, and a sequential scan over more than 10,000 rows
is named. At last 16 clients at once, with as many web processes as there are cores. `--write` puts the tables
into docs/performance.md and a drawing beside them.

`--keep FOLDER` keeps the filled databases and what was measured there: the next run fills nothing that is
there, each size can be measured at a time of its own (`--rows 10000`, then `--rows 1000000`), and `--report`
shows or writes what was kept without measuring. `--only` measures the requests whose names match.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from backend.testing.servers import TestServers, start_servers
from benchmarks import performance_report
from benchmarks.filling import fill
from benchmarks.listing import (
    ADMINISTRATOR,
    PASSWORD,
    ROOT,
    cpu,
    environment,
    manage,
    postmaster,
    sign_in,
    web,
)
from benchmarks.requests import LEADS, Asked, Facts, requests_of

SIZES = (10_000, 100_000, 1_000_000)
# Of each request so many turns, and in a turn as many as fit into this time, at most so many.
TURNS, TURN_S, MOST = 3, 0.7, 40
SCANNED = 10_000
CLIENTS, MIXED_S = 16, 20
EXPLAIN = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "log",
}


@dataclass(frozen=True)
class Measured:
    """Milliseconds: CPU per request, of it PostgreSQL's, the median answer, the floor's CPU."""

    cpu: float
    postgres: float
    p50: float
    floor: float | None


@dataclass(frozen=True)
class Size:
    """What was found with so many leads, by the names of the requests."""

    rows: int
    measured: dict[str, Measured]
    scans: dict[str, list[str]]


class Site:
    """A running web server over one database, its floor beside it, and who is signed in."""

    def __init__(self, url: str, process: psutil.Process, database: psutil.Process) -> None:
        self.url, self.process, self.database = url, process, database
        self.clients = {name: sign_in(url, name) for name in ("admin", "rep0", "manager", "viewer")}
        self.clients["key"] = self._with_key()
        self.clients["page"] = self._in_admin()
        self.sent = int(time.time()) * 1_000

    def _with_key(self) -> httpx.Client:
        body = {"name": "Benchmark", "scopes": ["leads:read"]}
        made = self.clients["rep0"].post("/api/auth/api_keys/", json=body).raise_for_status().json()
        return httpx.Client(
            base_url=self.url, timeout=120, headers={"Authorization": f"Bearer {made['key']}"}
        )

    def _in_admin(self) -> httpx.Client:
        client = httpx.Client(base_url=self.url, timeout=120, follow_redirects=True)
        client.get("/admin/login/").raise_for_status()
        form = {
            "username": "admin",
            "password": PASSWORD,
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
            "next": "/admin/",
        }
        page = client.post("/admin/login/", data=form, headers={"Referer": f"{self.url}/admin/login/"})
        assert "sessionid" in client.cookies, page.text
        return client

    def send(self, asked: Asked) -> float:
        """Ask once; seconds until the answer."""
        self.sent += 1
        body = asked.body and asked.body(self.sent)
        started = time.perf_counter()
        answer = self.clients[asked.who].request(asked.method, asked.path, json=body)
        seconds = time.perf_counter() - started
        assert answer.status_code < 300, f"{asked.name}: {answer.status_code} {answer.text[:500]}"
        return seconds

    def spent(self) -> tuple[float, float]:
        return cpu(self.process), cpu(self.database)


@contextmanager
def floor(environ: dict[str, str], every: Sequence[Asked], folder: Path, columns: str) -> Iterator[Any]:
    """The floor's server: its address and process."""
    statements = {
        str(n): [sql.replace("{lead}", columns) for sql in asked.floor] for n, asked in enumerate(every)
    }
    path = folder / "floor.json"
    path.write_text(json.dumps(statements))
    floor_environ = environ | {"FLOOR_STATEMENTS": str(path)}
    with web(floor_environ, "benchmarks.floor:application") as running:
        yield running


def measure(site: Site, asked: Asked, floor_turn: Any) -> Measured:
    """Turns of ours and of the floor's, one after the other; the medians."""
    once = min(site.send(asked) for _ in range(3))
    many = max(2, min(MOST, int(TURN_S / once)))
    seconds: list[float] = []
    turns, floors = [], []
    for _ in range(TURNS):
        web_before, postgres_before = site.spent()
        seconds += [site.send(asked) for _ in range(many)]
        web_after, postgres_after = site.spent()
        web_ms, postgres_ms = (
            1000 * (after - before) / many
            for after, before in ((web_after, web_before), (postgres_after, postgres_before))
        )
        turns.append((web_ms + postgres_ms, postgres_ms))
        if asked.floor:
            floors.append(floor_turn(asked, many))
    total, postgres = min(turns)
    return Measured(total, postgres, 1000 * statistics.median(seconds), min(floors) if floors else None)


def facts_of(connection: psycopg.Connection[Any], site: Site) -> Facts:
    def one(statement: str) -> Any:
        return connection.execute(statement).fetchone()[0]

    count = one("SELECT count(*) FROM lead_management_lead WHERE archived_at IS NULL")
    middle = one(f"SELECT id FROM lead_management_lead ORDER BY id LIMIT 1 OFFSET {count // 2}")  # noqa: S608
    some = connection.execute(
        "SELECT id FROM lead_management_lead WHERE id > %s ORDER BY id LIMIT 1000", [middle]
    ).fetchall()
    team = "SELECT team_id FROM core_user WHERE username = 'manager'"
    people = connection.execute(f"SELECT id FROM core_user WHERE team_id = ({team})").fetchall()  # noqa: S608
    newest, oldest = (
        one("SELECT max(created_at) FROM lead_management_lead"),
        one("SELECT min(created_at) FROM lead_management_lead"),
    )
    begin = oldest + (newest - oldest) / 2
    since = one("SELECT at FROM core_change ORDER BY id DESC LIMIT 1 OFFSET 500") - timedelta(milliseconds=1)
    return Facts(
        lead=middle,
        reached=[pk for (pk,) in people],
        rep=one("SELECT id FROM core_user WHERE username = 'rep0'"),
        count=count,
        cursor=_deep(site, count),
        last_page=-(-count // 50),
        some=[pk for (pk,) in some],
        day=begin.strftime("%Y-%m-%dT%H:%M:%SZ"),
        next_day=(begin + (newest - oldest) / 100).strftime("%Y-%m-%dT%H:%M:%SZ"),
        since=since.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    )


def _deep(site: Site, count: int) -> str:
    """The address of the page of fifty behind nine tenths, found by walking there."""
    following = f"{LEADS}?cursor=&page_size=500"
    for _ in range(count * 9 // 10 // 500):
        following = site.clients["admin"].get(following).raise_for_status().json()["next"]
    # Without the server's name: that of the plans has another port.
    return following[following.index("/api/") :].replace("page_size=500", "page_size=50")


def sequential_scans(log: Path, since: int) -> list[str]:
    """The tables that a plan in the log, from a place on, reads in whole, where they have many rows."""
    text = log.read_bytes()[since:].decode(errors="replace")
    found = set()
    for plan in re.findall(r"plan:\n((?:\t.*\n)+)", text):
        for node in _nodes(json.loads(plan)["Plan"]):
            # Without actual rows where the product asked for the plan alone.
            if node["Node Type"] == "Seq Scan" and "Actual Rows" in node:
                rows = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
                if rows > SCANNED:
                    found.add(f"{node['Relation Name']} ({round(rows):,} rows)")
    return sorted(found)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for part in node.get("Plans", ()):
        yield from _nodes(part)


def scans_of(
    servers: TestServers, environ: dict[str, str], database: str, every: Sequence[Asked]
) -> dict[str, Any]:
    """What each request scans, by its name, asked of a server whose plans are logged."""
    name, found = database.rsplit("/", 1)[1], {}
    with psycopg.connect(database, autocommit=True) as connection:
        for setting, value in EXPLAIN.items():
            connection.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    log = servers.postgres.log
    with web(environ) as (url, process):
        site = Site(url, process, postmaster(servers))
        for asked in every:
            before = log.stat().st_size
            site.send(asked)
            found[asked.name] = sequential_scans(log, before)
    return {name: tables for name, tables in found.items() if tables}


@contextmanager
def filled(servers: TestServers, rows: int, *, keep: bool) -> Iterator[tuple[dict[str, str], str]]:
    """A database with so many leads, which may be written to: the environment of what works on it, its URL.

    It is a copy of one that nothing has written to since it was filled and, with `keep`, stays.
    """
    base, migrated = servers.postgres.superuser_url.rsplit("/", 1)
    original, copy = f"filled_{rows}", f"rows_{rows}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        if original in there:
            manage(environment(servers, f"{base}/{original}"), "migrate", "--verbosity=0")
        else:
            connection.execute("DROP DATABASE IF EXISTS filling")
            connection.execute(f"CREATE DATABASE filling TEMPLATE {migrated}")
            _fill(environment(servers, f"{base}/filling"), f"{base}/filling", rows)
            connection.execute(f"ALTER DATABASE filling RENAME TO {original}")
        connection.execute(f"DROP DATABASE IF EXISTS {copy} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {copy} TEMPLATE {original} STRATEGY FILE_COPY")
        if not keep:
            connection.execute(f"DROP DATABASE {original}")
        try:
            database = f"{base}/{copy}"
            yield environment(servers, database) | {"DJANGO_SETTINGS_MODULE": "backend.settings"}, database
        finally:
            connection.execute(f"DROP DATABASE {copy} WITH (FORCE)")


def _fill(environ: dict[str, str], database: str, rows: int) -> None:
    started = time.monotonic()
    manage(environ, "shell", "-v0", "-c", ADMINISTRATOR)
    fill(environ, database, rows)
    print(f"{rows:,} leads written in {time.monotonic() - started:.0f} s", flush=True)


def measured_at(
    servers: TestServers, rows: int, only: re.Pattern[str], *, last: bool, keep: bool
) -> tuple[Size, dict[str, Any] | None]:
    """The requests whose names match; of the `last` size the plans and sixteen clients too."""
    with filled(servers, rows, keep=keep) as (environ, database):
        measured, every = _measured(servers, environ, database, only)
        asked = [one for one in every if one.name in measured]
        scans = scans_of(servers, environ, database, asked) if last else {}
        whole = last and len(asked) == len(every)
        return Size(rows, measured, scans), many_clients(environ, every) if whole else None


def _measured(
    servers: TestServers, environ: dict[str, str], database: str, only: re.Pattern[str]
) -> tuple[dict[str, Measured], list[Asked]]:
    columns = _columns(environ)
    with web(environ) as (url, process), psycopg.connect(database, autocommit=True) as connection:
        site = Site(url, process, postmaster(servers))
        every = list(requests_of(facts_of(connection, site)))
        numbers = {asked.name: str(n) for n, asked in enumerate(every)}
        with floor(environ, every, servers.folder, columns) as (floor_url, floor_process):

            def floor_turn(asked: Asked, many: int) -> float:
                client = floors[asked.who]
                client.get(f"{floor_url}/{numbers[asked.name]}").raise_for_status()
                before = cpu(floor_process) + cpu(site.database)
                for _ in range(many):
                    client.get(f"{floor_url}/{numbers[asked.name]}").raise_for_status()
                return 1000 * (cpu(floor_process) + cpu(site.database) - before) / many

            floors = {
                who: httpx.Client(timeout=120, headers={"Authorization": client.headers["Authorization"]})
                for who, client in site.clients.items()
                if who not in ("page", "key")
            }
            measured = {}
            for asked in every:
                if only.search(asked.name):
                    measured[asked.name] = measure(site, asked, floor_turn)
                    print(performance_report.line(asked.name, measured[asked.name]), flush=True)
    return measured, every


def _columns(environ: dict[str, str]) -> str:
    """The columns of a lead's answer, as SQL."""
    code = (
        "from lead_management.models import Lead;"
        " print(', '.join(f.column for f in Lead._meta.concrete_fields if f.name != 'search_text'))"
    )
    out = subprocess.run(  # noqa: S603
        [sys.executable, "manage.py", "shell", "-v0", "-c", code],
        cwd=ROOT,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    return out.stdout.strip().splitlines()[-1]


def many_clients(environ: dict[str, str], every: Sequence[Asked]) -> dict[str, Any]:
    """Sixteen clients at once, four of five requests reads, with a web process for each core."""
    by_name = {asked.name: asked for asked in every}
    kinds = [
        by_name[name]
        for name in (
            "list, administrator",
            "list, rep of 2 %",
            "get one",
            "search, address",
            "change one field",
        )
    ]
    cores = os.cpu_count() or 1
    with web(environ, processes=cores) as (url, process):
        site = Site(url, process, process)
        seconds: list[float] = []
        end = time.monotonic() + MIXED_S

        def client(number: int) -> None:
            own = Site.__new__(Site)
            own.url, own.sent = url, number * 10**9
            own.clients = {
                who: httpx.Client(base_url=url, timeout=120, headers=dict(one.headers))
                for who, one in site.clients.items()
            }
            turn = number
            while time.monotonic() < end:
                seconds.append(own.send(kinds[turn % len(kinds)]))
                turn += 1

        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    seconds.sort()
    return {
        "per_second": len(seconds) / MIXED_S,
        "p50": 1000 * statistics.median(seconds),
        "p99": 1000 * seconds[int(len(seconds) * 0.99)],
        "kinds": [asked.name for asked in kinds],
        "cores": cores,
    }


def kept_figures(folder: Path) -> tuple[list[Size], dict[str, Any] | None]:
    """What was measured at each size, smallest first, and by sixteen clients at the largest."""
    found = [json.loads(path.read_text()) for path in folder.glob("measured-*.json")]
    found.sort(key=lambda one: one["rows"])
    sizes = [
        Size(
            one["rows"],
            {name: Measured(**figures) for name, figures in one["measured"].items()},
            one["scans"],
        )
        for one in found
    ]
    return sizes, found[-1]["mixed"] if found else None


def keep_figures(folder: Path, size: Size, mixed: dict[str, Any] | None) -> None:
    """Beside those of requests that were measured there before."""
    path = folder / f"measured-{size.rows}.json"
    before = json.loads(path.read_text()) if path.exists() else {"measured": {}, "scans": {}, "mixed": None}
    now = asdict(size)
    scans = {name: scan for name, scan in before["scans"].items() if name not in size.measured}
    together = {
        "rows": size.rows,
        "measured": before["measured"] | now["measured"],
        "scans": scans | now["scans"],
        "mixed": mixed or before["mixed"],
    }
    path.write_text(json.dumps(together, indent=1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="Leads, smallest first.")
    parser.add_argument("--write", action="store_true", help="Into docs/performance.md and its drawing.")
    parser.add_argument("--only", type=re.compile, default=re.compile(""), help="Of the requests' names.")
    parser.add_argument("--keep", type=Path, help="Where databases and figures stay for the next run.")
    parser.add_argument("--report", action="store_true", help="Measure nothing: show what was kept.")
    options = parser.parse_args()
    found, mixed = [], None
    if not options.report:
        servers = start_servers(options.keep)
        try:
            for rows in options.rows:
                last, keep = rows == options.rows[-1], options.keep is not None
                size, mixed = measured_at(servers, rows, options.only, last=last, keep=keep)
                found.append(size)
                if options.keep:
                    keep_figures(options.keep, size, mixed)
        finally:
            servers.stop()
    if options.keep:
        found, mixed = kept_figures(options.keep)
    performance_report.show(found, mixed)
    if options.write:
        performance_report.write(found, mixed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
