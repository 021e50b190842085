"""One step of a run: in one transaction its effects, its row and the cursor moved on, or none of them."""

import logging
from datetime import datetime
from typing import Any

import orjson
from django.db import DatabaseError, OperationalError, connection, transaction
from django.utils import timezone

from core.changes import acting_as
from core.errors import DomainError, ForbiddenError
from core.models import WorkflowExecution, WorkflowStep
from core.workflows import definition, limits
from core.workflows.actions import Outcome, Step
from core.workflows.actions.base import TemporaryError, params_json, redacted
from core.workflows.alerts import alert
from core.workflows.backoff import STEP
from core.workflows.claiming import LEASE_S, Claim
from core.workflows.definition import Compiled, Instruction
from core.workflows.subject import Subject
from core.workflows.triggers import ChangeTrigger

log = logging.getLogger(__name__)
Status = WorkflowExecution.Status
StepStatus = WorkflowStep.Status
# Deadlock, serialization failure, lock and statement time-outs: another attempt usually passes.
PASSING = ("40P01", "40001", "55P03", "57014")
MAX_OUTPUT = 20_000


class LeaseLostError(Exception):
    """Somebody else has the run, or nobody may go on with it: write nothing."""


_FINISH = """
WITH step AS (
    INSERT INTO core_workflowstep (execution_id, position, path, type, status, attempts, input, output,
                                   started_at, finished_at, next_at)
    VALUES (%(run)s, %(position)s, %(path)s, %(type)s, %(step_status)s, %(attempts)s, %(input)s, %(output)s,
            %(started_at)s, CASE WHEN %(wait_until)s::timestamptz IS NULL THEN clock_timestamp() END,
            %(wait_until)s)
    ON CONFLICT (execution_id, position) DO UPDATE
    SET status = excluded.status, attempts = excluded.attempts, input = excluded.input,
        output = excluded.output, error = '', error_code = '',
        finished_at = excluded.finished_at, next_at = excluded.next_at
)
UPDATE core_workflowexecution
SET cursor = %(cursor)s, steps_done = steps_done + 1, attempt = 0, lost_leases = 0, status = %(status)s,
    in_line = in_line AND %(wait_until)s::timestamptz IS NULL,
    due_at = coalesce(%(wait_until)s, clock_timestamp() + make_interval(secs => %(lease)s)),
    finished_at = CASE WHEN %(status)s = 'completed' THEN clock_timestamp() END
WHERE id = %(run)s AND fence = %(fence)s AND status = 'running'
"""


class Worker:
    """Works one claimed run off, step by step, as far as it goes."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim

    def work(self) -> None:
        """Run steps until the run ends, waits or is lost. Every failure is recorded, none gets out but that
        of the database itself."""
        try:
            while self._step():
                pass
        except LeaseLostError:
            log.info("run %s is another worker's", self.claim.run_id)

    def _step(self) -> bool:
        """One step; whether there may be more."""
        try:
            with transaction.atomic():
                run = self._locked()
                stepper = Stepper(run, self.claim)
                return stepper.advance()
        except LeaseLostError:
            raise
        except DomainError as error:
            self._failed(error.code, error.message, error, permanent=True)
        except TemporaryError as error:
            self._failed(error.code, error.message, error)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in PASSING:
                raise
            self._failed("database_busy", "The database was busy.", error)
        except Exception as error:
            log.exception("run %s: a step failed", self.claim.run_id)
            self._failed("error", _described(error), error)
        return False

    def _locked(self) -> WorkflowExecution:
        """The run under its row's lock, if it is still ours."""
        rows = WorkflowExecution.objects.select_related("workflow__run_as").select_for_update(of=("self",))
        run = rows.filter(pk=self.claim.run_id, fence=self.claim.fence, status=Status.RUNNING).first()
        if run is None:
            raise LeaseLostError
        return run

    def _failed(self, code: str, message: str, error: Exception, *, permanent: bool = False) -> None:
        """Record the failure of the step at the cursor: another attempt later, or the end."""
        with transaction.atomic():
            run = self._locked()
            retry_after = getattr(error, "retry_after", None)
            delay = None if permanent else STEP.delay(run.attempt + 1, retry_after)
            run.attempt += 1
            run.error_code, run.error = code[:40], message[:2_000]
            next_at = timezone.now() + delay if delay else None
            _record_failure(run, isinstance(error, ForbiddenError), next_at)
            if next_at:
                run.status, run.due_at = Status.WAITING, next_at
            else:
                end(run, Status.FAILED if permanent else Status.DEAD)
            run.save(
                update_fields=[
                    "attempt",
                    "error_code",
                    "error",
                    "status",
                    "due_at",
                    "finished_at",
                    "run_as_id",
                ]
            )


def _described(error: Exception) -> str:
    """What people are told of an unforeseen fault: its kind, for the rest there is the log."""
    if isinstance(error, DatabaseError):
        return "The database refused the step."
    return f"Unexpected fault in the action: {type(error).__name__}."


def end(run: WorkflowExecution, status: str) -> None:
    """Give a run its end in memory, and tell someone of a bad one."""
    run.status, run.finished_at = status, timezone.now()
    if status in (Status.FAILED, Status.DEAD, Status.STOPPED_LIMIT):
        alert(run.workflow, f"Workflow failed: {run.workflow.name}", run.error, run=run)


