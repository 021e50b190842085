"""Import, update, undo, preview and export against what PostgreSQL alone needs: ratios of one run.

    python -m benchmarks.transfer --rows 100000

Starts a PostgreSQL of its own; every measured step begins in a fresh copy of one prepared database and runs
in a process of its own, whose peak memory is told, and that of its database session.
"""

import csv
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.steps import Run, main

HEADERS = [
    "first_name", "last_name", "email", "phone", "company_name", "job_title", "city", "state", "country",
    "lead_source", "status", "priority", "estimated_value", "tags",
]  # fmt: skip
COPIED = f"COPY lead_management_lead ({', '.join(HEADERS)}, owner_id, created_by_id) FROM STDIN"
FIRST = ["Ada", "Bob", "Chiara", "Dmitri", "Elif", "Fatou", "Grace", "Hiro", "Inés", "Jürgen"]
LAST = ["Byron", "Stone", "Rossi", "Ivanov", "Yilmaz", "Diop", "Hopper", "Tanaka", "Gómez", "Müller"]
CITIES = ["Rome", "Bern", "Lyon", "Austin", "Osaka", "Dakar", "Izmir", "Porto", "Ghent", "Malmö"]


def row_of(number: int, chance: random.Random) -> list[str]:
    """One lead: names and companies vary as real ones do, addresses and phones are unique."""
    first, last = chance.choice(FIRST), chance.choice(LAST)
    return [
        first,
        f"{last}-{number % 997}",
        f"{first}.{last}.{number}@mail{number % 5000}.example".lower().encode("ascii", "ignore").decode(),
        f"+1415{2000000 + number:07d}",
        f"{last} {chance.choice(['GmbH', 'Ltd', 'SpA', 'Inc'])} {number % 20000}",
        chance.choice(["CEO", "Buyer", "VP Sales", "Engineer", "Clerk"]),
        chance.choice(CITIES),
        chance.choice(["CA", "NY", "TX", ""]),
        chance.choice(["US", "IT", "DE", "JP"]),
        chance.choice(["website", "referral", "event", "partner"]),
        chance.choice(["new", "contacted", "qualified"]),
        chance.choice(["low", "medium", "high"]),
        f"{chance.randint(0, 90000)}.{chance.randint(0, 99):02d}",
        chance.choice(["", "vip", "vip;fair"]),
    ]


def write_csv(path: Path, rows: int, *, bad: int = 0, changed: bool = False) -> None:
    """`bad`: every so manieth row has a broken address; `changed`: other job titles and cities."""
    chance = random.Random(7)  # noqa: S311  (the same rows in every run)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADERS)
        for number in range(rows):
            row = row_of(number, chance)
            if bad and number % bad == 0:
                row[2] = "broken"
            if changed:
                row[5], row[6] = f"{row[5]} II", f"{row[6]} West"
            writer.writerow(row)


# ---- Steps: each in a process and a database of its own ----


def admin() -> Any:
    from core.accounts.models import User

    return User.objects.filter(is_superuser=True).first()


def plan_of(path: Path, **options: str) -> Any:
    from core.entities import entities
    from core.transfer.options import parse
    from core.transfer.planning import plan
    from core.transfer.reading import open_table

    asked = parse(options)
    return plan(entities["lead"], open_table(path.open("rb"), asked.reading), asked, admin())


def import_file(path: Path, **options: str) -> dict[str, Any]:
    """As a worker does it: parsed, checked, matched, written and committed."""
    from django.db import transaction

    from core.transfer import jobs

    started = time.perf_counter()
    with path.open("rb") as file, transaction.atomic(), session_used() as used:
        made = plan_of(path, **options)
        job = jobs.begin(made, file, path.name, admin())
        jobs.run_now(job, made)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "failed": job.failed,
        "done": job.created + job.updated,
        **used,
    }


