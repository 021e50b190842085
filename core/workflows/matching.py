"""From changes to runs: which active workflows a batch of changes starts.

Two statements for all workflows together, whatever the size of the batch: of the changes, which trigger
applies to each; of the records, which conditions each meets. So a million imported rows cost two scans and
one insert for each workflow that matched, not a query for each row.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import F, Q

from core import jobs
from core.accounts.models import User
from core.changes import ChangeBatch
from core.changes.matching import Candidate, matched
from core.conditions import change_q, parse, record_q
from core.conditions.grammar import ChangedPredicate, Condition, fields_of
from core.entities import Entity, entities, field_rights
from core.entities.zones import record_zone
from core.errors import InvalidError
from core.workflows import definition, limits
from core.workflows.alerts import alert
from core.workflows.models import Workflow, WorkflowExecution, WorkflowVersion
from core.workflows.starting import start_for_changes
from core.workflows.triggers import ChangeTrigger

RUN_JOB = "core.tasks.run_workflows"
Priority = WorkflowExecution.Priority


def consume(batch: ChangeBatch) -> None:
    """The consumer of changes: insert the runs that a batch starts, and enqueue their task."""
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
    """The current versions of active workflows that are about the entity, or about no entity in particular:
    one made in a shell need not name a model."""
    rows = WorkflowVersion.objects.filter(
        workflow__entity__in=("", entity.name),
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
    rows = rows.annotate(rights=field_rights.words_of("workflow__run_as__role"))
    found: list[Any] = list(rows.select_related("workflow__run_as").only(*few).order_by("workflow_id"))
    for version in found:
        if version.workflow.run_as is not None:
            setattr(version.workflow.run_as, field_rights.WORDS, version.rights)
    return found


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
    """None where its trigger is no change, or, of a workflow that names no model, none of this entity."""
    compiled = definition.compiled(version.pk)
    trigger = compiled.trigger
    if not isinstance(trigger, ChangeTrigger):
        return None
    if compiled.entity is None and not trigger.fits(entity, compiled.settings):
        return None
    user = _principal(version.workflow)
    # What is hidden from whom it acts as is not there: such a workflow is reported as broken.
    entity = entity.for_user(user)
    of_change = trigger.q(entity, compiled.settings)
    of_record = Q() if user is None else entity.model.policy.scope(user)
    if compiled.conditions:
        condition = parse(entity, compiled.conditions, changes=True)
        if _looks_at_change(condition):
            of_change &= change_q(entity, condition, record_zone(), user=user)
        else:
            of_record &= record_q(condition, record_zone(), user=user)
    return Candidate(version, of_change, of_record)


def _looks_at_change(condition: Condition) -> bool:
    return any(isinstance(leaf, ChangedPredicate) for leaf in fields_of(condition))


def _principal(workflow: Workflow) -> User | None:
    """Whose eyes it looks through. One who was deactivated sees what they would see: the run is held, not
    lost."""
    if workflow.run_as is not None:
        workflow.run_as.is_active = True
    return workflow.run_as