def _record_failure(run: WorkflowExecution, denied: bool, next_at: datetime | None) -> None:
    program = definition.compiled(run.version_id).program
    if run.cursor >= len(program):
        return
    instruction = program[run.cursor]
    status = StepStatus.RETRYING if next_at else StepStatus.DENIED if denied else StepStatus.FAILED
    WorkflowStep.objects.update_or_create(
        execution=run,
        position=instruction.position,
        defaults={
            "path": instruction.path,
            "type": instruction.action.name,
            "status": status,
            "attempts": run.attempt,
            "input": shown_input(instruction),
            "error_code": run.error_code,
            "error": run.error,
            "next_at": next_at,
            "finished_at": None if next_at else timezone.now(),
        },
    )


class Stepper:
    """The next step of a locked run."""

    def __init__(self, run: WorkflowExecution, claim: Claim) -> None:
        self.run, self.claim = run, claim
        self.compiled: Compiled = definition.compiled(run.version_id)

    def advance(self) -> bool:
        """Do the step at the cursor; whether the run goes on at once."""
        if self._held() or self._over_limits():
            return False
        if self.run.cursor >= len(self.compiled.program):
            self._complete()
            return False
        return self._do(self.compiled.program[self.run.cursor])

    def _held(self) -> bool:
        """A paused workflow's runs, and those of someone who was deactivated, are held until that changes."""
        workflow = self.run.workflow
        user = workflow.run_as
        if workflow.status == "paused" or workflow.archived_at is not None:
            return self._hold("paused", "The workflow is paused.")
        if user is not None and not user.is_active:
            return self._hold("principal_inactive", f"{user.username}, whom it acts as, is deactivated.")
        return False

    def _hold(self, code: str, reason: str) -> bool:
        self.run.error_code, self.run.error, self.run.status = code, reason, Status.HELD
        self.run.save(update_fields=["error_code", "error", "status"])
        if code == "principal_inactive":
            alert(self.run.workflow, f"Workflow held: {self.run.workflow.name}", reason, run=self.run)
        return True

    def _over_limits(self) -> bool:
        run = self.run
        if run.lost_leases > limits.MAX_LOST_LEASES:
            run.error_code, run.error = "worker_lost", "The worker died in this step again and again."
            _record_failure(run, False, None)
            end(run, Status.DEAD)
        elif run.steps_done >= limits.MAX_STEPS:
            run.error_code, run.error = limits.STEPS, limits.REASONS[limits.STEPS]
            end(run, Status.STOPPED_LIMIT)
        else:
            return False
        run.save(update_fields=["error_code", "error", "status", "finished_at"])
        return True

    def _complete(self) -> None:
        _end_waits(self.run)
        end(self.run, Status.COMPLETED)
        self.run.save(update_fields=["status", "finished_at"])

    def _do(self, instruction: Instruction) -> bool:
        started = timezone.now()
        user = self.run.workflow.run_as
        depth = min(self.run.depth + 1, 1_000)
        step = self._step(instruction)
        _end_waits(self.run)
        with acting_as(
            user, source="workflow", execution_id=self.run.pk, depth=depth, ring=False, request_id=""
        ):
            outcome = instruction.action.run(step)
        self._finish(instruction, outcome, started)
        return outcome.wait_until is None and not self.ended

    def _step(self, instruction: Instruction) -> Step:
        changes = isinstance(self.compiled.trigger, ChangeTrigger)
        subject = Subject(self.run, self.run.workflow.run_as, self.compiled.trigger.name)
        given = instruction.given
        return Step(self.run, subject, given, instruction.position, instruction.path, changes)

    def _finish(self, instruction: Instruction, outcome: Outcome, started: datetime) -> None:
        cursor = instruction.otherwise if outcome.otherwise else instruction.following
        if outcome.stop:
            cursor = len(self.compiled.program)
        self.ended = cursor >= len(self.compiled.program) and outcome.wait_until is None
        waiting = outcome.wait_until is not None
        status = Status.COMPLETED if self.ended else Status.WAITING if waiting else Status.RUNNING
        parameters: dict[str, Any] = {
            "run": self.run.pk,
            "fence": self.claim.fence,
            "position": instruction.position,
            "path": instruction.path,
            "type": instruction.action.name,
            "step_status": StepStatus.WAITING if waiting else StepStatus.COMPLETED,
            "attempts": self.run.attempt + 1,
            "input": orjson.dumps(shown_input(instruction)).decode(),
            "output": _bounded(outcome.output),
            "started_at": started,
            "wait_until": outcome.wait_until,
            "cursor": cursor,
            "status": status,
            "lease": LEASE_S,
        }
        with connection.cursor() as database:
            database.execute(_FINISH, parameters)
            if database.rowcount != 1:
                raise LeaseLostError
        self.run.cursor, self.run.steps_done = cursor, self.run.steps_done + 1


def _end_waits(run: WorkflowExecution) -> None:
    """The wait that led here is over."""
    if not run.in_line:
        waits = run.steps.filter(status=StepStatus.WAITING)
        waits.update(status=StepStatus.COMPLETED, finished_at=timezone.now())


def shown_input(instruction: Instruction) -> Any:
    """The parameters of a step as its history keeps them: as written, secrets left out, arms too."""
    given = {name: value for name, value in instruction.given.items() if name not in definition.ARMS}
    return redacted(instruction.action, params_json(given))


def _bounded(output: dict[str, Any]) -> str:
    text = orjson.dumps(params_json(output)).decode()
    return text if len(text) <= MAX_OUTPUT else orjson.dumps({"truncated": True}).decode()
