"""Demo workflows that are at work, and a webhook to begin with.

Nobody outside is written to: the workflow that mails asks for an address below `.example`, which is reserved
and reaches no one. What automation does with the demo's own records is queued, for the worker to run.
"""

from typing import Any

from core.access import Role
from core.accounts.models import User
from core.demo import Demo
from core.webhooks import operations
from core.webhooks.models import WebhookSubscription
from core.workflows import definition, engine
from core.workflows.models import Workflow

WELCOME = "Welcome website leads"
# Of the newest of the demo's leads, so many are welcomed at once.
WELCOMED = 3
RESERVED = ".example"


def add_workflows(demo: Demo) -> str:
    """Workflows and a webhook by name, where they are not there yet; and a few runs."""
    author = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("id").first()
    made = [_workflow(author, *given) for given in _definitions(demo)]
    _webhook(author or demo.users["manager"][0])
    runs = _welcome(demo, made[0])
    return f"{len(made)} workflows, {runs} runs queued"


def _definitions(demo: Demo) -> list[tuple[str, str, str, dict[str, Any], list[tuple[str, dict[str, Any]]]]]:
    """Name, description, trigger, what it is about, actions."""
    website = {"all": [{"field": "lead_source", "value": "website"}, _at_reserved_address()]}
    reps = [user.pk for user in demo.users["rep"]]
    follow_up = {"title": "Follow up with {{ lead.first_name }}", "due_days": 2, "business_days": True}
    late = "{{ task.title }} is overdue since {{ task.due_date | date: '%e %B' }}"
    thanks = {"title": "Thank for {{ opportunity.name }}", "due_days": 1, "business_days": True}
    return [
        (
            WELCOME,
            "A website lead gets a seller in turn, a welcome and a task. Only addresses below .example.",
            "record_created",
            {"model": "lead", "conditions": website},
            [
                ("assign_record", {"users": reps, "method": "round_robin"}),
                ("send_email", {"template_id": "welcome_email", "to": "{{ lead.email }}"}),
                ("create_task", follow_up),
            ],
        ),
        (
            "Chase overdue tasks",
            "Whoever a task belongs to hears of it when its time has passed.",
            "task_overdue",
            {"model": "task"},
            [("send_notification", {"message": late, "to": "assignee"})],
        ),
        (
            "Thank for won deals",
            "Whoever a deal is assigned to is given the task to thank the customer.",
            "status_changed",
            {"model": "opportunity", "to": "won"},
            [("create_task", thanks)],
        ),
    ]


def _at_reserved_address() -> dict[str, str]:
    return {"field": "email", "op": "ends_with", "value": RESERVED}


def _workflow(
    author: User | None,
    name: str,
    description: str,
    trigger: str,
    about: dict[str, Any],
    actions: list[tuple[str, dict[str, Any]]],
) -> Workflow:
    given = {
        "trigger_type": trigger,
        "trigger_conditions": about,
        "actions": [{"type": kind, "params": params} for kind, params in actions],
    }
    definition.check(given, author)
    known = {"description": description, "status": "active", "run_as": author, "created_by": author, **given}
    return Workflow.objects.get_or_create(name=name, defaults=known)[0]


def _webhook(owner: User) -> None:
    """A disabled subscription: its receiver does not exist."""
    name = "Won deals to another system"
    if WebhookSubscription.objects.filter(name=name).exists():
        return
    row = WebhookSubscription(
        name=name,
        url="https://receiver.example/crm",
        events=["opportunity.won"],
        owner=owner,
        is_enabled=False,
        disabled_reason="A demo: give it an address of yours, then enable it.",
    )
    operations.give_secret(row)
    row.save()


def _welcome(demo: Demo, workflow: Workflow) -> int:
    """Runs for some of the newest leads it is for; the number queued."""
    leads = [lead for lead in demo.made["leads"] if lead.email.endswith(RESERVED) and not lead.assigned_to_id]
    leads = [lead for lead in leads if lead.lead_source == "website"]
    newest = sorted(leads, key=lambda lead: lead.created_at)[-WELCOMED:] if workflow.is_active else []
    for lead in newest:
        engine.queue_workflow(workflow, {"lead_id": lead.pk})
    return len(newest)
