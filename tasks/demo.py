"""Demo tasks: done, due, overdue and coming."""

from datetime import timedelta

from core.demo import Demo
from tasks.models import Priority, Task, TaskRecord, TaskStatus, TaskType

BATCH = 500
TITLES = {
    TaskType.CALL: "Call {}",
    TaskType.EMAIL: "Write to {}",
    TaskType.MEETING: "Meet {}",
    TaskType.FOLLOW_UP: "Follow up with {}",
    TaskType.PROPOSAL: "Send {} a proposal",
    TaskType.DEMO: "Show {} the product",
}
DAYS = (-20, 20)
# The share of the tasks that fall to the manager of the team.
MANAGERS = 0.12


def add_tasks(demo: Demo) -> str:
    rows = [_task(demo, number) for number in range(max(20, demo.leads // 3))]
    Task.objects.bulk_create(rows, batch_size=BATCH)
    further = [record for task in rows if (record := _further(demo, task)) is not None]
    TaskRecord.objects.bulk_create(further, batch_size=BATCH)
    return f"{len(rows)} tasks"


def _further(demo: Demo, task: Task) -> TaskRecord | None:
    """The contact of the deal that a task is about."""
    deal = task.opportunity
    if deal is None or deal.contact_id is None:
        return None
    return TaskRecord(task=task, entity="contact", object_id=deal.contact_id, created_at=task.created_at)


def _task(demo: Demo, number: int) -> Task:
    record = demo.pick(demo.made[demo.pick(("leads", "contacts", "opportunities"))] or demo.made["contacts"])
    kind = demo.pick(list(TITLES))
    # The first is overdue: even a small demo shows one, whatever was drawn.
    due = demo.now + timedelta(days=demo.random.uniform(*DAYS) if number else -1)
    done = due < demo.now and number > 0 and demo.random.random() < 0.7
    noted = due - timedelta(days=demo.random.uniform(1, 10))
    return Task(
        **{record.entity_name: record},
        title=TITLES[kind].format(record)[:200],
        task_type=kind,
        status=TaskStatus.COMPLETED if done else TaskStatus.PENDING,
        completed_at=due if done else None,
        priority=demo.pick(Priority.values, (2, 5, 3, 1)),
        due_date=due,
        reminder_at=due - timedelta(hours=1),
        owner=record.owner,
        assigned_to=demo.manager_of(record.owner) if demo.random.random() < MANAGERS else record.owner,
        created_at=min(noted, demo.past(7)),
    )
