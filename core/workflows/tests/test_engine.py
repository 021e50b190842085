"""Runs, where one connection is enough: atomic, once, retried, waiting, pinned, limited, in order."""

import json
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from core import retention
from core.accounts.tests.factories import TeamFactory
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.errors import ConflictError
from core.notifications.models import Notification
from core.workflows import claiming, engine, matching, operations, stepping, sweeps
from core.workflows.actions import Action, StepResult, actions
from core.workflows.actions.base import StepRefusedError, TemporaryError
from core.workflows.models import Workflow, WorkflowExecution, WorkflowStep, WorkflowVersion
from core.workflows.stepping import Worker
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
TAG = ("add_tag", {"tag": "seen"})


def runs():
    return list(WorkflowExecution.objects.order_by("id"))


def hasten():
    """Whatever waits is due."""
    WorkflowExecution.objects.filter(status="waiting").update(due_at=timezone.now() - timedelta(seconds=1))


@pytest.fixture
def fault():
    """An action that does what the test says: `fault.acts` holds errors to raise, in turn; None does well."""

    class Fault(Action):
        name = "fault"
        acts = []
        calls = 0

        def run(self, step):
            type(self).calls += 1
            Lead.objects.filter(pk=step.run.object_id).update(notes="touched")
            error = type(self).acts.pop(0) if type(self).acts else None
            if error:
                raise error
            return StepResult({"call": type(self).calls})

    actions.register("fault", Fault())
    yield Fault
    del actions._items["fault"]


# -- atomic and once


def test_a_change_that_is_rolled_back_starts_nothing(make_workflow, make_lead, settle):
    make_workflow([TAG])
    with transaction.atomic():
        make_lead()
        transaction.set_rollback(True)
    assert settle() == []


def test_a_change_from_any_door_starts_a_run(make_workflow, settle):
    make_workflow([TAG])
    Lead.objects.create(first_name="ORM")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO lead_management_lead (first_name) VALUES ('SQL'), ('Two')")
    assert [run.status for run in settle()] == ["completed"] * 3
    assert Lead.objects.filter(tags__contains=["seen"]).count() == 3


def test_the_same_change_delivered_twenty_times_starts_one_run(make_workflow, make_lead, settle):
    make_workflow([TAG])
    make_lead()
    ids = list(Change.objects.filter(entity="lead").values_list("pk", flat=True))
    from core.changes import ChangeBatch

    for _ in range(20):
        matching.consume(ChangeBatch("lead", True, ids))
    assert [run.status for run in settle()] == ["completed"]


def test_writers_who_ask_for_no_automation_get_none(make_workflow, admin_user, settle):
    from core.changes import audit_context

    make_workflow([TAG])
    with audit_context(admin_user, automation=False):
        LeadFactory(first_name="Quiet")
    assert settle() == []


# -- which changes


@pytest.mark.parametrize(
    ("trigger", "settings", "conditions", "expected"),
    [
        ("record_updated", {}, {}, 2),
        ("record_updated", {}, {"status": "qualified"}, 2),
        ("record_updated", {}, {"field": "status", "op": "changed_to", "value": "qualified"}, 1),
        (
            "record_updated",
            {},
            {"any": [{"field": "city", "op": "changed"}, {"field": "status", "value": "lost"}]},
            1,
        ),
        ("record_updated", {}, {"not": {"field": "city", "op": "changed"}}, 1),
        ("field_changed", {"field": "city"}, {}, 1),
        ("field_changed", {"field": "city", "to": "Rome"}, {}, 0),
        ("field_changed", {"field": "city", "from": "", "to": "Oslo"}, {}, 1),
        ("status_changed", {"from": "new", "to": "qualified"}, {}, 1),
        ("status_changed", {"from": "contacted"}, {}, 0),
        ("record_created", {}, {}, 0),
    ],
)
def test_triggers_and_conditions_choose_the_changes(
    make_workflow, make_lead, change, settle, trigger, settings, conditions, expected
):
    lead = make_lead()
    dispatch()
    make_workflow([("add_comment", {"body": "x"})], trigger=trigger, settings=settings, conditions=conditions)
    change(lead, status="qualified")
    change(lead, city="Oslo")
    assert len(settle()) == expected