def step_copy(path: Path) -> dict[str, Any]:
    """The reference: COPY of the same rows into the table itself, indexes and triggers included."""
    from django.db import connection, transaction

    user = admin().pk
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        text = "".join(_copy_line(row, user) for row in rows)
    started = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor, session_used() as used:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with cursor.copy(COPIED) as copy:
            for start in range(0, len(text), 1 << 20):
                copy.write(text[start : start + (1 << 20)])
    return {"seconds": time.perf_counter() - started, **used}


def _copy_line(row: list[str], user: int) -> str:
    cells = [cell.replace("\\", "\\\\") for cell in row]
    cells[-1] = "{" + cells[-1].replace(";", ",") + "}"
    return "\t".join([*cells, str(user), str(user)]) + "\n"


def step_import(path: Path) -> dict[str, Any]:
    return import_file(path)


def step_update(path: Path) -> dict[str, Any]:
    return import_file(path, duplicates="update")


def step_update_from(path: Path) -> dict[str, Any]:
    """The reference: one UPDATE … FROM of the same columns, matched by address."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE given (email text PRIMARY KEY, job_title text, city text) ON COMMIT DROP"
        )
        with path.open(encoding="utf-8", newline="") as file, cursor.copy("COPY given FROM STDIN") as copy:
            for row in csv.DictReader(file):
                copy.write_row((row["email"], row["job_title"], row["city"]))
        cursor.execute("ANALYZE given")
        started = time.perf_counter()
        cursor.execute(
            "UPDATE lead_management_lead l SET job_title = g.job_title, city = g.city FROM given g"
            " WHERE l.email = g.email AND l.email <> ''"
        )
        return {"seconds": time.perf_counter() - started, "done": cursor.rowcount}


def step_undo(path: Path) -> dict[str, Any]:
    """Import, then measure the undoing alone."""
    from django.db import transaction

    from core.transfer import undoing
    from core.transfer.models import ImportJob

    import_file(path)
    job = ImportJob.objects.get()
    started = time.perf_counter()
    with transaction.atomic(), session_used() as used:
        undo = undoing.begin_undo(job, admin())
        undoing.perform_undo(undo)
    return {"seconds": time.perf_counter() - started, "done": undo.removed, **used}


def step_preview(path: Path) -> dict[str, Any]:
    from core.transfer.previewing import preview

    preview(plan_of(path))  # first use of everything
    times = []
    for _ in range(3):
        started, worked = time.perf_counter(), time.process_time()
        preview(plan_of(path))
        times.append((time.perf_counter() - started, time.process_time() - worked))
    seconds, cpu = min(times)
    return {"seconds": seconds, "cpu": cpu, "megabytes": round(path.stat().st_size / 1e6)}


def step_small(path: Path) -> dict[str, Any]:
    """A thousand rows through the API, answer and all."""
    from rest_framework.test import APIClient

    client = APIClient(SERVER_NAME="127.0.0.1")
    client.force_authenticate(admin())
    with path.open("rb") as file:
        started = time.perf_counter()
        response = client.post("/api/v1/import/leads/", {"file": file}, format="multipart")
    return {"seconds": time.perf_counter() - started, "status": response.status_code}


# A cell for each type of field; no two rows have the same where that is possible.
CELLS = {
    "text": lambda n: f"Text {n}",
    "email": lambda n: f"a{n}@x.example",
    "phone": lambda n: f"+1415{2_000_000 + n:07d}",
    "url": lambda n: f"https://x{n}.example/",
    "integer": lambda n: str(n % 100),
    "float": lambda n: f"0.{n % 100}",
    "money": lambda n: f"{n}.50",
    "boolean": lambda n: ("yes", "no")[n % 2],
    "date": lambda n: f"{1 + n % 28:02d}/{1 + n % 12:02d}/{2000 + n % 30}",
    "datetime": lambda n: f"2024-01-{1 + n % 28:02d} 10:{n % 60:02d}",
    "text_list": lambda n: f"a{n % 50};b{n % 70}",
    "reference": lambda n: "admin",
}


def step_columns(path: Path) -> dict[str, Any]:
    """Microseconds per row to check and compose a record with one column beside its name: the costliest of
    each type of field, over all entities and the types that custom fields have."""
    from core.entities import entities
    from core.entities.models import CustomField
    from core.transfer.import_fields import ImportFields

    for kind in CustomField.Type:
        choices = ["a", "b"] if "choice" in kind else []
        CustomField.objects.create(entity="lead", key=kind, label=kind.label, type=kind, choices=choices)
    costs: dict[str, tuple[float, str]] = {}
    for entity in entities:
        for column in ImportFields(entity).columns.values():
            name = column.field_type.type_name
            cell = CELLS.get(name) or _choice(column)
            if column.writable and cell is not None and column.name not in ("recurrence", "domain", "stage"):
                cost = _cost(entity, column, cell)
                costs[name] = max(costs.get(name, (0.0, "")), (cost, f"{entity.name}.{column.name}"))
    return {name: f"{cost:.1f} ({where})" for name, (cost, where) in sorted(costs.items())}


def _choice(column: Any) -> Any:
    choices = [c for c in getattr(column.field_type, "choices", ()) if c != "converted"]
    return (lambda n: choices[n % len(choices)]) if choices else None


def _cost(entity: Any, column: Any, cell: Any, rows: int = 2_000) -> float:
    """Microseconds per row."""
    import io

    from core.changes import audit_context
    from core.errors import InvalidError
    from core.transfer.checking import Checker
    from core.transfer.composing import Composer
    from core.transfer.options import parse
    from core.transfer.planning import plan
    from core.transfer.reading import open_table

    first = entity.display_fields[0]
    lines = "".join(f'"Name {n}","{cell(n)}"\n' for n in range(rows))
    table = open_table(io.BytesIO(f"first,second\n{lines}".encode()))
    second = column.name if column.name != first else ""
    made = plan(entity, table, parse({"mapping": {"first": first, "second": second}}), admin())
    chunk = table.head(rows)
    with audit_context(admin(), source="import"):
        checker = Checker(made, chunk)
        composer = Composer(made, checker.written)
        started = time.perf_counter()
        checked = checker.check(chunk)
        for row in range(rows):
            # A rule that refuses the row costs what the rule costs.
            with suppress(InvalidError):
                if row not in checked.faults:
                    composer.new(checked.given[row], checked.custom[row])
        return (time.perf_counter() - started) / rows * 1e6


def step_export(path: Path) -> dict[str, Any]:
    """Export and COPY TO of the same columns, three times in turn; the best of each."""
    exports, references = [], []
    for _ in range(3):
        exports.append(_export())
        references.append(_copy_out())
    seconds, _, size = min(exports)
    return {
        "seconds": seconds,
        "reference": min(references),
        "first_byte": max(first for _, first, _ in exports),
        "megabytes": round(size / 1e6),
    }


def _export() -> tuple[float, float, int]:
    """Seconds to the end and to the first byte, and bytes."""
    from core.entities import entities
    from core.transfer.exporting import export_of, stream

    started, first, size = time.perf_counter(), 0.0, 0
    for block in stream(export_of(entities["lead"], {"fields": ",".join(HEADERS)}, admin()), "default"):
        first = first or time.perf_counter() - started
        size += len(block)
    return time.perf_counter() - started, first, size


def _copy_out() -> float:
    from django.db import connection

    started, size = time.perf_counter(), 0
    statement = f"COPY (SELECT {', '.join(HEADERS)} FROM lead_management_lead) TO STDOUT WITH (FORMAT csv)"  # noqa: S608
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in copy:
            size += len(block)
    return time.perf_counter() - started


@contextmanager
def session_used() -> Iterator[dict[str, float]]:
    """What the body costs: `cpu`, seconds of this process and of its database session, and `session_mb`, the
    session's peak private memory. CPU compares runs also where others use the machine."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        server = psutil.Process(cursor.fetchone()[0])
    used, ended = {"cpu": 0.0, "session_mb": 0.0}, threading.Event()

    def seconds() -> float:
        return sum(sum(p.cpu_times()[:2]) for p in (server, psutil.Process()))

    def watch() -> None:
        while not ended.wait(0.1):
            used["session_mb"] = max(used["session_mb"], server.memory_full_info().uss / 1e6)

    thread, started = threading.Thread(target=watch, daemon=True), seconds()
    thread.start()
    try:
        yield used
    finally:
        used["cpu"] = seconds() - started
        ended.set()
        thread.join()


