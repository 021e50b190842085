"""Dry runs that write nothing, backtests that name what would have run, reruns and retries."""

import random
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.db import DatabaseError
from django.utils import timezone

from core.accounts.models import User
from core.accounts.tests.factories import TeamFactory
from core.changes.models import Change
from core.mail.tests.factories import EmailTemplateFactory
from core.tests.receiver import receiver
from core.workflows import preview
from core.workflows.actions import Action, StepResult, actions
from core.workflows.actions.base import StepRefusedError
from core.workflows.models import WorkflowExecution, WorkflowStep
from core.workflows.readers import RunReader
from lead_management.models import Lead

pytestmark = pytest.mark.django_db


def draft(admin, given_actions, trigger="record_created", conditions=None, **settings):
    body = {
        "name": "Draft",
        "trigger_type": trigger,
        "trigger_conditions": {"model": "lead", "conditions": conditions or {}, **settings},
        "actions": [{"type": kind, "params": params} for kind, params in given_actions],
    }
    response = admin.post("/api/v1/workflows/", body)
    assert response.status_code == 201, response.json()
    assert response.json()["status"] == "draft"
    return response.json()["id"]


def counts():
    """Rows of every table."""
    return {model._meta.label: model.objects.count() for model in apps.get_models(include_auto_created=True)}


# -- dry runs


def every_action(peer, rep, team):
    """Each action there is, and what a dry run says that it would do with the lead below."""
    deal = {"name": "Deal of {{ lead.first_name }}"}
    return [
        (
            "send_email",
            {"template_id": "hello", "to": "{{ lead.email }}"},
            {"subject": "Hi Grace", "to": ["g@x.example"]},
        ),
        ("send_notification", {"message": "See {{ lead.first_name }}"}, {"message": "See Grace"}),
        (
            "create_task",
            {"title": "Ring {{ lead.first_name }}", "due_days": 2},
            {"title": "Ring Grace", "due_days": 2},
        ),
        ("update_field", {"field": "city", "value": "{{ lead.state }}"}, {"field": "city", "value": "CA"}),
        ("assign_record", {"user_id": rep.pk}, {"user_id": rep.pk}),
        ("assign_record", {"team_id": team.pk, "method": "least_busy"}, {"team_id": team.pk}),
        (
            "create_record",
            {"model": "opportunity", "fields": deal},
            {"model": "opportunity", "fields": {"name": "Deal of Grace"}},
        ),
        ("add_comment", {"body": "By {{ lead.first_name }}"}, {"body": "By Grace"}),
        ("add_tag", {"tag": "a"}, {"tag": ["a"]}),
        ("remove_tag", {"tag": "b"}, {"tag": ["b"]}),
        (
            "webhook",
            {"url": peer.url("/{{ lead.state }}"), "body": {"n": "{{ lead.call_attempts }}"}},
            {"url": peer.url("/CA"), "body": '{"n":2}', "method": "POST"},
        ),
        ("wait", {"until": "2031-01-01T00:00:00Z"}, {"until": "2031-01-01T00:00:00+00:00"}),
        (
            "branch",
            {
                "conditions": {"state": "CA"},
                "then": [{"type": "add_tag", "params": {"tag": "yes"}}],
                "else": [{"type": "add_tag", "params": {"tag": "no"}}],
            },
            {"met": True},
        ),
        ("add_tag", None, {"tag": ["yes"]}),
        ("convert_lead", {}, {}),
        ("stop", {"reason": "end"}, {"reason": "end"}),
    ]


def test_a_dry_run_shows_what_each_action_would_do_and_writes_nothing(
    admin, make_lead, make_user, settings, mailoutbox
):

    EmailTemplateFactory(key="hello", name="Hello", subject="Hi {{ lead.first_name }}", text="x")
    team = TeamFactory(name="West")
    rep = make_user("rep", team=team)
    with receiver() as peer:
        settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": [peer.host]}
        wanted = every_action(peer, rep, team)
        assert {kind for kind, *_ in wanted} == set(actions.keys())
        given = [(kind, params) for kind, params, _ in wanted if params is not None]
        pk = draft(admin, given, conditions={"state": "CA", "city": "Oslo"})
        lead = make_lead(email="g@x.example", state="CA", city="Oslo", call_attempts=2)
        before = counts()
        answer = admin.post(f"/api/v1/workflows/{pk}/test/", {"lead_id": lead.pk}).json()
        assert counts() == before
        assert (peer.connects, mailoutbox) == (0, [])
    assert answer["would_run"] is True
    assert answer["conditions"] == [
        {"condition": {"city": "Oslo"}, "met": True},
        {"condition": {"state": "CA"}, "met": True},
    ]
    shown = answer["actions"]
    assert [action["type"] for action in shown] == [kind for kind, *_ in wanted]
    for action, (_, _, expected) in zip(shown, wanted, strict=True):
        assert {name: action["would"].get(name) for name in expected} == expected, action


