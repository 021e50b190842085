"""Dry run: which conditions a record meets and what each action would do, with the database read-only."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from core.accounts.models import User
from core.conditions import parse, record_q
from core.conditions.grammar import ChangedPredicate, fields_of
from core.entities import Entity
from core.entities.zones import record_zone
from core.errors import DomainError
from core.workflows import definition
from core.workflows.actions import Step
from core.workflows.actions.base import params_json
from core.workflows.definition import Compiled, Instruction
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.readers import RunReader
from core.workflows.run_context import RunContext
from core.workflows.triggers import ChangeTrigger


@contextmanager
def read_only() -> Iterator[None]:
    """A transaction in which PostgreSQL refuses every write (25006), undone at the end in any case."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_read_only = on")
        yield
        transaction.set_rollback(True)


def dry_run(
    workflow: Workflow,
    given: Mapping[str, Any],
    object_id: int | None,
    user: User | None,
    payload: Any = None,
    entity: str = "",
    *,
    reader: RunReader,
) -> dict[str, Any]:
    """What `given` (a definition) would do with a record now, as `user`, without what `reader` may not see of
    it. Nothing is written or sent. `entity` is the record's, where the definition names no model. `would_run`
    is None where a condition that is withheld decides it."""
    compiled = definition.compile_definition(given)
    name = compiled.entity.name if compiled.entity else entity
    run = WorkflowExecution(
        workflow=workflow, entity=name, object_id=object_id, trigger_data=payload or {}, version_id=0
    )
    with read_only():
        subject = RunContext(run, user, compiled.trigger.name, schedule_zone=compiled.schedule_zone)
        conditions = conditions_of(compiled, subject, reader)
        steps = previewed(compiled, subject, reader)
    return {"would_run": _would_run(conditions), "conditions": conditions, "actions": steps}


def _would_run(conditions: list[dict[str, Any]]) -> bool | None:
    """False where one is known not to be met, else None where one is withheld."""
    answers = [one["met"] for one in conditions]
    return False if False in answers else None if None in answers else True


def conditions_of(compiled: Compiled, subject: RunContext, reader: RunReader) -> list[dict[str, Any]]:
    """Each part of the top level, and whether the record meets it. Parts about a change are taken as met; of
    those that the reader may not know it of it is None."""
    entity = compiled.entity
    if not compiled.conditions or entity is None:
        return []
    return [
        _evaluated(entity, part, subject)
        if reader.sees_condition(entity.name, subject.pk, part)
        else {"condition": part, "met": None, "withheld": True}
        for part in _parts(compiled.conditions)
    ]


def _parts(conditions: Any) -> list[Any]:
    if isinstance(conditions, list):
        return conditions
    if set(conditions) == {"all"}:
        return conditions["all"]
    if set(conditions) & {"any", "not", "field"}:
        return [conditions]
    return [{key: value} for key, value in conditions.items()]


def _evaluated(entity: Entity, part: Any, subject: RunContext) -> dict[str, Any]:
    parsed = parse(entity.for_user(subject.user), part, changes=True)
    if any(isinstance(leaf, ChangedPredicate) for leaf in fields_of(parsed)):
        return {"condition": part, "met": True, "note": _("about a change: taken as met")}
    return {
        "condition": part,
        "met": subject.rows.filter(
            record_q(parsed, record_zone(subject.schedule_zone), user=subject.user)
        ).exists(),
    }


def previewed(compiled: Compiled, subject: RunContext, reader: RunReader) -> list[dict[str, Any]]:
    """The steps on the way through the program, each rendered; the way ends where a step would fail, and at a
    branch whose condition is withheld."""
    shown, position, end = [], 0, len(compiled.program)
    changes = isinstance(compiled.trigger, ChangeTrigger)
    while position < end:
        instruction = compiled.program[position]
        entry, position = _previewed(instruction, subject, changes, end)
        kind, entity = instruction.action.name, subject.run.entity
        payload = subject.run.trigger_data
        if not reader.sees_step(entity, subject.pk, kind, instruction.given, entry.get("would"), payload):
            entry = {"path": instruction.path, "type": kind, "withheld": True}
            position = end if kind == definition.BRANCH else position
        shown.append(entry)
    return shown


def _previewed(
    instruction: Instruction, subject: RunContext, changes: bool, end: int
) -> tuple[dict[str, Any], int]:
    step = Step(subject.run, subject, instruction.given, instruction.position, instruction.path, changes)
    entry: dict[str, Any] = {"path": instruction.path, "type": instruction.action.name}
    try:
        rendered = params_json(instruction.action.preview(step))
    except DomainError as error:
        issues = [{"field": i.field, "message": i.message} for i in getattr(error, "issues", [])]
        return entry | {"error": error.message, "errors": issues}, end
    if instruction.action.name == "stop":
        return entry | {"would": rendered}, end
    following = instruction.otherwise if rendered.get("met") is False else instruction.following
    return entry | {"would": rendered}, following