def test_archived_and_deleted_records_are_judged_by_what_they_last_were(make_workflow, make_lead, settle):
    make_workflow(
        [("send_notification", {"message": "Lost {{ lead.first_name }} of {{ lead.city }}"})],
        trigger="record_deleted",
        conditions={"city": "Oslo"},
    )
    make_lead(first_name="A", city="Oslo")
    make_lead(first_name="B", city="Rome")
    Lead.objects.filter(first_name="A").delete()
    Lead.objects.filter(first_name="B").delete()
    assert [(r.status, r.error) for r in settle()] == [("completed", "")]
    assert Notification.objects.get(type="workflow").title == "Lost A of Oslo"


def test_a_number_that_stands_alone_in_a_text_is_text(make_workflow, make_lead, settle):
    make_workflow([("send_notification", {"message": "{{ lead.lead_score }}", "title": "{{ lead.id }}"})])
    lead = make_lead()
    assert [(r.status, r.error) for r in settle()] == [("completed", "")]
    assert Notification.objects.get(type="workflow").title == str(lead.pk)


def test_what_apps_bring_triggers_too(make_workflow, make_lead, settle, admin):
    for trigger, settings in (("lead_converted", {}), ("score_crossed", {"threshold": 70})):
        make_workflow(
            [("send_notification", {"message": trigger})], trigger=trigger, settings=settings, name=trigger
        )
    make_workflow([("send_notification", {"message": "done"})], "task_completed", model="task", name="done")
    lead = make_lead(company_name="Navy")
    Lead.objects.filter(pk=lead.pk).update(lead_score=69)
    Lead.objects.filter(pk=lead.pk).update(lead_score=71)
    Lead.objects.filter(pk=lead.pk).update(lead_score=99)
    task = admin.post("/api/v1/tasks/", {"title": "Ring", "lead": lead.pk}).json()
    assert admin.post(f"/api/v1/leads/{lead.pk}/convert/", {}).status_code < 300
    assert admin.post(f"/api/v1/tasks/{task['id']}/complete/", {}).status_code < 300
    assert sorted(r.workflow.name for r in settle()) == ["done", "lead_converted", "score_crossed"]


# -- steps, retries, dead letters


def test_a_failed_step_leaves_no_effect_and_goes_on_where_it_failed(make_workflow, make_lead, settle, fault):
    fault.acts = [TemporaryError("not now"), None]
    make_workflow([TAG, ("fault", {}), ("add_comment", {"body": "after"})])
    lead = make_lead()
    run = settle()[0]
    lead.refresh_from_db()
    assert (run.status, run.attempt, run.error) == ("waiting", 1, "not now")
    assert (lead.tags, lead.notes) == (["seen"], "")
    assert timedelta(seconds=7) < run.due_at - timezone.now() < timedelta(seconds=12)
    assert [(s.type, s.status, s.attempts) for s in run.steps.all()] == [
        ("add_tag", "completed", 1),
        ("fault", "retrying", 1),
    ]
    hasten()
    run = settle()[0]
    lead.refresh_from_db()
    assert (run.status, fault.calls, lead.notes) == ("completed", 2, "touched")
    assert [(s.type, s.status, s.attempts) for s in run.steps.all()] == [
        ("add_tag", "completed", 1),
        ("fault", "completed", 2),
        ("add_comment", "completed", 1),
    ]
    assert Change.objects.filter(entity="lead", changes__has_key="tags").count() == 1


def test_after_five_attempts_a_run_is_dead_and_its_owner_notified_once(
    make_workflow, make_lead, settle, fault, admin_user
):
    fault.acts = [RuntimeError("bug")] * 10
    make_workflow([("fault", {})])
    make_lead()
    make_lead()
    for _ in range(6):
        settle()
        hasten()
    assert [(run.status, run.attempt) for run in runs()] == [("dead", 5), ("dead", 5)]
    assert runs()[0].error == "Unexpected fault in the action: RuntimeError."
    notified = Notification.objects.filter(type="workflow_failed")
    assert [n.recipient for n in notified] == [admin_user]