# ---- The run ----


def run(rows: int, bench: Run) -> None:
    bench.prepare()
    clean, bad, update, small = (bench.folder / f"{name}.csv" for name in ("clean", "bad", "update", "small"))
    write_csv(clean, rows)
    write_csv(bad, rows, bad=100)
    write_csv(update, rows // 5, changed=True)
    write_csv(small, 1_000)
    reference = bench.step("copy", clean, keep="filled")
    bench.sql("VACUUM ANALYZE lead_management_lead", "filled")  # as any server does by itself
    imported = bench.step("import", clean)
    with_bad = bench.step("import", bad)
    update_from = bench.step("update_from", update, "filled")
    updated = bench.step("update", update, "filled")
    undone = bench.step("undo", clean)
    preview = bench.step("preview", clean)
    answered = bench.step("small", small)
    exported = bench.step("export", clean, "filled")
    columns = bench.step("columns", small)
    print_report(
        rows, reference, imported, with_bad, update_from, updated, undone, preview, answered, exported
    )
    report_columns(columns)


def print_report(rows: int, reference: Any, imported: Any, with_bad: Any, update_from: Any, updated: Any,
                 undone: Any, preview: Any, answered: Any, exported: Any) -> None:  # fmt: skip
    lines = [
        ("import, clean rows / COPY", imported["seconds"] / reference["seconds"], 2.5),
        ("the same by CPU", imported["cpu"] / reference["cpu"], 2.5),
        ("import, 1 % bad rows / COPY", with_bad["seconds"] / reference["seconds"], 3),
        ("update by e-mail / UPDATE FROM", updated["seconds"] / update_from["seconds"], 3),
        ("undo / COPY", undone["seconds"] / reference["seconds"], 2),
        ("export as CSV / COPY TO", exported["seconds"] / exported["reference"], 2.5),
    ]
    print(f"\n{rows:,} leads of {len(HEADERS)} columns; COPY alone {reference['seconds']:.1f} s")
    for name, ratio, target in lines:
        print(f"  {name:<32} {ratio:5.2f}  (target {target})  {'ok' if ratio <= target else 'MISSED'}")
    peaks = [imported, with_bad, updated, undone]
    print(
        f"  preview of {preview['megabytes']} MB: {preview['seconds'] * 1000:.0f} ms,"
        f" {preview['cpu'] * 1000:.0f} of them at work (target 300 at 150 MB)"
    )
    print(f"  1,000 rows answered in {answered['seconds'] * 1000:.0f} ms (target 1000)")
    print(f"  first byte of the export after {exported['first_byte'] * 1000:.0f} ms (target 200)")
    print(f"  peak memory: process {max(s['peak_mb'] for s in peaks):.0f} MB,", end=" ")
    print(f"database session {max(s['session_mb'] for s in peaks):.0f} MB (target 400)")


def report_columns(columns: dict[str, Any]) -> None:
    """What one more column of each type costs a row."""
    print("  microseconds per row with one column of a type, the costliest of its type:")
    for name, cost in columns.items():
        if "(" in str(cost):
            print(f"    {name:<12} {cost}")


if __name__ == "__main__":
    main(sys.modules[__name__], "rows", Path)
