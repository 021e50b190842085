"""Workflows are made and changed in a form that says what their definition does, and loses nothing of it."""

from urllib.parse import urlencode

import pytest
from django.http import QueryDict

from contacts.tests.factories import CompanyFactory
from core.accounts.tests.factories import TeamFactory, UserFactory
from core.admin.tests.forms import filled_in
from core.mail.tests.factories import EmailTemplateFactory
from core.workflows.builder import drafts
from core.workflows.builder.drafts import definition_of, draft_of, placed
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.params import REFERRED

pytestmark = pytest.mark.django_db
ADD = "/admin/core/workflow/add/"


@pytest.fixture
def boss(client, admin_user):
    admin_user.is_staff = True
    admin_user.save()
    client.force_login(admin_user)
    return admin_user


def edit(workflow):
    return f"/admin/core/workflow/{workflow.pk}/edit/"


def pressed(client, url, page, do, **changes):
    """The answer to a button of the page, pressed after some inputs were changed."""
    return client.post(url, filled_in(page, do=[do], **changes))


def step(kind, **params):
    return {"type": kind, "params": params}


RICH = [
    step("add_tag", tag=["a", "b"]),
    step("update_field", field="city", value="{{ lead.state }}"),
    step("update_field", field="industry", value="Mining"),
    step("assign_record", team_id=1, method="least_busy"),
    step("send_notification", message="See {{ lead.first_name }}\nnow", to="owner"),
    step("wait", days=3, business_hours={"start": "08:00", "days": [1, 2], "time_zone": "Europe/Oslo"}),
    step("add_comment", body="One\n\nTwo\n"),
    step("add_comment", body="One\r\nTwo"),
    step("webhook", url="https://example.com/x", headers={"X-Key": "hush"}, body={"n": ["{{ lead.city }}"]}),
    step("create_record", model="opportunity", fields={"name": "Deal of {{ lead.last_name }}", "amount": 5}),
    step("create_record", model="task", fields={"title": "Call", "description": "One\nTwo"}),
    step(
        "branch",
        conditions={"any": [{"field": "lead_score", "op": "gte", "value": 70}, {"not": {"city": "Oslo"}}]},
        then=[step("stop", reason="hot")],
        **{"else": [step("branch", conditions={"city": "Bergen"}, then=[step("stop")])]},
    ),
]
CONDITIONS = {
    "all": [
        {"field": "status", "op": "in", "value": ["new", "contacted"]},
        {"field": "created_at", "op": "gte", "value": {"days": -7}},
        {"field": "created_at", "op": "within_last", "value": {"weeks": 2}},
        {"field": "lead_score", "op": "between", "value": [10, 90]},
        {"field": "owner.is_active", "op": "eq", "value": True},
        {
            "any": [
                {"field": "city", "op": "is_empty", "value": False},
                {"all": [{"city": "Oslo"}, {"state": "x"}]},
            ]
        },
    ]
}


def test_what_was_written_over_the_api_comes_back_as_it_was(client, boss, admin, settings):
    settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": ["example.com"]}
    team = TeamFactory()
    actions = [
        one | {"params": one["params"] | {"team_id": team.pk}} if "team_id" in one["params"] else one
        for one in RICH
    ]
    body = {
        "name": "Rich",
        "trigger_type": "field_changed",
        "trigger_conditions": {
            "model": "lead",
            "field": "status",
            "to": "qualified",
            "conditions": CONDITIONS,
        },
        "actions": actions,
    }
    made = admin.post("/api/v1/workflows/", body)
    assert made.status_code == 201, made.json()
    workflow = Workflow.objects.get(pk=made.json()["id"])
    stored = (workflow.trigger_conditions, workflow.actions)
    page = client.get(edit(workflow))
    assert page.status_code == 200
    assert "hush" not in page.content.decode()
    saved = pressed(client, edit(workflow), page, "save", description=["Told anew"])
    assert saved.status_code == 302, saved.context and (saved.context["faults"], saved.context["count"])
    workflow.refresh_from_db()
    assert (workflow.description, workflow.version) == ("Told anew", 1)
    assert (workflow.trigger_conditions, workflow.actions) == stored
    # One step changed leaves the others as they were written, secrets too.
    page = client.get(edit(workflow))
    saved = pressed(client, edit(workflow), page, "save", **{"actions.0.params.tag": ["c"]})
    assert saved.status_code == 302
    workflow.refresh_from_db()
    assert workflow.version == 2
    assert workflow.actions == [step("add_tag", tag="c"), *stored[1][1:]]
    assert workflow.trigger_conditions == stored[0]


