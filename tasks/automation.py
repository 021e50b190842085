"""What tasks add to automation: when they are done or late, and making them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from core.activities import further_records
from core.activities.further_records import Ref
from core.entities import Entity, entities, writing
from core.entities.field_types import Boolean, Choice, Integer, Text
from core.errors import FieldIssue, InvalidError
from core.webhooks import events
from core.workflows import templating
from core.workflows.actions import Action, Step, StepResult, register
from core.workflows.params import Param, Scope
from core.workflows.schedule import add_business_days
from core.workflows.triggers import ChangeTrigger, DateTrigger
from core.workflows.triggers import register as register_trigger
from tasks.models import RELATED_RECORDS, Priority, TaskRecord, TaskStatus, TaskType
from tasks.querysets import OPEN

# The hour of the assignee's day by which a task that is due "in two days" is due.
END_OF_DAY = time(17)


def _completed(entity: Entity, settings: Mapping[str, Any]) -> Q:
    """The status became completed."""
    return Q(changes__status__1=TaskStatus.COMPLETED)


register_trigger(
    ChangeTrigger(
        "task_completed",
        entities=("task",),
        narrow=_completed,
        help_text="A task was completed.",
        when="a task was completed",
    )
)
register_trigger(
    DateTrigger(
        "task_overdue",
        entities=("task",),
        field="due_date",
        rows=OPEN,
        help_text="A task is past its due time.",
        when="a task is past its due time",
    )
)

events.register("task.completed", {"field": "status", "op": "changed_to", "value": "completed"})


@register
class CreateTask(Action):
    """Creates a task about the run's record, assigned to the record's assignee by default."""

    name = "create_task"
    params = (
        Param("title", Text(max_length=200), required=True),
        Param("description", Text(max_length=20_000, trim_whitespace=False)),
        Param("due_days", Integer(min_value=0, max_value=3_650), help_text="Due in so many days."),
        Param("business_days", Boolean(), help_text="Count working days only."),
        Param("priority", Choice(choices=tuple(Priority.values))),
        Param("task_type", Choice(choices=tuple(TaskType.values))),
        Param(
            "assigned_to",
            Integer(min_value=1, max_value=2**63 - 1),
            help_text="A user's id.",
            refers_to="user",
        ),
        Param("records", Text(max_length=1_000), help_text='Further records: "contact 5, opportunity 7".'),
    )
    help_text = "Create a task."

    def check_more(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        text = given.get("records")
        if not text or templating.names_are_read(text):
            return []
        try:
            further_records.check(further_records.refs_in(text), scope.principal, RELATED_RECORDS)
        except InvalidError as error:
            return [FieldIssue(f"{path}.records", issue.code, issue.message) for issue in error.issues]
        return []

    def writes(self, entity: Entity | None, given: Mapping[str, Any]) -> tuple[str, ...]:
        return ("tasks",)

    def prepare(self, steps: Sequence[Step]) -> None:
        first = steps[0]
        if first.run.entity in RELATED_RECORDS:
            first.subject.batch.cache.lookups.find(first.run.entity, first.subject.batch.pks)

    def run(self, step: Step) -> StepResult:
        values = self.values(step)
        fields: dict[str, Any] = {
            name: values[name] for name in ("title", "description", "priority", "task_type") if name in values
        }
        assignee = values.get("assigned_to") or self._assignee(step)
        fields |= {"assigned_to": assignee, "due_date": self._due(step, values, assignee)}
        fields |= self._about(step)
        task = writing.create_from_input(
            entities["task"], fields, step.user, step.subject.batch.cache.lookups
        )
        further = self._further(step, values)
        further_records.replace(TaskRecord, task, further, step.user)
        return StepResult({"model": "task", "id": task.pk, "due_date": fields["due_date"]})

    def _further(self, step: Step, values: Mapping[str, Any]) -> list[Ref]:
        """The further records, those left out whose id a template found nothing for."""
        parts = [part.strip() for part in values.get("records", "").split(",")]
        refs = further_records.refs_in(",".join(part for part in parts if part not in RELATED_RECORDS))
        further_records.check(refs, step.user, RELATED_RECORDS)
        return refs

    def _about(self, step: Step) -> dict[str, Any]:
        return {step.run.entity: step.run.object_id} if step.run.entity in RELATED_RECORDS else {}

    def _assignee(self, step: Step) -> int | None:
        """The record's assignee or owner, else the user that the workflow acts as; active users only."""
        wanted = [*step.subject.belonging, step.user.pk if step.user else None]
        active = step.subject.batch.cache.users.active(w for w in wanted if w)
        return next((w for w in wanted if w in active), None)

    def _due(self, step: Step, values: Mapping[str, Any], assignee: int | None) -> datetime | None:
        """At the end of the working day, in the assignee's zone."""
        if values.get("due_days") is None:
            return None
        user = step.subject.batch.cache.users.get(assignee)
        zone = user.zone if user else step.subject.zone
        today = timezone.now().astimezone(zone).date()
        days = values["due_days"]
        day = add_business_days(today, days) if values.get("business_days") else today + timedelta(days=days)
        return datetime.combine(day, END_OF_DAY, zone)
