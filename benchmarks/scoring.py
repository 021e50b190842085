"""Training, bulk scoring and single scores against what the parts alone cost: ratios of one run.

    python -m benchmarks.scoring --leads 100000

Starts a PostgreSQL of its own; every step runs in a process and a copy of the prepared database of its own.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.steps import Run, main

LEADS = """
INSERT INTO lead_management_lead (first_name, email, lead_source, job_title, company_size, company_name,
    industry, country, estimated_value, status, lost_reason, converted_at, created_at, owner_id, tags)
SELECT 'Lead ' || i,
    'lead' || i || '@' || CASE WHEN i %% 3 = 0 THEN 'gmail.com' ELSE 'firm.example' END, source,
    (ARRAY['CEO', 'Sales Manager', 'Engineer', 'Buyer', ''])[1 + (random() * 4)::int], size,
    CASE WHEN i %% 4 = 0 THEN '' ELSE 'Firm' END,
    (ARRAY['Retail', 'Energy', 'Health', ''])[1 + (random() * 3)::int],
    (ARRAY['US', 'DE', 'FR', 'JP'])[1 + (random() * 3)::int], (random() * 90000)::numeric(15, 2), status,
    CASE WHEN status = 'lost' THEN 'No budget' ELSE '' END,
    CASE WHEN status = 'converted' THEN created + interval '9 days' END, created,
    (SELECT min(id) FROM core_user), CASE WHEN i %% 9 = 0 THEN ARRAY['vip'] ELSE ARRAY[]::text[] END
FROM (
    SELECT i, now() - (%(leads)s - i) * interval '5 minutes' - interval '40 days' AS created, source, size,
        CASE WHEN random() < 1 / (1 + exp(1.5 - ln(1 + size) / 4 - (source = 'referral')::int * 1.5))
             THEN 'converted' ELSE 'lost' END AS status
    FROM (
        SELECT i, (ARRAY['website', 'referral', 'event', 'cold_call'])[1 + (random() * 3)::int] AS source,
               (exp(random() * 8))::int AS size
        FROM generate_series(1, %(leads)s) AS i OFFSET 0
    ) AS a OFFSET 0
) AS b
"""
SINGLES = 200
LEAST = {"least": 0.01}


def clock(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    made = work()
    return time.perf_counter() - started, made


def step_fill(leads: int) -> dict[str, Any]:
    """Closed leads whose outcome depends on what they are, and a model trained on 20,000 of them."""
    from django.db import connection

    from core.lead_scoring import model_lifecycle
    from core.lead_scoring.models import ScoringModel
    from lead_management.models import Lead

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_outbox")
        cursor.execute(LEADS, {"leads": min(leads, 20_000)})
        seconds, row = clock(model_lifecycle.retrain_model)
        if row is not None and row.status != "active":
            model_lifecycle.activate(row)
        cursor.execute(LEADS, {"leads": leads - Lead.objects.count()})
        cursor.execute("DELETE FROM core_outbox")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    factors = len(ScoringModel.objects.get(status="active").artefact["inputs"])
    return {"seconds": seconds, "leads": Lead.objects.count(), "inputs": factors}


def step_train(leads: int) -> dict[str, Any]:
    """The whole training against the bare fit of one booster on the same features."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    from core.lead_scoring.boosting import booster_matrix
    from core.lead_scoring.default_rules import DEFAULT_RULES
    from core.lead_scoring.feature_reader import training_reader
    from core.lead_scoring.history import training_snapshots
    from core.lead_scoring.inputs import encode_all, learn_inputs
    from core.lead_scoring.scoring_target import target_of
    from core.lead_scoring.training import train

    reading, seen = clock(lambda: training_snapshots(training_reader(target_of())))
    rows = min(leads, seen.frame.n)
    frame = seen.frame.take(slice(seen.frame.n - rows, None))
    won = seen.won[-rows:]
    inputs, _ = learn_inputs(frame)
    matrix = booster_matrix(inputs, encode_all(inputs, frame))
    with threadpool_limits(1):  # as the training itself
        bare, _ = clock(lambda: HistGradientBoostingClassifier(random_state=1).fit(matrix, won))
    seconds, _ = clock(lambda: train(frame, won, DEFAULT_RULES))
    return {"seconds": seconds, "reference": bare, "reading": reading, "rows": rows}


def step_columns(leads: int) -> dict[str, Any]:
    """Reading the columns that the model needs, and one UPDATE of all rows."""
    from django.db import connection

    from core.lead_scoring.engine import current
    from lead_management.models import Lead

    columns = current().reader.columns
    reading, _ = clock(lambda: sum(1 for _ in Lead.objects.values_list("pk", *columns).iterator(20_000)))
    update = (
        "UPDATE lead_management_lead"
        " SET lead_score = 51 + id % 7, conversion_probability = 0.2, scored_at = now()"
    )
    with connection.cursor() as cursor:
        writing, _ = clock(lambda: cursor.execute(update))
    return {"seconds": reading + writing, "reading": reading, "writing": writing}