@pytest.mark.parametrize(
    "definition",
    [
        {"trigger_type": "gone", "trigger_conditions": {"model": "lead", "x": 1}, "actions": [{"type": "x"}]},
        {"trigger_type": "record_created",
         "trigger_conditions": {"model": "lead", "conditions": {"not": {"a": 1}}},
         "actions": [step("add_tag", tag="x", beside=1)]},
        {"trigger_type": "manual", "trigger_conditions": {}, "actions": [step("wait", until={"a": 1})]},
    ],
)  # fmt: skip
def test_what_the_form_has_no_inputs_for_is_kept(admin_user, definition):
    assert definition_of(draft_of(definition, admin_user), admin_user) == {
        **definition,
        "trigger_conditions": definition["trigger_conditions"]
        | (
            {"conditions": {"all": [{"not": {"a": 1}}]}}
            if "conditions" in definition["trigger_conditions"]
            else {}
        ),
    }


def test_lines_stay_lines_where_something_else_of_the_step_changes(client, boss, make_workflow):
    made = {"model": "task", "fields": {"title": "Call", "description": "One\nTwo"}}
    workflow = make_workflow(
        [("create_record", made), ("send_notification", {"message": "A\nB", "to": "owner"})]
    )
    Workflow.objects.filter(pk=workflow.pk).update(description="One\nTwo")
    page = client.get(edit(workflow))
    names = {
        row["name"]: at
        for at, row in draft_of(
            {
                "trigger_type": workflow.trigger_type,
                "trigger_conditions": {"model": "lead"},
                "actions": workflow.actions,
            },
            boss,
        )["actions"]["0"]["params"]["fields"].items()
    }
    changes = {
        f"actions.0.params.fields.{names['title']}.value": ["Write"],
        "actions.1.params.to.pick": ["assignee"],
    }
    assert pressed(client, edit(workflow), page, "save", **changes).status_code == 302
    workflow.refresh_from_db()
    assert workflow.actions[0] == step(
        "create_record", model="task", fields=made["fields"] | {"title": "Write"}
    )
    assert (workflow.actions[1]["params"]["message"], workflow.description) == ("A\nB", "One\nTwo")


def test_ids_that_the_editor_does_not_see_are_kept(client, make_workflow, make_user):
    team = TeamFactory()
    manager, stranger = UserFactory(role="manager", is_staff=True, team=team), make_user("rep")
    seen, hidden = CompanyFactory(owner=manager), CompanyFactory(owner=stranger)
    given = [
        {"field": "company", "op": "in", "value": [seen.pk, hidden.pk]},
        {"field": "company", "op": "eq", "value": hidden.pk},
        {"field": "company", "op": "in", "value": [seen.pk]},
    ]
    workflow = make_workflow([("add_tag", {"tag": "x"})], conditions={"all": given}, run_as=manager)
    client.force_login(manager)
    page = client.get(edit(workflow))
    nodes = page.context["built"]["conditions"]["nodes"]
    assert [node["inputs"][0]["widget"] for node in nodes] == ["kept", "kept", "pick"]
    page = pressed(client, edit(workflow), page, "draw")
    draft = drafts.sent(QueryDict(urlencode(filled_in(page), doseq=True)))
    made = definition_of(draft, manager)["trigger_conditions"]["conditions"]
    assert made == {"all": given}
    saved = pressed(client, edit(workflow), page, "save", **{"actions.0.params.tag": ["y"]})
    assert saved.status_code == 302, (saved.context["faults"], saved.context["count"])
    workflow.refresh_from_db()
    assert (workflow.actions, workflow.trigger_conditions["conditions"]) == (
        [step("add_tag", tag="y")],
        {"all": given},
    )