def test_a_dry_run_says_which_condition_is_not_met_and_which_action_would_fail(admin, make_lead):
    mail = ("send_email", {"subject": "x", "body": "y", "to": "{{ lead.email }}"})
    pk = draft(admin, [mail, ("add_tag", {"tag": "x"})], conditions={"city": "Oslo", "state": "CA"})
    lead = make_lead(email="", city="Rome", state="CA")
    answer = admin.post(f"/api/v1/workflows/{pk}/test/", {"lead_id": lead.pk}).json()
    assert answer["would_run"] is False
    assert [part["met"] for part in answer["conditions"]] == [False, True]
    assert [(a["type"], a["error"]) for a in answer["actions"]] == [
        ("send_email", "There is nobody to send it to.")
    ]


def test_an_action_that_writes_in_a_dry_run_is_refused_by_the_database(make_workflow, make_lead):
    class Sly(Action):
        name = "sly"

        def preview(self, step):
            Lead.objects.filter(pk=step.run.object_id).update(city="written")
            return {}

    actions.register("sly", Sly())
    try:
        workflow, lead = make_workflow([("sly", {})]), make_lead()
        given = {n: getattr(workflow, n) for n in ("trigger_type", "trigger_conditions", "actions")}
        with pytest.raises(DatabaseError, match="read-only transaction"):
            preview.dry_run(workflow, given, lead.pk, None, reader=RunReader(None))
    finally:
        del actions._items["sly"]
    lead.refresh_from_db()
    assert lead.city == ""


# -- backtests


@pytest.mark.parametrize(
    ("trigger", "settings", "conditions"),
    [
        ("record_created", {}, {"city": "Oslo"}),
        ("record_updated", {}, {}),
        (
            "record_updated",
            {},
            {"any": [{"field": "city", "value": "Oslo"}, {"field": "status", "value": "nurturing"}]},
        ),
        ("record_updated", {}, {"field": "status", "op": "changed_to", "value": "qualified"}),
        ("status_changed", {"to": "contacted"}, {"city": "Oslo"}),
        ("field_changed", {"field": "city", "from": "Oslo"}, {"not": {"field": "status", "value": "new"}}),
        ("record_deleted", {}, {"city": "Oslo"}),
    ],
)
def test_a_backtest_names_just_the_changes_that_a_live_workflow_ran_for(
    admin, make_workflow, make_lead, change, settle, trigger, settings, conditions
):
    """A live workflow runs along while records change at random; a draft of it is then asked of the past."""
    dice = random.Random(5)  # noqa: S311
    live = make_workflow([("stop", {})], trigger=trigger, settings=settings, conditions=conditions)
    leads = []
    for _ in range(60):
        values = {
            "city": dice.choice(["Oslo", "Rome"]),
            "status": dice.choice(["new", "contacted", "qualified", "nurturing"]),
        }
        deed = dice.random()
        if len(leads) < 4 or deed < 0.2:
            leads.append(make_lead(city=values["city"]))
        elif deed < 0.3:
            leads.pop(dice.randrange(len(leads))).delete()
        else:
            change(dice.choice(leads), **{name: values[name] for name in dice.sample(sorted(values), 1)})
        settle()
    runs = WorkflowExecution.objects.filter(workflow=live)
    ran = list(runs.order_by("-change_id").values_list("change_id", "object_id"))
    assert ran, "the dice were kind to this case"
    pk = draft(admin, [("stop", {})], trigger, conditions, **settings)
    answer = admin.post(f"/api/v1/workflows/{pk}/backtest/", {"days": 1}).json()
    assert (answer["runs"], answer["records"]) == (len(ran), len({pk for _, pk in ran}))
    assert [(e["change_id"], e["object_id"]) for e in answer["examples"]] == ran[:10]
    assert sum(answer["by_day"].values()) == len(ran)


def test_a_backtest_counts_days_where_the_user_is(admin, admin_user, make_lead):
    User.objects.filter(pk=admin_user.pk).update(time_zone="Pacific/Kiritimati")
    pk = draft(admin, [("stop", {})])
    make_lead(first_name="Ada")
    answer = admin.post(f"/api/v1/workflows/{pk}/backtest/", {"days": 1}).json()
    made = Change.objects.filter(entity="lead").latest("id").at
    assert answer["by_day"] == {made.astimezone(ZoneInfo("Pacific/Kiritimati")).date().isoformat(): 1}
    User.objects.filter(pk=admin_user.pk).update(time_zone="Pacific/Pago_Pago")
    answer = admin.post(f"/api/v1/workflows/{pk}/backtest/", {"days": 1}).json()
    assert answer["by_day"] == {made.astimezone(ZoneInfo("Pacific/Pago_Pago")).date().isoformat(): 1}


