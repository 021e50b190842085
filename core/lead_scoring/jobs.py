"""Scoring in the background: what is pending, bulk jobs, retrainings. Every piece may run twice."""

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from core import jobs
from core.changes import audit_context
from core.conditions import parse, record_q
from core.entities.locks import SCORING_JOB, try_lock
from core.errors import DomainError
from core.lead_scoring import drift_check, model_lifecycle, notices
from core.lead_scoring.default_entity import DEFAULT_ENTITY
from core.lead_scoring.models import ScoringJob
from core.lead_scoring.rescoring import rescore
from core.lead_scoring.scoring_target import ScoringTarget, scoring_targets, target_of
from core.lead_scoring.storing import names_of
from core.second_connection import SecondConnection, second_connection

log = logging.getLogger(__name__)
SLICE = 20_000
PENDING_SLICE = 2_000
# A task gives way after so long; the row says where the next one goes on.
TURN_S = 40.0
MAX_ATTEMPTS = 3
MESSAGE_LENGTH = 2_000
RUN_JOB = "core.tasks.run_scoring_job"
PENDING_JOB = "core.tasks.score_pending_leads"
Kind, Status = ScoringJob.Kind, ScoringJob.Status
OPEN = (Status.PENDING, Status.RUNNING)
BUSY = "busy"


def score_ids(ids: list[int], *, always: bool = True, target: ScoringTarget | None = None) -> dict[int, int]:
    """Score some records (leads, where no target is named) now and store it, in one transaction; the scores
    of those there were, by id."""
    with audit_context(None, source="system"):
        about = target or target_of()
        rows = about.model.objects.filter(about.scored, pk__in=ids)
        found, scored, _ = rescore(about, rows, always=always)
    return dict(zip(found, scored.score.tolist(), strict=True))


_TAKE = """
DELETE FROM {pending} WHERE {key} IN (
    SELECT {key} FROM {pending} ORDER BY {key} LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING {key}
"""


def score_pending() -> int:
    """Score everything that is marked, a slice a transaction; how many records."""
    until = time.monotonic() + TURN_S
    return sum(_score_pending(target, until) for target in scoring_targets)


def _score_pending(target: ScoringTarget, until: float) -> int:
    total = 0
    while time.monotonic() < until:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(_TAKE.format(**names_of(target)), [PENDING_SLICE])
                ids = sorted(row[0] for row in cursor.fetchall())
            if ids:
                score_ids(ids, always=False, target=target)
        total += len(ids)
        if len(ids) < PENDING_SLICE:
            return total
    jobs.enqueue(PENDING_JOB)
    return total


def mark(ids: list[int]) -> None:
    """Have leads scored soon."""
    pending = target_of().pending_model
    pending.objects.bulk_create([pending(pk=pk) for pk in ids], ignore_conflicts=True)
    jobs.enqueue(PENDING_JOB)


def start(
    kind: str, user: Any = None, selection: dict[str, Any] | None = None, *, entity: str = DEFAULT_ENTITY
) -> ScoringJob:
    """Begin a job; an entity has one retraining at a time, and whoever asks for another gets that one."""
    values = {"kind": kind, "entity": entity, "requested_by": user, "selection": selection or {}}
    if kind == Kind.RETRAIN:
        job, _ = ScoringJob.objects.get_or_create(
            kind=kind, entity=entity, status__in=OPEN, defaults=_defaults(values)
        )
    else:
        job = ScoringJob.objects.create(**values)
    jobs.enqueue(RUN_JOB, str(job.task_id))
    return job


def _defaults(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"status": Status.PENDING}


_TAKE_JOB = """
UPDATE core_scoringjob
SET status = 'running', attempts = attempts + 1, started_at = coalesce(started_at, now())
WHERE task_id = %s AND status IN ('pending', 'running') RETURNING attempts
"""


def run_job(task_id: str) -> str:
    """One turn of a job; its status afterwards, BUSY where another worker has it in hand or it has ended."""
    until = time.monotonic() + TURN_S
    with second_connection() as beside:
        while True:
            status = _slice(uuid.UUID(task_id), beside)
            if status != Status.RUNNING:
                return status
            if time.monotonic() > until:
                jobs.enqueue(RUN_JOB, task_id)
                return status