def test_a_workflow_is_made_by_buttons_alone(client, boss, make_user):
    rep = make_user("rep")
    page = client.get(ADD)
    assert page.status_code == 200
    page = pressed(
        client, ADD, page, "draw", trigger_type=["status_changed"], model=["lead"], name=["Hot ones"]
    )
    page = pressed(client, ADD, page, "condition:conditions.items")
    page = pressed(client, ADD, page, "draw", **{"conditions.items.0.field": ["lead_score"]})
    page = pressed(client, ADD, page, "draw", **{"conditions.items.0.op": ["gte"]})
    page = pressed(client, ADD, page, "group:conditions.items", **{"conditions.items.0.value": ["70"]})
    page = pressed(client, ADD, page, "draw", **{"conditions.items.1.items.0.field": ["city"]})
    page = pressed(client, ADD, page, "step:actions", **{"conditions.items.1.items.0.value": ["Oslo"]})
    page = pressed(client, ADD, page, "draw", **{"actions.0.type": ["assign_record"]})
    page = pressed(client, ADD, page, "step:actions", **{"actions.0.params.user_id.pick": [str(rep.pk)]})
    page = pressed(client, ADD, page, "draw", **{"actions.1.type": ["branch"]})
    page = pressed(client, ADD, page, "condition:actions.1.conditions.items")
    page = pressed(client, ADD, page, "draw", **{"actions.1.conditions.items.0.field": ["lead_source"]})
    page = pressed(client, ADD, page, "draw", **{"actions.1.conditions.items.0.op": ["is_filled"]})
    page = pressed(client, ADD, page, "step:actions.1.else")
    page = pressed(client, ADD, page, "draw", **{"actions.1.else.0.type": ["update_field"]})
    page = pressed(client, ADD, page, "draw", **{"actions.1.else.0.params.field.pick": ["status"]})
    assert [
        one[0]
        for one in page.context["built"]["steps"]["steps"][1]["else"]["steps"][0]["inputs"][1]["options"]
    ][:2] == ["new", "contacted"]
    page = pressed(client, ADD, page, "draw", **{"actions.1.else.0.params.value.pick": ["contacted"]})
    page = pressed(client, ADD, page, "up:actions.1")
    assert Workflow.objects.count() == 0
    saved = pressed(client, ADD, page, "save", **{"settings.to.pick": ["qualified"]})
    assert saved.status_code == 302, (saved.context["faults"], saved.context["count"])
    workflow = Workflow.objects.get()
    assert (workflow.name, workflow.status, workflow.run_as, workflow.created_by) == (
        "Hot ones",
        "draft",
        boss,
        boss,
    )
    assert workflow.trigger_type == "status_changed"
    assert workflow.trigger_conditions == {
        "model": "lead",
        "to": "qualified",
        "conditions": {
            "all": [
                {"field": "lead_score", "op": "gte", "value": 70},
                {"any": [{"field": "city", "op": "eq", "value": "Oslo"}]},
            ]
        },
    }
    assert workflow.actions == [
        step(
            "branch",
            conditions={"all": [{"field": "lead_source", "op": "is_empty", "value": False}]},
            **{"else": [step("update_field", field="status", value="contacted")]},
        ),
        step("assign_record", user_id=rep.pk),
    ]


def faults(part):
    """Every fault that stands at an input, by its path."""
    if isinstance(part, dict):
        own = {part["path"]: part["errors"]} if part.get("errors") and "path" in part else {}
        return own | {path: texts for below in part.values() for path, texts in faults(below).items()}
    if isinstance(part, list):
        return {path: texts for below in part for path, texts in faults(below).items()}
    return {}


