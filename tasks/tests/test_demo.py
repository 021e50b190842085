"""`manage.py seed_demo`: the same data for the same seed, in every stage, and only where it is safe."""

import io
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from core.accounts.models import User
from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.changes.models import Outbox
from core.entities import entities
from core.mail import sending as mailing
from core.notifications.models import Notification
from core.transfer.exporting import export_of, stream
from core.transfer.importing import Import
from core.transfer.options import parse
from core.transfer.planning import plan
from core.transfer.reading import open_table
from core.webhooks.models import WebhookSubscription
from core.workflows import engine, sweeps
from core.workflows.models import Workflow, WorkflowExecution
from lead_management.models import Lead
from opportunities.entity import OPPORTUNITY
from opportunities.models import Opportunity, Stage
from opportunities.operations import stage_history
from tasks.demo_automation import WELCOMED
from tasks.models import Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def seed(settings, capsys):
    settings.DEBUG = True
    return lambda **options: call_command("seed_demo", leads=60, **options)


@pytest.fixture
def settle():
    """Changes and runs until nothing is due; returns all runs, oldest first."""

    def run():
        while dispatch() + engine.run_due():
            continue
        return list(WorkflowExecution.objects.order_by("id"))

    return run


def test_every_part_of_the_crm_has_something_to_show(seed):
    seed()
    assert Lead.objects.count() == 60
    assert set(Opportunity.objects.values_list("status", flat=True)) == {"open", "won", "lost"}
    assert Task.objects.overdue().exists()
    assert set(User.objects.values_list("role", flat=True)) == {"manager", "rep", "viewer"}
    assert User.objects.get(username="rep").check_password("password")


def test_deals_have_a_history_of_stages(seed):
    seed()
    won = Opportunity.objects.filter(status="won").first()
    passed = [entry["stage"] for entry in stage_history(OPPORTUNITY, won)]
    assert passed == ["prospecting", "qualification", "proposal", "negotiation", "closed_won"]
    assert {stage.key for stage in Stage.objects.all()} >= set(passed)


def test_one_seed_gives_the_same_leads_and_another_gives_others(seed):
    seed(seed=7)
    first = list(Lead.objects.order_by("id").values_list("email", flat=True))
    seed(seed=7)
    again = list(Lead.objects.order_by("id").values_list("email", flat=True))
    assert again == first + first
    seed(seed=8)
    assert list(Lead.objects.order_by("id").values_list("email", flat=True)[120:]) != first


def test_seeding_twice_makes_other_people(seed):
    seed()
    first = set(Lead.objects.values_list("email", flat=True))
    seed()
    again = set(Lead.objects.order_by("id").values_list("email", flat=True)[60:])
    assert len(again) == 60
    assert not first & again


def test_nothing_in_it_happened_in_the_future(seed):
    seed()
    now = timezone.now()
    for entity in entities:
        assert not entity.model.objects.filter(created_at__gt=now).exists(), entity.name
    assert not Task.objects.filter(completed_at__gt=now).exists()
    closed = Opportunity.objects.exclude(status="open")
    assert not closed.filter(actual_close_date__gt=now.date()).exists()
    assert len(set(closed.values_list("actual_close_date", flat=True))) > 1


def test_the_leads_of_a_year_are_in_every_state(seed):
    seed(seed=1)
    counts = Lead.objects.statistics()["by_status"]
    assert sum(count > 0 for count in counts.values()) >= 7, counts
    decided = sum(counts[status] for status in ("converted", "unqualified", "lost"))
    assert 0.3 < decided / 60 < 0.7
    assert counts["converted"] < decided / 2


def test_no_workflow_is_asked_to_run_for_demo_data(seed):
    seed()
    records = Outbox.objects.filter(entity__in=("lead", "contact", "company", "opportunity", "task"))
    assert set(records.values_list("automation", flat=True)) == {False}


def test_known_passwords_are_for_development_only(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="known password"):
        call_command("seed_demo")
    assert not User.objects.exists()


def test_demo_workflows_are_valid_at_work_and_run_at_once_for_some_leads(seed, settle, mailoutbox, admin):
    seed()
    names = set(Workflow.objects.filter(status="active").values_list("name", flat=True))
    assert names == {"Welcome website leads", "Chase overdue tasks", "Thank for won deals"}
    for row in admin.get("/api/v1/workflows/").json()["results"]:
        same = {name: row[name] for name in ("trigger_type", "trigger_conditions", "actions")}
        assert admin.patch(f"/api/v1/workflows/{row['id']}/", same).status_code == 200
    runs = settle()
    # How many of the leads are for it is up to the demo's dice, and the day they are thrown.
    assert 1 <= len(runs) <= WELCOMED
    assert [(run.status, run.error) for run in runs] == [("completed", "")] * len(runs)
    mailing.send_due()
    assert len(mailoutbox) == len(runs)
    welcomed = Lead.objects.filter(pk__in=[run.object_id for run in runs])
    assert {lead.assigned_to.role for lead in welcomed} == {"rep"}
    assert {task.title for task in Task.objects.filter(lead__in=welcomed)} >= {
        f"Follow up with {lead.first_name}" for lead in welcomed
    }


def test_a_new_lead_is_welcomed_but_nobody_outside_is_written_to(seed, settle, mailoutbox, admin):
    seed()
    settle()
    mailing.send_due()
    mailoutbox.clear()
    for address in ("ada@navy.example", "john@example.com", "someone@gmail.com"):
        body = {"first_name": "New", "email": address, "lead_source": "website"}
        assert admin.post("/api/v1/leads/", body).status_code == 201
    settle()
    mailing.send_due()
    assert [mail.to for mail in mailoutbox] == [["ada@navy.example"]]


def test_the_demo_webhook_is_off_and_a_second_seed_makes_no_second_of_anything(seed):
    seed()
    seed()
    assert [(w.is_enabled, w.events) for w in WebhookSubscription.objects.all()] == [
        (False, ["opportunity.won"])
    ]
    assert Workflow.objects.count() == 3


def test_a_won_deal_makes_a_task_and_a_late_one_is_reported(seed, settle, admin, rep):
    seed()
    settle()
    deal = admin.post("/api/v1/opportunities/", {"name": "Big deal", "assigned_to": rep.pk}).json()
    due = (timezone.now() + timedelta(seconds=1)).isoformat()
    admin.post("/api/v1/tasks/", {"title": "Late", "due_date": due, "assigned_to": rep.pk})
    won = admin.patch(f"/api/v1/opportunities/{deal['id']}/", {"stage": "closed_won"})
    assert won.status_code == 200
    Workflow.objects.update(swept_until=timezone.now())
    time.sleep(1.1)
    sweeps.sweep()
    settle()
    notified = Notification.objects.filter(type="workflow", recipient=rep).values_list("title", flat=True)
    assert Task.objects.filter(title="Thank for Big deal").count() == 1
    assert any(title.startswith("Late is overdue since") for title in notified)


def test_what_it_makes_comes_in_again_as_it_went_out(seed, admin_user):
    seed()
    for entity in entities:
        text = b"".join(stream(export_of(entity, {}, admin_user), "default"))
        asked = parse({"duplicates": "update"})
        made = plan(entity, open_table(io.BytesIO(text), asked.reading), asked, admin_user)
        with audit_context(admin_user, source="import"):
            figures = Import(made).run().figures()
        assert (entity.name, figures["unchanged"]) == (entity.name, figures["read"])