def step_bulk(leads: int) -> dict[str, Any]:
    """The same leads scored by a job, reasons stored."""
    from core.lead_scoring import jobs
    from core.lead_scoring.models import LeadScore, ScoringJob

    job = jobs.start(ScoringJob.Kind.BULK)

    def run() -> None:
        while jobs.run_job(str(job.task_id)) == "running":
            pass

    seconds, _ = clock(run)
    return {"seconds": seconds, "scored": LeadScore.objects.count()}


def step_bare(leads: int) -> dict[str, Any]:
    """The same leads read, scored and written back slice by slice as a job does, without their reasons."""
    from django.db import connection, transaction

    from core.lead_scoring import jobs, storing
    from core.lead_scoring.engine import current
    from lead_management.models import Lead

    by = current()
    rows = Lead.objects.filter(archived_at=None).order_by("pk").values_list("pk", *by.reader.columns)

    def score(after: int) -> list[int]:
        ids, frame = by.reader.rows(list(rows.filter(pk__gt=after)[: jobs.SLICE]))
        if ids:
            storing._fill_stage(ids, by.scorer.score(frame))
            with connection.cursor() as cursor:
                cursor.execute(storing.update_statement(by.target, always=False), LEAST)
        return ids

    def run() -> int:
        done, ids = 0, [0]
        while ids:
            with transaction.atomic():
                ids = score(ids[-1])
            done += len(ids)
        return done

    seconds, scored = clock(run)
    return {"seconds": seconds, "scored": scored}


def step_compute(leads: int) -> dict[str, Any]:
    """Scoring alone, the features in memory."""
    from core.lead_scoring.engine import current
    from lead_management.models import Lead

    by = current()
    reading, (ids, frame) = clock(
        lambda: by.reader.rows(list(Lead.objects.values_list("pk", *by.reader.columns)))
    )
    seconds, _ = clock(lambda: by.scorer.score(frame))
    return {"seconds": seconds, "reading": reading, "leads": len(ids)}


def step_single(leads: int) -> dict[str, Any]:
    """One lead in the process, and through the API against reading it."""
    from django.conf import settings
    from rest_framework.test import APIClient

    from core.accounts.models import User
    from core.lead_scoring import LeadScoringEngine
    from lead_management.models import Lead

    settings.ALLOWED_HOSTS = ["*"]
    some = list(Lead.objects.order_by("-pk")[:SINGLES])
    engine = LeadScoringEngine()
    engine.score_lead(some[0])
    started = time.process_time()  # this process's own: the machine may be busy with others
    for lead in some:
        engine.score_lead(lead)
    inside = time.process_time() - started
    client = APIClient()
    client.force_authenticate(User.objects.first())

    def score() -> None:
        for lead in some:
            body = {"action": "score", "lead_id": lead.pk}
            assert client.post("/api/v1/scoring/", body, format="json").status_code == 200

    def read() -> None:
        for lead in some:
            assert client.get(f"/api/v1/leads/{lead.pk}/").status_code == 200

    first, _ = clock(score)
    reading = min(clock(read)[0] for _ in range(3))
    again = min(clock(score)[0] for _ in range(3))
    per = 1000 / SINGLES
    return {
        "in_process_ms": inside * per,
        "api_first_ms": first * per,
        "api_ms": again * per,
        "read_ms": reading * per,
    }


def run(leads: int, bench: Run) -> None:
    bench.prepare()
    bench.step("fill", leads, keep="filled")
    train = bench.step("train", leads, "filled")
    columns = bench.step("columns", leads, "filled")
    bulk = bench.step("bulk", leads, "filled")
    bare = bench.step("bare", leads, "filled")
    compute = bench.step("compute", leads, "filled")
    single = bench.step("single", leads, "filled")
    lines = [
        ("training / bare fit", train["seconds"] / train["reference"], 10),
        ("bulk without reasons / columns + UPDATE", bare["seconds"] / columns["seconds"], 1.5),
        ("bulk with reasons / columns + UPDATE", bulk["seconds"] / columns["seconds"], 2.5),
        ("one lead in process, ms", single["in_process_ms"], 2),
        ("API: score a lead / read a lead", single["api_ms"] / single["read_ms"], 1.5),
    ]
    print(f"\n{leads:,} leads; scoring alone {compute['seconds']:.2f} s; training {train['peak_mb']:.0f} MB")
    for name, ratio, target in lines:
        print(f"  {name:<40} {ratio:5.2f}  (target {target})  {'ok' if ratio <= target else 'MISSED'}")


if __name__ == "__main__":
    main(sys.modules[__name__], "leads", int)