def test_a_fault_stands_where_it_was_made_and_nothing_is_saved(client, boss, make_workflow):
    branch = step(
        "branch",
        conditions={"city": "Oslo"},
        then=[step("add_comment", body="{{ lead.city }}"), step("stop")],
    )
    workflow = make_workflow([("send_email", {"to": "a@x.example", "subject": "s", "body": "b"})])
    workflow.actions = [*workflow.actions, branch]
    workflow.trigger_conditions = {
        "model": "lead",
        "conditions": {"all": [{"field": "lead_score", "value": 1}]},
    }
    workflow.save()
    page = client.get(edit(workflow))
    answer = pressed(
        client,
        edit(workflow),
        page,
        "save",
        **{
            "conditions.items.0.value": ["much"],
            "actions.0.params.to": ["nobody"],
            "actions.1.then.0.params.body": ["{{ lead.nonsense }}"],
        },
    )
    assert answer.status_code == 200
    found = faults(answer.context["built"])
    assert set(found) == {"conditions.items.0", "actions.0.params.to", "actions.1.then.0.params.body"}
    assert found["actions.0.params.to"] == ["Not an e-mail address: nobody."]
    assert (answer.context["faults"], answer.context["count"]) == ([], 3)
    before = workflow.actions
    workflow.refresh_from_db()
    assert (workflow.version, workflow.actions) == (2, before)
    answer = pressed(client, edit(workflow), page, "save", name=[""])
    assert faults(answer.context["built"]) == {"name": ["This field may not be blank."]}


def test_what_somebody_else_saved_meanwhile_is_not_overwritten(client, boss, make_workflow):
    workflow = make_workflow([("add_tag", {"tag": "x"})])
    page = client.get(edit(workflow))
    workflow.description = "Theirs"
    workflow.save()
    answer = pressed(client, edit(workflow), page, "save", description=["Mine"])
    assert answer.status_code == 412
    assert "Somebody else saved this workflow since you opened it." in answer.content.decode()
    workflow.refresh_from_db()
    assert (workflow.description, workflow.version) == ("Theirs", 1)


def test_a_workflow_is_tried_and_looked_back_before_it_is_saved(client, boss, make_workflow, make_lead):
    workflow = make_workflow([("add_tag", {"tag": "x"})], status="paused")
    lead = make_lead(city="Oslo")
    page = client.get(edit(workflow))
    changed = {"actions.0.params.tag": ["{{ lead.city }}"]}
    tried = pressed(client, edit(workflow), page, "try", entity=["lead"], record=[str(lead.pk)], **changed)
    assert [one["shown"] for one in tried.context["result"]["actions"]] == [[("Tag", "Oslo")]]
    past = pressed(client, edit(workflow), page, "backtest", days=["7"], **changed).context["past"]
    assert (past["runs"], past["days"], len(past["bars"])) == (1, 7, 8)
    assert past["bars"][-1].title.endswith(": 1 run")
    assert [one["steps"] for one in past["examples"]] == [[("Add tag", "Tag: Oslo")]]
    page = client.get(f"/admin/core/workflow/{workflow.pk}/backtest/?days=7")
    assert page.context["past"]["runs"] == 1
    workflow.refresh_from_db()
    lead.refresh_from_db()
    assert (workflow.version, lead.tags, WorkflowExecution.objects.count()) == (1, [], 0)
    new = pressed(client, ADD, client.get(ADD), "try", entity=["lead"], record=[str(lead.pk)])
    assert (new.context["count"] > 0, new.context.get("result")) == (True, None)


def test_who_may_write_automation_writes_it_here(client, make_workflow, make_user):
    team = TeamFactory()
    manager, rep = (
        UserFactory(role="manager", is_staff=True, team=team),
        UserFactory(is_staff=True, team=team),
    )
    theirs, own = (
        make_workflow([("add_tag", {"tag": "x"})]),
        make_workflow([("add_tag", {"tag": "x"})], run_as=rep),
    )
    client.force_login(manager)
    assert client.get(edit(theirs)).status_code in (403, 404)
    page = client.get(edit(own))
    boss_id = str(theirs.run_as_id)
    assert pressed(client, edit(own), page, "save", run_as=[boss_id]).context["count"] == 1
    own.refresh_from_db()
    assert own.run_as == rep
    assert pressed(client, edit(own), page, "save").status_code == 302
    own.refresh_from_db()
    assert own.run_as == manager
    client.force_login(rep)
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, {"do": "save", "name": "x"}).status_code == 403
    assert client.get(edit(own)).status_code in (403, 404)
    assert Workflow.objects.count() == 2