def test_what_cannot_succeed_is_not_tried_again_and_can_be_retried_by_hand(
    make_workflow, make_lead, settle, fault
):
    fault.acts = [StepRefusedError("no")]
    make_workflow([TAG, ("fault", {})])
    make_lead()
    run = settle()[0]
    assert (run.status, run.error_code, fault.calls) == ("failed", "refused", 1)
    operations.retry(run)
    with pytest.raises(ConflictError):
        operations.retry(run)
    run = settle()[0]
    assert (run.status, fault.calls) == ("completed", 2)
    assert [s.attempts for s in run.steps.all()] == [1, 1]


def test_a_worker_that_lost_its_lease_writes_nothing(make_workflow, make_lead, fault):
    """The zombie comes back after another has taken over."""
    make_workflow([("fault", {}), ("add_comment", {"body": "x"})])
    make_lead()
    dispatch()
    zombie = claiming.claim("zombie")
    WorkflowExecution.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    successor = claiming.claim("successor")
    assert [c.run_id for c in zombie] == [c.run_id for c in successor]
    Worker(zombie[0]).work()
    assert (fault.calls, WorkflowStep.objects.count()) == (0, 0)
    Worker(successor[0]).work()
    Worker(zombie[0]).work()
    assert fault.calls == 1
    assert [(r.status, r.lost_leases) for r in runs()] == [("completed", 0)]


def test_a_lease_lost_in_mid_step_takes_its_effects_back(make_workflow, make_lead, monkeypatch):
    make_workflow([TAG])
    lead = make_lead()
    dispatch()
    claim = claiming.claim("first")[0]
    original = stepping.record

    def stolen(*args):
        WorkflowExecution.objects.update(fence=99)
        original(*args)

    monkeypatch.setattr(stepping, "record", stolen)
    Worker(claim).work()
    lead.refresh_from_db()
    assert lead.tags == []
    assert WorkflowStep.objects.count() == 0


# -- waits


def test_a_wait_is_a_row_and_never_early(make_workflow, make_lead, settle):
    make_workflow([("wait", {"days": 90}), TAG])
    lead = make_lead()
    run = settle()[0]
    assert (run.status, run.in_line) == ("waiting", False)
    assert timedelta(days=89.9) < run.due_at - timezone.now() <= timedelta(days=90)
    assert [s.status for s in run.steps.all()] == ["waiting"]
    hasten()
    assert settle()[0].status == "completed"
    lead.refresh_from_db()
    assert lead.tags == ["seen"]
    assert [(s.type, s.status) for s in run.steps.all()] == [("wait", "completed"), ("add_tag", "completed")]


def test_waiting_until_a_date_of_the_record_and_for_working_hours(make_workflow, make_lead, settle):
    make_workflow([("wait", {"until_field": "next_follow_up_at", "hours": 1}), TAG])
    make_workflow(
        [("wait", {"until": "2030-06-01T20:00:00Z", "business_hours": {"time_zone": "Europe/Berlin"}})]
    )
    make_lead(next_follow_up_at="2030-01-01T10:00:00Z")
    due = sorted(run.due_at.isoformat() for run in settle())
    assert due == ["2030-01-01T11:00:00+00:00", "2030-06-03T07:00:00+00:00"]


def test_a_wait_beyond_the_calendar_says_so(make_workflow, make_lead, settle):
    make_workflow([("wait", {"until": "9999-12-31T00:00:00Z", "days": 30}), TAG])
    make_lead()
    [run] = settle()
    assert (run.status, run.error_code) == ("failed", "no_date")


def test_a_wait_that_has_passed_goes_on_at_once(make_workflow, make_lead, settle):
    make_workflow([("wait", {"until": "2020-01-01T00:00:00Z"}), TAG])
    make_lead()
    assert settle()[0].status == "completed"


# -- branches


