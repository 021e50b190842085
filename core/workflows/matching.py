"""From changes to runs: which active workflows a batch of changes starts.

Two questions for all workflows together, whatever the size of the batch: of the changes, which trigger
applies to each; of the records, which conditions each meets. So a million imported rows cost two scans and
one insert for each workflow that matched, not a query for each row.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, Case, F, Func, Q, QuerySet, Value, When

from core import jobs
from core.changes import ChangeBatch
from core.changes.membership import AnyOf
from core.conditions import change_q, parse, record_q
from core.conditions.grammar import Change as ChangeLeaf
from core.conditions.grammar import Condition, fields_of
from core.entities import Entity, entities
from core.errors import InvalidError
from core.models import Change, Workflow, WorkflowExecution, WorkflowVersion
from core.workflows import definition, limits
from core.workflows.alerts import alert
from core.workflows.past import deleted_rows
from core.workflows.starting import start_for_changes
from core.workflows.triggers import ChangeTrigger

RUN_JOB = "core.tasks.run_workflows"
Priority = WorkflowExecution.Priority


@dataclass
class Candidate:
    """An active workflow as the matcher sees it: a Q over changes, and one over records."""

    version: WorkflowVersion
    of_change: Q
    of_record: Q


def consume(batch: ChangeBatch) -> None:
    """The consumer of changes: insert the runs that a batch starts, and ring for them."""
    entity = entities.get(batch.entity)
    if entity is None or not batch.automation:
        return
    started = 0
    found = candidates(entity, active_versions(entity))
    for candidate, changes in matched(entity, batch.ids, found):
        priority = Priority.BULK if len(changes) > limits.FLOOD else Priority.EVENT
        started += start_for_changes(candidate.version, entity.name, changes, priority)
    if started:
        jobs.enqueue(RUN_JOB)


def active_versions(entity: Entity) -> list[WorkflowVersion]:
    """The versions in force of the entity's active workflows."""
    rows = WorkflowVersion.objects.filter(
        workflow__entity=entity.name,
        workflow__status=Workflow.Status.ACTIVE,
        workflow__archived_at=None,
        number=F("workflow__version"),
    )
    # What the matcher looks at: definitions are compiled once, and a workflow or user has many columns.
    few = (
        "workflow",
        *(f"workflow__{name}" for name in ("name", "run_as")),
        *(f"workflow__run_as__{name}" for name in ("role", "team", "is_active", "is_superuser")),
    )
    return list(rows.select_related("workflow__run_as").only(*few).order_by("workflow_id"))


def candidates(entity: Entity, versions: Iterable[WorkflowVersion]) -> list[Candidate]:
    """Those that changes can start. One that no longer compiles (a custom field was removed) is reported."""
    found = []
    for version in versions:
        try:
            made = candidate(entity, version)
        except (InvalidError, LookupError) as error:
            alert(version.workflow, f"Workflow broken: {version.workflow.name}", str(error))
            continue
        found += [made] if made else []
    return found


def candidate(entity: Entity, version: WorkflowVersion) -> Candidate | None:
    """None where its trigger is no change."""
    compiled = definition.compiled(version.pk)
    trigger = compiled.trigger
    if not isinstance(trigger, ChangeTrigger):
        return None
    of_change = trigger.q(entity, compiled.settings)
    of_record = _visible(entity, version.workflow)
    if compiled.conditions:
        condition = parse(entity, compiled.conditions, changes=True)
        if _looks_at_change(condition):
            of_change &= change_q(entity, condition)
        else:
            of_record &= record_q(condition)
    return Candidate(version, of_change, of_record)


def _looks_at_change(condition: Condition) -> bool:
    return any(isinstance(leaf, ChangeLeaf) for leaf in fields_of(condition))


def _visible(entity: Entity, workflow: Workflow) -> Q:
    """What its principal sees. Of one who was deactivated what they would see: the run is held, not lost."""
    user = workflow.run_as
    if user is None:
        return Q()
    user.is_active = True
    return entity.model.policy.scope(user)


def matched(
    entity: Entity, ids: Sequence[int], found: Sequence[Candidate]
) -> list[tuple[Candidate, list[int]]]:
    """Each candidate with the changes it matches, in their order; those without any are left out."""
    if not found:
        return []
    triggered = _triggered(ids, found)
    met = _met(entity, found, triggered)
    result = []
    for i, candidate_ in enumerate(found):
        changes = sorted(pk for pk, record in triggered[i] if record in met[i]) if met[i] else []
        if changes:
            result.append((candidate_, changes))
    return result


@dataclass
class Triggered:
    """The changes that one trigger applies to, each with its record; `gone` are those deleted by one."""

    changes: list[int] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.changes, self.records, strict=True)


def _triggered(ids: Sequence[int], found: Sequence[Candidate]) -> list[Triggered]:
    """By candidate: one query, one column for each distinct question. Questions are compared as such: as text
    `changed_to` and `changed_from` of one value look alike."""
    questions = list(dict.fromkeys(c.of_change for c in found))
    answers = {question: Triggered() for question in questions}
    deleted = Q(kind=Change.Kind.DELETED)
    asked = [*questions, deleted]
    rows = Change.objects.filter(AnyOf(F("id"), list(ids)))
    for flags, changes, records in _flagged(rows, asked, "id", "object_id"):
        for question, flag in zip(questions, flags, strict=False):
            if flag:
                answers[question].changes += changes
                answers[question].records += records
                answers[question].gone.update(records if flags[-1] else ())
    return [answers[c.of_change] for c in found]


def _met(entity: Entity, found: Sequence[Candidate], triggered: Sequence[Triggered]) -> list[set[int]]:
    """Records by candidate that meet its conditions and that its principal sees."""
    asked = [i for i, those in enumerate(triggered) if those.changes]
    met: list[set[int]] = [set() for _ in found]
    if not asked:
        return met
    records = sorted({record for i in asked for record in triggered[i].records})
    rows = entity.model.objects.filter(AnyOf(F("id"), records))
    for flags, pks in _flagged(rows, [found[i].of_record for i in asked], "id"):
        for i, flag in zip(asked, flags, strict=True):
            if flag:
                met[i].update(pks)
    gone = sorted({record for i in asked for record in triggered[i].gone})
    if gone:
        _met_by_deleted(entity, found, asked, gone, met)
    return met


def _met_by_deleted(
    entity: Entity, found: Sequence[Candidate], asked: Sequence[int], gone: list[int], met: list[set[int]]
) -> None:
    """Records that are no more are judged by what they last were."""
    for i in asked:
        met[i] |= deleted_rows(entity, gone, found[i].of_record)


def _flagged(rows: QuerySet, questions: Iterable[Q], *names: str) -> QuerySet:
    """Rows by their answers to all questions, as tuples: the answers as a list, then each of the columns
    `names` as a list."""
    answers = [
        # Case, for it also takes a question whose answer is known beforehand: nothing is in an empty list.
        Case(When(question, then=Value(True)), default=Value(False)) if question else Value(True)
        for question in questions
    ]
    flags = Func(*answers, template="ARRAY[%(expressions)s]", output_field=ArrayField(BooleanField()))
    lists = {f"all_{name}": ArrayAgg(name, order_by="id") for name in names}
    return (
        rows.order_by().annotate(flags=flags).values("flags").annotate(**lists).values_list("flags", *lists)
    )