def _slice(task_id: uuid.UUID, beside: SecondConnection) -> str:
    """One transaction of work, under a lock that ends with it.

    The attempt is counted beside it, so that a job which kills its worker is not tried for ever, and under
    the lock, so that workers who come while one is at it are no attempts.
    """
    with transaction.atomic():
        if not try_lock(SCORING_JOB, str(task_id)):
            return BUSY
        counted = beside.rows(_TAKE_JOB, [task_id])
        job = ScoringJob.objects.filter(task_id=task_id, status__in=OPEN).first()
        if job is None:
            return BUSY
        if counted:
            job.attempts = counted[0][0]
        job.status, job.started_at = Status.RUNNING, job.started_at or timezone.now()
        try:
            if job.attempts > MAX_ATTEMPTS:
                raise DomainError(gettext("The worker died several times; see the server's log."))
            with transaction.atomic():
                _WORK[Kind(job.kind)](job)
            job.attempts = 0
        except DomainError as error:
            _fail(job, str(error))
        except OperationalError:
            raise  # the database is away or chose a victim: the next turn tries again
        except Exception as error:  # the outermost edge: it is recorded, and the live model scores on
            log.exception("scoring job %s failed", task_id)
            _fail(job, f"{type(error).__name__}: {error}")
        job.save()
        return job.status


def _fail(job: ScoringJob, message: str) -> None:
    job.status, job.message, job.finished_at = Status.FAILED, message[:MESSAGE_LENGTH], timezone.now()
    _notify_of_failure(job)


def _notify_of_failure(job: ScoringJob) -> None:
    """Administrators hear of a training that failed: until one succeeds, scores age."""
    if job.kind == Kind.RETRAIN:
        title = f"Training the {job.entity} scores has failed"
        body = f"What scored before goes on scoring. {job.message}"
        notices.send("scoring_failed", f"{job.task_id}", title, body)


def _score_slice(job: ScoringJob) -> None:
    rows = selected(job).filter(pk__gt=job.position)
    if job.total is None:
        job.total = rows.count()
    # Named leads get their time of scoring in any case; of all leads those that moved are written.
    with audit_context(job.requested_by_id, source="system"):
        ids, _, by = rescore(target_of(job.entity), rows, always=bool(job.selection), limit=SLICE)
    job.done += len(ids)
    job.position = ids[-1] if ids else job.position
    if len(ids) < SLICE:
        finish(job, {"scored": job.done, "model_version": by.origin.model_id})


def selected(job: ScoringJob) -> QuerySet:
    """The leads a job is about, those its user may not change left out."""
    target = target_of(job.entity)
    about = target.definition
    seen = about.visible_to(job.requested_by) if job.requested_by else about.model.objects
    rows = seen.filter(target.scored, archived_at=None)
    if "ids" in job.selection:
        return rows.filter(pk__in=job.selection["ids"])
    if "filter" in job.selection:
        seen = about.for_user(job.requested_by)
        return rows.filter(
            record_q(parse(seen, job.selection["filter"], name="filter"), user=job.requested_by)
        )
    return rows


def finish(job: ScoringJob, result: dict[str, Any]) -> None:
    job.status, job.result, job.finished_at = Status.FINISHED, result, timezone.now()


def _retrain(job: ScoringJob) -> None:
    target = target_of(job.entity)
    row = model_lifecycle.retrain_model(target, job.requested_by_id)
    if row is None:
        finish(job, {"trained": False, "reason": f"too few closed {target.definition.plural}"})
        return
    live = row.status == row.Status.ACTIVE
    finish(job, {"trained": True, "model_version": row.pk, "live": live, "reason": row.verdict["reason"]})
    if live:
        start(Kind.BULK, entity=job.entity)
    if row.verdict["suspicion"]:
        title = f"The newest outcomes of {target.definition.plural} look wrong"
        notices.send("scoring_suspicion", str(row.pk), title, row.verdict["suspicion"])
    drift_check.watch(target)


_WORK = {Kind.BULK: _score_slice, Kind.RETRAIN: _retrain}


def sweep() -> int:
    """Enqueue every open job, and the leads that wait; how many jobs."""
    waiting = _waiting()
    for task_id in waiting:
        jobs.enqueue(RUN_JOB, task_id)
    if any(target.pending_model.objects.exists() for target in scoring_targets):
        jobs.enqueue(PENDING_JOB)
    return len(waiting)


def run_pending(stopped: Callable[[], bool]) -> int:
    """Score the leads that wait and take a turn at every open job, here; how much there was to do."""
    done = score_pending()
    return done + sum(run_job(task_id) != BUSY for task_id in _waiting() if not stopped())


def _waiting() -> list[str]:
    found = ScoringJob.objects.filter(status__in=OPEN).values_list("task_id", flat=True)[:50]
    return [str(task_id) for task_id in found]