@pytest.mark.parametrize(
    ("city", "expected"),
    [
        ("Oslo", ["branch", "branch", "add_tag", "add_comment"]),
        ("Rome", ["branch", "branch", "stop"]),
        ("Bonn", ["branch", "add_tag", "add_comment"]),
    ],
)
def test_branches_take_one_way_and_meet_again(make_workflow, make_lead, settle, city, expected):
    inner = {
        "conditions": {"city": "Oslo"},
        "then": [{"type": "add_tag", "params": {"tag": "north"}}],
        "else": [{"type": "stop", "params": {"reason": "south"}}],
    }
    outer = {
        "conditions": {"city": ["Oslo", "Rome"]},
        "then": [{"type": "branch", "params": inner}],
        "else": [{"type": "add_tag", "params": {"tag": "other"}}],
    }
    make_workflow([("branch", outer), ("add_comment", {"body": "met"})])
    make_lead(city=city)
    run = settle()[0]
    assert run.status == "completed"
    assert [s.type for s in run.steps.all()] == expected


# -- versions


def test_a_run_keeps_the_version_it_started_with(make_workflow, make_lead, settle):
    workflow = make_workflow([("wait", {"hours": 1}), ("add_tag", {"tag": "old"})])
    lead = make_lead()
    settle()
    Workflow.objects.filter(pk=workflow.pk).update(actions=[{"type": "add_tag", "params": {"tag": "new"}}])
    hasten()
    settle()
    lead.refresh_from_db()
    assert lead.tags == ["old"]
    assert [v.number for v in workflow.versions.all()] == [2, 1]
    assert runs()[0].version.number == 1


def test_a_version_cannot_be_changed(make_workflow):
    workflow = make_workflow([TAG])
    with pytest.raises(DatabaseError), transaction.atomic():
        WorkflowVersion.objects.filter(workflow=workflow).update(actions=[])


def test_a_change_that_is_none_makes_no_version(make_workflow):
    workflow = make_workflow([TAG])
    workflow.description = "words"
    workflow.save()
    workflow.refresh_from_db()
    assert (workflow.version, workflow.versions.count()) == (1, 1)


# -- limits


def test_a_workflow_that_starts_itself_is_stopped_and_named(
    make_workflow, make_lead, change, settle, admin_user
):
    make_workflow(
        [("update_field", {"field": "call_attempts", "value": "{{ lead.call_attempts | plus: 1 }}"})],
        trigger="record_updated",
        name="Self",
    )
    lead = make_lead()
    change(lead, city="Oslo")
    found = settle()
    assert [(r.status, r.error_code, r.depth) for r in found] == [
        ("completed", "", 0),
        ("stopped_limit", "cycle", 1),
    ]
    assert "Self → Self" in found[1].error
    lead.refresh_from_db()
    assert lead.call_attempts == 1
    assert Notification.objects.filter(type="workflow_failed", recipient=admin_user).count() == 1


def test_two_that_start_each_other_are_stopped_and_named_across_a_wait(
    make_workflow, make_lead, change, settle
):
    make_workflow(
        [("wait", {"hours": 1}), ("update_field", {"field": "city", "value": "A"})],
        "field_changed",
        settings={"field": "state"},
        name="A",
    )
    make_workflow(
        [("update_field", {"field": "state", "value": "{{ now }}"})],
        "field_changed",
        settings={"field": "city"},
        name="B",
    )
    lead = make_lead(city="Oslo")
    change(lead, state="x")
    for _ in range(6):
        settle()
        hasten()
    assert [(r.workflow.name, r.status) for r in runs()] == [
        ("A", "completed"),
        ("B", "completed"),
        ("A", "stopped_limit"),
    ]
    assert "A → B → A" in runs()[2].error


def test_a_chain_of_new_records_ends_at_its_depth(make_workflow, settle, admin):
    make_workflow(
        [("create_record", {"model": "task", "fields": {"title": "More"}})], model="task", name="More"
    )
    admin.post("/api/v1/tasks/", {"title": "First"})
    found = settle(60)
    assert [r.status for r in found] == ["completed"] * 9 + ["stopped_limit"]
    assert found[-1].error_code == "depth"
    assert [r.depth for r in found] == list(range(10))