def test_an_inbound_webhook_gets_its_address_and_secret_once(client, boss):
    page = pressed(client, ADD, client.get(ADD), "draw", trigger_type=["inbound_webhook"], name=["In"])
    page = pressed(client, ADD, page, "step:actions")
    page = pressed(client, ADD, page, "draw", **{"actions.0.type": ["stop"]})
    answer = pressed(client, ADD, page, "save")
    workflow = Workflow.objects.get()
    assert workflow.hook_key
    assert answer.context["hook_url"].endswith(f"/hooks/{workflow.hook_key}/")
    assert answer.context["secret"] in answer.content.decode()
    assert answer.context["secret"] not in client.get(edit(workflow)).content.decode()


def test_a_hostile_form_is_answered_and_stores_nothing(client, boss, make_workflow):
    workflow = make_workflow([("add_tag", {"tag": "x"})])
    for sent in (
        {"actions.0": "x", "actions.0.type": "branch", "actions.x": "y", "do": "save"},
        {"actions.0.kept": "{", "conditions": "x", "conditions.items.0.kept": "[1", "do": "save"},
        {"settings.field.pick.a.b": "c", "model": "nothing", "trigger_type": "x", "do": "save"},
        {"do": "up:actions.0"},
        {"do": "remove:conditions.items.9"},
        {"do": "step:a.b.c.d"},
        {"actions.0.type": "branch", "actions.0.conditions": "a", "actions.0.then.0": "b", "do": "draw"},
        {"conditions.items.0.field": "lead_score", "conditions.items.0.value.low": "1", "do": "try"},
    ):
        assert client.post(edit(workflow), {"name": "x", **sent}).status_code in (200, 412), sent
        assert client.post(ADD, {"name": "x", **sent}).status_code == 200, sent
    workflow.refresh_from_db()
    assert (workflow.version, Workflow.objects.count()) == (1, 1)


def test_places_of_the_api_are_places_of_the_form():
    assert placed("actions[0].params.then[1].params.tag") == "actions.0.then.1.params.tag"
    assert placed("trigger_conditions.conditions.all[0].any[1].city") == "conditions.items.0.items.1.city"
    assert placed("actions[2].params.conditions.any[0].score") == "actions.2.conditions.items.0.score"
    assert placed("trigger_conditions.field") == "settings.field"
    assert placed("trigger_conditions.model") == "model"


def test_the_vocabulary_says_what_each_parameter_is(admin):
    found = admin.get("/api/v1/workflows/vocabulary/").json()
    params = {(one["name"], param["name"]): param for one in found["actions"] for param in one["params"]}
    method = params["assign_record", "method"]
    assert (method["type"], method["choices"]) == ("choice", ["round_robin", "least_busy"])
    assert (params["assign_record", "user_id"]["type"], params["assign_record", "user_id"]["refers_to"]) == (
        "integer",
        "user",
    )
    assert params["update_field", "value"]["type"] == "any"
    assert {param["refers_to"] for param in params.values()} - {""} <= set(REFERRED)


def test_the_page_asks_the_same_of_the_database_however_many_steps_there_are(
    client, boss, make_workflow, django_assert_max_num_queries
):
    EmailTemplateFactory(key="hello")
    few = make_workflow([("send_email", {"template_id": "hello", "to": "a@x.example"})] * 2)
    many = make_workflow([("send_email", {"template_id": "hello", "to": "a@x.example"})] * 20)
    client.get(edit(few))
    with django_assert_max_num_queries(100) as found:
        client.get(edit(few))
    with django_assert_max_num_queries(len(found)):
        client.get(edit(many))