def test_a_backtest_shows_what_would_have_been_done_and_does_nothing(admin, make_lead):
    pk = draft(admin, [("add_comment", {"body": "Hello {{ lead.first_name }}"})])
    make_lead(first_name="Ada")
    before = counts()
    answer = admin.post(f"/api/v1/workflows/{pk}/backtest/").json()
    assert counts() == before
    assert answer["examples"][0]["actions"][0]["would"] == {"body": "Hello Ada"}


def test_only_what_changes_start_can_be_asked_of_the_past(admin):
    pk = draft(admin, [("stop", {})], "manual")
    assert admin.post(f"/api/v1/workflows/{pk}/backtest/").status_code == 409


# -- retries and reruns


@pytest.fixture
def breaks():
    """An action that refuses while `breaks.broken`."""

    class Breaks(Action):
        name = "breaks"
        broken = True

        def run(self, step):
            if type(self).broken:
                raise StepRefusedError("Broken.")
            return StepResult({})

    actions.register("breaks", Breaks())
    yield Breaks
    del actions._items["breaks"]


def test_a_retry_goes_on_from_the_step_that_failed(admin, make_workflow, make_lead, settle, breaks):
    make_workflow([("add_comment", {"body": "one"}), ("breaks", {}), ("add_comment", {"body": "three"})])
    make_lead()
    run = settle()[0]
    url = f"/api/v1/executions/{run.pk}/"
    assert [(s["type"], s["status"]) for s in admin.get(url).json()["steps"]] == [
        ("add_comment", "completed"),
        ("breaks", "failed"),
    ]
    breaks.broken = False
    assert admin.post(f"{url}retry/").json()["status"] == "queued"
    assert admin.post(f"{url}retry/").status_code == 409
    settle()
    shown = admin.get(url).json()
    assert shown["status"] == "completed"
    assert [(s["type"], s["status"], s["attempts"]) for s in shown["steps"]] == [
        ("add_comment", "completed", 1),
        ("breaks", "completed", 1),
        ("add_comment", "completed", 1),
    ]
    bodies = [c["body"] for c in admin.get("/api/v1/comments/", {"lead": run.object_id}).json()["results"]]
    assert sorted(bodies) == ["one", "three"]


def test_a_rerun_is_a_new_run_of_the_present_version_that_names_the_old_one(
    admin, make_workflow, make_lead, settle
):
    workflow = make_workflow([("add_tag", {"tag": "old"})])
    lead = make_lead()
    old = settle()[0]
    workflow.actions = [{"type": "add_tag", "params": {"tag": "new"}}]
    workflow.save()
    made = admin.post(f"/api/v1/executions/{old.pk}/rerun/")
    assert made.status_code == 201
    settle()
    shown = admin.get(f"/api/v1/executions/{made.json()['id']}/").json()
    assert (shown["retry_of"], shown["version"], shown["status"]) == (old.pk, 2, "completed")
    assert (shown["object_id"], shown["change_id"]) == (lead.pk, old.change_id)
    old.refresh_from_db()
    assert (old.status, old.version.number) == ("completed", 1)
    lead.refresh_from_db()
    assert lead.tags == ["old", "new"]
    admin.post(f"/api/v1/workflows/{workflow.pk}/pause/")
    assert admin.post(f"/api/v1/executions/{old.pk}/rerun/").status_code == 409


def test_a_bulk_retry_takes_the_failed_runs_it_names_and_no_others(
    admin, make_workflow, make_lead, settle, breaks
):
    broken = make_workflow([("breaks", {})], name="Broken")
    make_workflow([("add_tag", {"tag": "x"}), ("breaks", {})], name="Other")
    for _ in range(3):
        make_lead()
    settle()
    oldest = WorkflowExecution.objects.filter(workflow=broken).earliest("pk")
    WorkflowExecution.objects.filter(pk=oldest.pk).update(created_at=timezone.now() - timedelta(days=9))
    breaks.broken = False
    since = (timezone.now() - timedelta(days=1)).isoformat()
    asked = {"workflow": broken.pk, "created_after": since}
    assert admin.post("/api/v1/executions/bulk_retry/", asked).json() == {"retried": 2}
    assert admin.post("/api/v1/executions/bulk_retry/", {}).status_code == 400
    settle()
    states = WorkflowExecution.objects.order_by("pk").values_list("workflow__name", "status")
    assert sorted(states) == [
        ("Broken", "completed"),
        ("Broken", "completed"),
        ("Broken", "failed"),
        *[("Other", "failed")] * 3,
    ]
    assert WorkflowStep.objects.filter(type="add_tag").count() == 3


def test_after_a_bulk_retry_of_everything_nothing_is_failed(admin, make_workflow, make_lead, settle, breaks):
    make_workflow([("breaks", {})])
    for _ in range(3):
        make_lead()
    settle()
    breaks.broken = False
    assert admin.post("/api/v1/executions/bulk_retry/", {"status": "failed"}).json() == {"retried": 3}
    assert [run.status for run in settle()] == ["completed"] * 3