def test_more_than_sixty_runs_on_a_record_in_an_hour_are_stopped(make_workflow, make_lead, settle):
    make_workflow([("add_comment", {"body": "x"})], trigger="record_updated")
    lead = make_lead()
    for n in range(70):
        Lead.objects.filter(pk=lead.pk).update(call_attempts=n + 1)
    assert [r.status for r in settle()].count("completed") == 60
    assert {r.error_code for r in runs()[60:]} == {"rate"}


def test_a_run_ends_after_a_hundred_steps(make_workflow, make_lead, settle):
    make_workflow([TAG])
    make_lead()
    dispatch()
    WorkflowExecution.objects.update(steps_done=100)
    assert [(r.status, r.error_code) for r in settle()] == [("stopped_limit", "steps")]


# -- pause, cancel


def test_pausing_stops_new_runs_and_holds_those_under_way(make_workflow, make_lead, settle, admin):
    workflow = make_workflow([("wait", {"hours": 1}), TAG])
    make_lead()
    settle()
    assert admin.post(f"/api/v1/workflows/{workflow.pk}/pause/").json()["status"] == "paused"
    make_lead()
    hasten()
    assert [r.status for r in settle()] == ["held"]
    assert admin.post(f"/api/v1/workflows/{workflow.pk}/execute/", {}).status_code == 409
    admin.post(f"/api/v1/workflows/{workflow.pk}/resume/")
    assert [r.status for r in settle()] == ["completed"]


def test_a_cancelled_run_starts_no_further_step(make_workflow, make_lead, settle, admin):
    make_workflow([("wait", {"hours": 1}), TAG])
    lead = make_lead()
    run = settle()[0]
    assert admin.post(f"/api/v1/executions/{run.pk}/cancel/").json()["status"] == "cancelled"
    assert admin.post(f"/api/v1/executions/{run.pk}/cancel/").status_code == 409
    WorkflowExecution.objects.update(due_at=timezone.now())
    settle()
    lead.refresh_from_db()
    assert lead.tags == []
    assert [s.status for s in run.steps.all()] == ["cancelled"]


# -- order


def test_events_of_one_record_run_one_after_the_other_in_their_order(
    make_workflow, make_lead, change, settle
):
    make_workflow([("add_comment", {"body": "{{ lead.call_attempts }}"})], trigger="record_updated")
    leads = [make_lead(), make_lead()]
    for n in range(1, 4):
        for lead in leads:
            change(lead, call_attempts=n)
    dispatch()
    first = claiming.claim("one", limit=50)
    assert len(first) == 2, "the head of each line"
    assert claiming.claim("two", limit=50) == []
    for claim in first:
        Worker(claim).work()
    second = claiming.claim("two", limit=50)
    assert [c.run_id for c in second] == [r.pk for r in runs()[2:4]]


def test_one_that_is_tried_again_keeps_its_place(make_workflow, make_lead, change, settle, fault):
    fault.acts = [TemporaryError("later")]
    make_workflow([("fault", {})], trigger="status_changed")
    lead = make_lead()
    change(lead, status="contacted")
    change(lead, status="qualified")
    settle()
    assert [r.status for r in runs()] == ["waiting", "queued"]
    hasten()
    settle()
    assert [r.status for r in runs()] == ["completed", "completed"]
    assert runs()[0].finished_at < runs()[1].started_at


# -- rights


def test_a_run_has_the_rights_of_its_principal_when_it_runs(
    make_workflow, make_lead, make_user, settle, admin_user
):
    agent, other = make_user("rep"), make_user("rep")
    workflow = make_workflow([TAG], trigger="manual", run_as=agent)
    hidden = make_lead(owner=other.pk)
    seen = make_lead(owner=agent.pk)
    for lead in (hidden, seen):
        engine.queue_workflow(workflow, {"lead_id": lead.pk})
    assert [(r.status, r.error_code) for r in settle()] == [("failed", "not_found"), ("completed", "")]
    hidden.refresh_from_db()
    assert hidden.tags == []


