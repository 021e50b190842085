"""Steps of runs: in one transaction their effects, their rows and the cursors moved on, or none of them.

Runs of one version go together, each step of all of them after the other: what they need is read once, and
one statement stores what they did. A step that fails is rolled back to its savepoint and holds up its
own run only. Where the transaction itself fails, each run goes alone, with a transaction for each step.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import DatabaseError, OperationalError
from django.utils import timezone

from core import jobs
from core.changes import audit_context
from core.changes.context import nested_audit_context
from core.clock import database_now
from core.entities.duplicate_rules import lock_refusing
from core.errors import DomainError, ForbiddenError, InvalidError
from core.retry import STEP
from core.workflows import definition, limits
from core.workflows.actions import Step, StepResult
from core.workflows.actions.base import TemporaryError
from core.workflows.alerts import alert
from core.workflows.batch import RecordBatch, TransactionCache
from core.workflows.claiming import Claim
from core.workflows.definition import Instruction
from core.workflows.models import WorkflowExecution, WorkflowStep
from core.workflows.recording import LeaseLostError, bounded, end_waits, record, step_row
from core.workflows.run_context import RunContext, entity_for
from core.workflows.triggers import ChangeTrigger

log = logging.getLogger(__name__)
Status = WorkflowExecution.Status
StepStatus = WorkflowStep.Status
# Deadlock, serialization failure, lock and statement time-outs: another attempt usually passes.
TRANSIENT = ("40P01", "40001", "55P03", "57014")
# A transaction begins no further step after this long: others wait for the rows that it has locked.
TRANSACTION_S = 0.5


class Worker:
    """Executes claimed runs of one version, as far as they go. Every failure is recorded; only those of the
    database itself are raised."""

    def __init__(self, *claims: Claim) -> None:
        self.claims = claims

    def work(self) -> None:
        # Of runs in which a worker died before, each step is committed: the one that kills is then known.
        max_steps = 1 if any(claim.lost_leases for claim in self.claims) else None
        try:
            self._run_transactions(self.claims, max_steps)
        except OperationalError as error:
            if not _is_transient(error):
                raise
            self._run_one_by_one()
        except Exception:
            log.debug("runs %s go alone", [c.run_id for c in self.claims], exc_info=True)
            self._run_one_by_one()

    def _run_transactions(self, claims: Sequence[Claim], max_steps: int | None = None) -> None:
        while claims:
            claims = Transaction(claims, max_steps).work()

    def _run_one_by_one(self) -> None:
        """Each run with a transaction for each step, so that the failing one is known."""
        for claim in self.claims:
            try:
                self._run_one(claim)
            except LeaseLostError:
                log.info("run %s is another worker's", claim.run_id)

    def _run_one(self, claim: Claim) -> None:
        try:
            self._run_transactions([claim], max_steps=1)
        except LeaseLostError:
            raise
        except Exception as error:
            if isinstance(error, OperationalError) and not _is_transient(error):
                raise
            Transaction([claim]).fail(error)


def _is_transient(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) in TRANSIENT


class Transaction:
    """Claimed runs of one version between their locks and the commit; at most `max_steps` steps of each."""

    def __init__(self, claims: Sequence[Claim], max_steps: int | None = None) -> None:
        self.claims, self.max_steps = claims, limits.MAX_STEPS if max_steps is None else max_steps
        self.active: list[WorkflowExecution] = []
        self.steps: list[dict[str, Any]] = []
        self.alerts: list[Callable[[], None]] = []

    def work(self) -> list[Claim]:
        """Take steps; the claims of those runs that may go on at once."""
        return self._within(self._steps)

    def fail(self, error: Exception) -> None:
        """Record that the step at the cursor of a single run failed, whatever else it did."""

        def fail_first() -> None:
            for run in self.active[:1]:
                self._failed(run, error, timezone.now())

        self._within(fail_first)

    def _within(self, work: Callable[[], Any]) -> list[Claim]:
        with audit_context(source="workflow", request_id="", enqueue_dispatch=False), jobs.coalesce():
            runs = self._locked()
            if runs and self._compiled(runs):
                self.user = runs[0].workflow.run_as
                self.entity = entity_for(runs[0].entity, self.user)
                self.cache = TransactionCache(self.user)
                self.active = [run for run in runs if not (self._held(run) or self._over_limits(run))]
                end_waits(self.active)
                self._lock_rules()
                work()
            if runs:
                record(runs, self.steps)
            for notify in self.alerts:
                notify()
        return [claim for claim in self.claims if claim.run_id in {run.pk for run in self.active}]

    def _locked(self) -> list[WorkflowExecution]:
        """Those of the runs that are still ours, under their rows' locks."""
        fences = {claim.run_id: claim.fence for claim in self.claims}
        rows = WorkflowExecution.objects.select_related("workflow__run_as").select_for_update(of=("self",))
        rows = rows.filter(pk__in=fences, status=Status.RUNNING).order_by("pk")
        runs = [run for run in rows if run.fence == fences[run.pk]]
        for pk in fences.keys() - {run.pk for run in runs}:
            log.info("run %s is another worker's", pk)
        for run in runs:
            run.workflow = runs[0].workflow
        return runs

    def _compiled(self, runs: Sequence[WorkflowExecution]) -> bool:
        """Whether their version can be run; where an action or trigger of it is there no more, they end."""
        try:
            self.compiled = definition.compiled(runs[0].version_id)
        except (InvalidError, LookupError) as error:
            for run in runs:
                run.error_code, run.error = "workflow_broken", str(error)[:2_000]
                self._end(run, Status.FAILED)
            return False
        return True

    def _held(self, run: WorkflowExecution) -> bool:
        """The runs of a workflow that is not active, and those of someone who was deactivated, are held until
        that changes."""
        workflow = run.workflow
        if not workflow.is_active:
            state = "deleted" if workflow.archived_at else workflow.status
            run.error_code, run.error = "paused", f"The workflow is {state}."
        elif self.user is not None and not self.user.is_active:
            run.error_code = "principal_inactive"
            run.error = f"{self.user.username}, whom it acts as, is deactivated."
            self._notify(run, "Workflow held")
        else:
            return False
        run.status = Status.HELD
        return True

    def _over_limits(self, run: WorkflowExecution) -> bool:
        if run.lost_leases >= limits.MAX_LOST_LEASES:
            run.error_code, run.error = "worker_lost", "The worker died in this step again and again."
            self._add_failed_step(run, StepStatus.FAILED, timezone.now())
            self._end(run, Status.DEAD)
        elif run.steps_done >= limits.MAX_STEPS:
            run.error_code, run.error = limits.STEPS, limits.REASONS[limits.STEPS]
            self._end(run, Status.STOPPED_LIMIT)
        else:
            return False
        return True

    def _lock_rules(self) -> None:
        """What creations wait for each other by is locked before any record."""
        created = {one.name: one for i in self.compiled.program for one in i.action.creates(i.given)}
        lock_refusing(*(created.values() if self.active else ()))

    def _steps(self) -> None:
        """Position by position, the lowest first, so that all runs are together again behind a branch."""
        until, end = time.monotonic() + TRANSACTION_S, len(self.compiled.program)
        done = 0
        while self.active and done < self.max_steps and (not done or time.monotonic() < until):
            for run in [
                run for run in self.active if run.cursor >= end or run.steps_done >= limits.MAX_STEPS
            ]:
                self.active.remove(run)
                if run.cursor >= end:
                    self._end(run, Status.COMPLETED)
                else:
                    self._over_limits(run)
            if self.active:
                self._step(self.compiled.program[min(run.cursor for run in self.active)])
            done += 1

    def _step(self, instruction: Instruction) -> None:
        """One step of all runs that stand at it."""
        runs = [run for run in self.active if run.cursor == instruction.position]
        pks = [run.object_id for run in runs if run.object_id]
        # Of a workflow that names no model it is not known beforehand what its templates read.
        reads = instruction.reads if self.compiled.entity else None
        batch = RecordBatch(self.entity, pks, self.cache, reads)
        changes = isinstance(self.compiled.trigger, ChangeTrigger)
        steps = [
            Step(
                run,
                RunContext(run, self.user, self.compiled.trigger.name, batch, self.compiled.schedule_zone),
                instruction.given,
                instruction.position,
                instruction.path,
                changes,
            )
            for run in runs
        ]
        instruction.action.prepare(steps)
        for step in steps:
            self._do(instruction, step)

    def _do(self, instruction: Instruction, step: Step) -> None:
        run, started = step.run, timezone.now()
        depth = min(run.depth + 1, 1_000)
        zones = {"time_zone": "", "schedule_zone": self.compiled.schedule_zone}
        try:
            with nested_audit_context(self.user, execution_id=run.pk, depth=depth, **zones):
                result = instruction.action.run(step)
        except Exception as error:
            if isinstance(error, OperationalError) and not _is_transient(error):
                raise
            self._failed(run, error, started)
        else:
            self._done(run, instruction, result, started)

    def _done(
        self, run: WorkflowExecution, instruction: Instruction, result: StepResult, started: datetime
    ) -> None:
        until = result.wait_until
        row = step_row(
            run,
            instruction,
            _status_of(result),
            started,
            attempts=run.attempt + 1,
            output=bounded(result.output | ({"skipped": result.skipped} if result.skipped else {})),
            finished_at=None if until else timezone.now(),
            next_at=until,
        )
        self.steps.append(row)
        run.cursor = instruction.otherwise if result.otherwise else instruction.following
        if result.stop:
            run.cursor = len(self.compiled.program)
        run.steps_done, run.attempt, run.lost_leases = run.steps_done + 1, 0, 0
        run.error_code = run.error = ""
        if until:
            run.status, run.due_at, run.in_line = Status.WAITING, until, False
            self.active.remove(run)
        elif run.cursor >= len(self.compiled.program):
            self.active.remove(run)
            self._end(run, Status.COMPLETED)

    def _failed(self, run: WorkflowExecution, error: Exception, started: datetime) -> None:
        """Another attempt later, or the end."""
        run.error_code, run.error, permanent = _error_of(error, run)
        delay = None if permanent else STEP.delay(run.attempt + 1, getattr(error, "retry_after", None))
        run.attempt += 1
        self.active.remove(run)
        if delay:
            run.status, run.due_at = Status.WAITING, database_now() + delay
            self._add_failed_step(run, StepStatus.RETRYING, started, run.due_at)
            return
        denied = isinstance(error, ForbiddenError)
        self._add_failed_step(run, StepStatus.DENIED if denied else StepStatus.FAILED, started)
        self._end(run, Status.FAILED if permanent else Status.DEAD)

    def _add_failed_step(
        self, run: WorkflowExecution, status: str, started: datetime, next_at: datetime | None = None
    ) -> None:
        if run.cursor >= len(self.compiled.program):
            return
        instruction = self.compiled.program[run.cursor]
        finished = None if next_at else timezone.now()
        reason_columns = {"error_code": run.error_code, "error": run.error, "attempts": run.attempt}
        times = {"next_at": next_at, "finished_at": finished}
        self.steps.append(step_row(run, instruction, status, started, **reason_columns, **times))

    def _end(self, run: WorkflowExecution, status: str) -> None:
        """End a run, and alert of one that failed."""
        run.status = status
        if status != Status.COMPLETED:
            self._notify(run, "Workflow failed")

    def _notify(self, run: WorkflowExecution, what: str) -> None:
        """Alert once the run is stored."""
        title, reason = f"{what}: {run.workflow.name}", run.error
        self.alerts.append(lambda: alert(run.workflow, title, reason, run=run))


def _status_of(result: StepResult) -> str:
    if result.skipped:
        return StepStatus.SKIPPED
    return StepStatus.WAITING if result.wait_until else StepStatus.COMPLETED


def _error_of(error: Exception, run: WorkflowExecution) -> tuple[str, str, bool]:
    """Code and message for the history, and whether retrying is of no use. Of an unexpected error only its
    class is shown; the log has the rest."""
    if isinstance(error, DomainError):
        return error.code[:40], error.message[:2_000], True
    if isinstance(error, TemporaryError):
        return error.code[:40], error.message[:2_000], False
    if isinstance(error, OperationalError) and _is_transient(error):
        return "database_busy", "The database was busy.", False
    log.error("run %s: a step failed", run.pk, exc_info=error)
    if isinstance(error, DatabaseError):
        return "error", "The database refused the step.", False
    return "error", f"Unexpected fault in the action: {type(error).__name__}.", False
