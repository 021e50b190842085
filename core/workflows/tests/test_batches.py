"""Runs that are worked together: each read once, each on its own where one of them fails or kills."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from core.activities.models import Comment
from core.activities.tests.factories import CommentFactory
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.entities import entities
from core.notifications.models import Notification
from core.workflows import claiming, definition, engine, matching
from core.workflows.actions import Action, StepResult, actions
from core.workflows.actions.base import TemporaryError
from core.workflows.models import RoundRobinState, Workflow, WorkflowExecution, WorkflowStep, WorkflowVersion
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from tasks.models import Task

TAG = ("add_tag", {"tag": "seen"})


@pytest.fixture
def perform():
    """perform(function): the action "perform" calls it with each step."""

    class Perform(Action):
        name = "perform"

        def run(self, step):
            self.function(step)
            return StepResult()

    action = Perform()
    actions.register("perform", action)
    yield lambda function: setattr(action, "function", function)
    del actions._items["perform"]


def states():
    return list(WorkflowExecution.objects.order_by("id").values_list("status", "error_code"))


@pytest.mark.django_db
def test_one_that_fails_is_taken_back_and_holds_up_no_other(make_workflow, make_lead, perform):
    leads = [make_lead(first_name=name) for name in ("A", "B", "C")]

    def touch(step):
        Lead.objects.filter(pk=step.run.object_id).update(notes="touched")
        if step.run.object_id == leads[1].pk:
            raise TemporaryError("not now")

    perform(touch)
    dispatch()
    workflow = make_workflow([TAG, ("perform", {}), ("add_comment", {"body": "x"})], trigger="manual")
    for lead in leads:
        engine.queue_workflow(workflow, {"lead_id": lead.pk})
    assert engine.run_due() == 3
    assert states() == [("completed", ""), ("waiting", "temporary"), ("completed", "")]
    notes = Lead.objects.order_by("id").values_list("notes", "tags")
    assert list(notes) == [("touched", ["seen"]), ("", ["seen"]), ("touched", ["seen"])]
    steps = WorkflowStep.objects.order_by("execution_id", "position").values_list("type", "status")
    done = [("add_tag", "completed"), ("perform", "completed"), ("add_comment", "completed")]
    assert list(steps) == [*done, ("add_tag", "completed"), ("perform", "retrying"), *done]


@pytest.mark.django_db
def test_every_change_names_its_own_run(make_workflow, make_lead, settle):
    make_workflow([TAG, ("update_field", {"field": "city", "value": "{{ lead.first_name }}"})])
    for name in ("A", "B", "C"):
        make_lead(first_name=name)
    runs = settle()
    notified = Change.objects.filter(kind="updated", entity="lead").order_by("execution_id", "id")
    assert list(notified.values_list("execution_id", "object_id", "depth", "source")) == [
        (run.pk, run.object_id, 1, "workflow") for run in runs for _ in ("tag", "city")
    ]
    assert list(Lead.objects.order_by("id").values_list("city", flat=True)) == ["A", "B", "C"]


@pytest.mark.django_db
def test_runs_on_one_record_are_never_worked_together(make_workflow, make_lead, settle):
    """Both waited, so both are out of line; together they would read the same number and lose one."""
    counting = ("update_field", {"field": "call_attempts", "value": "{{ lead.call_attempts | plus: 1 }}"})
    workflow = make_workflow([("wait", {"hours": 1}), counting], trigger="manual")
    lead = make_lead()
    for _ in range(3):
        engine.queue_workflow(workflow, {"lead_id": lead.pk})
        settle()
    WorkflowExecution.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    batches = claiming.batches(claiming.claim("one"))
    assert [len(batch) for batch in batches] == [1, 1, 1]
    WorkflowExecution.objects.update(due_at=timezone.now() - timedelta(seconds=1), status="queued")
    settle()
    lead.refresh_from_db()
    assert lead.call_attempts == 3


@pytest.mark.django_db
def test_runs_part_at_a_branch_and_meet_behind_it(make_workflow, make_lead, settle):
    arms = {
        "conditions": {"city": "Oslo"},
        "then": [{"type": "add_tag", "params": {"tag": "north"}}],
        "else": [{"type": "add_tag", "params": {"tag": "south"}}],
    }
    make_workflow([("branch", arms), ("add_tag", {"tag": "met"})])
    for city in ("Oslo", "Rome", "Oslo"):
        make_lead(city=city)
    settle()
    tags = Lead.objects.order_by("id").values_list("tags", flat=True)
    assert list(tags) == [["north", "met"], ["south", "met"], ["north", "met"]]


@pytest.mark.django_db
def test_a_workflow_about_nothing_runs_about_whatever_record_is_named(make_workflow, make_lead, admin):
    workflow = make_workflow([("create_task", {"title": "Look"})], trigger="manual", model="")
    lead = make_lead()
    task = admin.post("/api/v1/tasks/", {"title": "First"}).json()
    for data in ({"lead_id": lead.pk}, {"task_id": task["id"]}, {}):
        engine.queue_workflow(workflow, data)
    engine.run_due()
    assert states() == [("completed", "")] * 3
    made = list(Task.objects.filter(title="Look").order_by("id").values_list("lead_id", flat=True))
    assert made == [lead.pk, None, None]


@pytest.mark.django_db
def test_round_robin_goes_round_within_one_transaction(make_workflow, make_lead, make_user, settle):
    users = [make_user("rep").pk for _ in range(3)]
    make_workflow([("assign_record", {"users": users, "method": "round_robin"})])
    for _ in range(6):
        make_lead()
    settle()
    assert list(Lead.objects.order_by("id").values_list("assigned_to_id", flat=True)) == users * 2
    assert RoundRobinState.objects.get().turn == 5


@pytest.mark.django_db(transaction=True)
def test_what_only_the_commit_refuses_is_found_and_the_others_go_on(make_workflow, make_lead, perform):
    """Foreign keys are looked at when the transaction ends, and then no savepoint helps."""
    leads = [make_lead() for _ in range(3)]

    def refer(step):
        if step.run.object_id == leads[1].pk:
            CommentFactory(record=leads[1], body="x", author_id=2**40)

    perform(refer)
    workflow = make_workflow([TAG, ("perform", {}), ("add_comment", {"body": "y"})], trigger="manual")
    for lead in leads:
        engine.queue_workflow(workflow, {"lead_id": lead.pk})
    engine.run_due()
    assert states() == [("completed", ""), ("waiting", "error"), ("completed", "")]
    assert Comment.objects.count() == 2
    failed = WorkflowStep.objects.exclude(status="completed").get()
    assert (failed.type, failed.status, failed.error) == (
        "perform", "retrying", "The database refused the step.",
    )  # fmt: skip
    assert Lead.objects.filter(tags=["seen"]).count() == 3


@pytest.mark.django_db
def test_a_role_that_was_taken_away_counts_from_the_next_transaction(
    make_workflow, make_lead, make_user, perform
):
    manager = make_user("manager")
    leads = [make_lead(owner=manager.pk) for _ in range(2)]
    workflow = make_workflow([("wait", {"hours": 1}), TAG], trigger="manual", run_as=manager)
    for lead in leads:
        engine.queue_workflow(workflow, {"lead_id": lead.pk})
    engine.run_due()
    manager.role = "viewer"
    manager.save()
    WorkflowExecution.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    engine.run_due()
    assert states() == [("failed", "permission_denied")] * 2
    assert Lead.objects.filter(tags=["seen"]).count() == 0


@pytest.mark.django_db
def test_three_steps_of_twenty_runs_take_few_statements(
    make_workflow, make_lead, django_assert_max_num_queries
):
    """What is read is read once for all; what is written is a statement or two for each run and step."""
    workflow = make_workflow(
        [
            ("update_field", {"field": "priority", "value": "urgent"}),
            ("create_task", {"title": "Ring {{ lead.first_name }}", "due_days": 2}),
            ("send_notification", {"message": "New: {{ lead.first_name }}"}),
        ],
        trigger="manual",
    )
    for _ in range(20):
        engine.queue_workflow(workflow, {"lead_id": make_lead().pk})
    assert Workflow.objects.count() == 1
    claims = claiming.claim("one")
    with django_assert_max_num_queries(20 * 17 + 80, connection=connection):
        engine.Worker(*claims).work()
    assert states() == [("completed", "")] * 20


@pytest.mark.django_db
def test_runs_whose_action_is_there_no_more_end_and_hold_up_no_other(make_workflow, make_lead, perform):
    perform(lambda step: None)
    broken, healthy = (make_workflow([action], trigger="manual") for action in (("perform", {}), TAG))
    lead = make_lead()
    dispatch()
    for workflow in (broken, healthy):
        engine.queue_workflow(workflow, {"lead_id": lead.pk})
    action = actions._items.pop("perform")
    definition._compiled.cache_clear()
    try:
        assert engine.run_due() == 2
    finally:
        actions._items["perform"] = action
    assert states() == [("failed", "workflow_broken"), ("completed", "")]
    assert claiming.claim("another") == []


@pytest.mark.django_db
def test_a_condition_that_nothing_meets_keeps_no_other_workflow_from_its_matches(make_workflow, make_lead):
    dispatch()
    made = make_lead()
    changes = list(Change.objects.filter(entity="lead", object_id=made.pk).values_list("pk", flat=True))
    make_workflow([TAG], trigger="record_created")
    version = WorkflowVersion.objects.get()
    asked = [
        matching.Candidate(version, Q(kind="created"), Q(pk__in=[])),
        matching.Candidate(version, Q(pk__in=[]), Q()),
        matching.Candidate(version, Q(kind="created"), Q(first_name=made.first_name)),
    ]
    assert matching.matched(entities["lead"], changes, asked) == [(asked[2], changes)]


@pytest.mark.django_db
@pytest.mark.parametrize("order", [("to", "from"), ("from", "to")])
def test_to_a_value_and_from_it_are_two_questions(make_workflow, make_lead, change, settle, order):
    tags = {name: [("add_tag", {"tag": name})] for name in order}
    for name, action in tags.items():
        make_workflow(action, trigger="status_changed", settings={name: "contacted"})
    lead = make_lead()
    settle()
    change(lead, status="contacted")
    settle()
    lead.refresh_from_db()
    assert lead.tags == ["to"]
    change(lead, status="qualified")
    settle()
    lead.refresh_from_db()
    assert sorted(lead.tags) == ["from", "to"]


def test_a_run_reads_no_record_that_its_principal_no_longer_sees(make_workflow, make_user, settle):
    manager = make_user("manager")
    message = {"message": "Secret: {{ lead.first_name }}", "to": "principal"}
    make_workflow([("send_notification", message)], run_as=manager)
    lead = LeadFactory(first_name="Grace", owner=manager)
    dispatch()
    assert WorkflowExecution.objects.get().status == "queued"
    Lead.objects.filter(pk=lead.pk).update(owner=make_user("rep"))
    (run,) = settle()
    assert (run.status, run.error_code) == ("failed", "not_found")
    assert not Notification.objects.filter(title__contains="Grace").exists()