def test_seen_but_not_to_be_changed_is_denied(make_workflow, make_lead, make_user, settle):

    team = TeamFactory(name="West")
    viewer, member = make_user("viewer", team=team), make_user("rep", team=team)
    workflow = make_workflow([TAG], trigger="manual", run_as=viewer)
    lead = make_lead(owner=member.pk)
    engine.queue_workflow(workflow, {"lead_id": lead.pk})
    run = settle()[0]
    assert (run.status, [s.status for s in run.steps.all()]) == ("failed", ["denied"])


def test_only_what_the_principal_sees_starts_a_run(make_workflow, make_lead, make_user, settle):
    agent, other = make_user("rep"), make_user("rep")
    make_workflow([TAG], run_as=agent)
    make_lead(owner=other.pk)
    mine = make_lead(owner=agent.pk)
    assert [(r.object_id, r.status) for r in settle()] == [(mine.pk, "completed")]


def test_runs_of_a_deactivated_principal_are_held_until_they_are_back(
    make_workflow, make_lead, make_user, settle
):
    agent = make_user("manager")
    make_workflow([TAG], run_as=agent)
    make_lead(owner=agent.pk)
    agent.is_active = False
    agent.save()
    assert [(r.status, r.error_code) for r in settle()] == [("held", "principal_inactive")]
    assert sweeps.sweep() == 0
    agent.is_active = True
    agent.save()
    assert sweeps.sweep() == 1
    assert [(r.status, r.error_code) for r in settle()] == [("completed", "")]


def test_nobody_being_back_lets_runs_of_a_paused_workflow_go_on(make_workflow, make_lead, settle):
    workflow = make_workflow([TAG])
    make_lead()
    dispatch()
    operations.pause(workflow)
    assert [(r.status, r.error_code) for r in settle()] == [("held", "paused")]
    assert sweeps.sweep() == 0


# -- history without secrets


def test_the_history_notifies_all_but_secrets(make_workflow, make_lead, settle, admin, settings):
    settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": ["127.0.0.1:9"]}
    given = {
        "name": "Hook",
        "trigger_type": "record_created",
        "trigger_conditions": {"model": "lead"},
        "status": "active",
        "actions": [
            {"type": "webhook", "params": {"url": "http://127.0.0.1:9/x", "secret": "canary-secret"}}
        ],
    }
    created = admin.post("/api/v1/workflows/", given)
    assert created.status_code == 201, created.json()
    assert created.json()["actions"][0]["params"]["secret"] == "********"
    make_lead()
    run = settle()[0]
    assert run.status == "completed"
    url = f"/api/v1/workflows/{created.json()['id']}/"
    shown = json.dumps(
        [admin.get(url).json(), admin.get(f"{url}executions/").json(), admin.get(f"{url}versions/").json()]
    )
    stored = json.dumps(list(WorkflowVersion.objects.values_list("actions", flat=True)))
    assert "canary-secret" not in shown + stored
    kept = admin.patch(url, {"actions": created.json()["actions"]}).json()
    assert kept["version"] == 1, "the mask stands for the secret that was there"


def test_history_past_its_time_is_forgotten(make_workflow, make_lead, settle):
    make_workflow([TAG])
    make_workflow([("wait", {"days": 900})])
    make_lead()
    settle()
    WorkflowExecution.objects.update(finished_at=timezone.now() - timedelta(days=91))
    assert retention.prune() == 1
    assert [(r.status, r.steps.count()) for r in runs()] == [("waiting", 1)]


# -- stuck is visible


def test_what_nobody_takes_up_is_visible(make_workflow, make_lead, client):
    make_workflow([TAG])
    make_lead()
    dispatch()
    assert client.get("/healthz").json()["checks"]["automation"] == "ok"
    WorkflowExecution.objects.update(due_at=timezone.now() - timedelta(seconds=90))
    body = client.get("/readyz").json()
    assert body["status"] == "degraded"
    assert 89 < body["automation"]["oldest_due_step_s"] < 100
    assert client.get("/healthz").json()["checks"]["automation"] == "late"
