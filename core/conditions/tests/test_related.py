"""Fields one reference away, at every door: what one does not see behind a reference counts as none."""

import json
from unittest.mock import ANY

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from contacts.api.filters import ContactFilterSet
from contacts.entity import CONTACT
from contacts.models import Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.access.scopes import limit_to
from core.accounts.tests.factories import TeamFactory
from core.conditions import parse, record_q
from core.customization.tests.factories import CustomFieldFactory, FieldRightFactory, SavedViewFactory
from core.entities.entity import entities
from core.entities.references import columns_of_target
from core.errors import InvalidError
from core.webhooks.models import WebhookDelivery, WebhookSubscription
from core.webhooks.tests.factories import WebhookSubscriptionFactory
from core.workflows.models import Workflow
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/contacts/"
SOFTWARE = {"company.industry": "Software"}


@pytest.fixture
def book(rep, make_user):
    """The rep's contacts: of a company they see, of one they do not, of none, of one without an industry."""
    seen = CompanyFactory(owner=rep, industry="Software", company_size=10, tags=["vip"])
    hidden = CompanyFactory(owner=make_user("rep"), industry="Software", company_size=10, tags=["vip"])
    bare = CompanyFactory(owner=rep)
    companies = {"seen": seen, "hidden": hidden, "none": None, "bare": bare}
    return {name: ContactFactory(first_name=name, owner=rep, company=one) for name, one in companies.items()}


def names(answer):
    assert answer.status_code == 200, answer.json()
    return {row["first_name"] for row in answer.json()["results"]}


OTHERS = {"hidden", "none", "bare"}
ASKED = [
    ({"company__industry": "Software"}, {"seen"}),
    ({"company__industry__ne": "Software"}, OTHERS),
    ({"company__industry__in": "Software,Law"}, {"seen"}),
    ({"company__industry__not_in": "Software,Law"}, OTHERS),
    ({"company__industry__contains": "oftw"}, {"seen"}),
    ({"company__industry__is_empty": "true"}, OTHERS),
    ({"company__industry__is_empty": "false"}, {"seen"}),
    ({"company__company_size__gte": "5"}, {"seen"}),
    ({"company__company_size__lt": "5"}, set()),
    ({"company__tags": "vip"}, {"seen"}),
    ({"company__tags__has_none": "vip"}, OTHERS),
    ({"company__created_at__after": "2020-01-01"}, {"seen", "bare"}),
    ({"company__created_at__within_last": "7d", "company__industry__is_empty": "true"}, {"bare"}),
    ({"conditions": SOFTWARE}, {"seen"}),
    ({"conditions": {"not": SOFTWARE}}, OTHERS),
    ({"conditions": {"any": [SOFTWARE, {"first_name": "none"}]}}, {"seen", "none"}),
    ({"conditions": {"not": {"field": "company.industry", "op": "is_empty"}}}, {"seen"}),
    ({"conditions": {"field": "company.industry", "op": "ne", "value": "Software"}}, OTHERS),
]


@pytest.mark.parametrize(("query", "expected"), ASKED)
def test_what_is_not_seen_behind_a_reference_is_as_if_it_were_not_there(api, rep, book, query, expected):
    sent = {key: json.dumps(value) if key == "conditions" else value for key, value in query.items()}
    assert names(api(rep).get(URL, sent)) == expected


def test_who_sees_more_finds_more(admin, book):
    assert names(admin.get(URL, {"company__industry": "Software"})) == {"seen", "hidden"}
    assert names(admin.get(URL, {"company__industry__ne": "Software"})) == {"none", "bare"}


def test_a_manager_reaches_through_references_what_their_team_has(api, make_user):
    team = TeamFactory(name="West")
    manager, member = make_user("manager", team=team), make_user("rep", team=team)
    for owner in (member, make_user("rep")):
        ContactFactory(
            first_name=owner.username, owner=member, company=CompanyFactory(owner=owner, city="Bonn")
        )
    assert names(api(manager).get(URL, {"company__city": "Bonn"})) == {member.username}


def test_people_teams_and_pipelines_are_asked_by_what_everyone_knows_of_them(admin, make_user):
    team = TeamFactory(name="West")
    ada = make_user("rep", team=team, first_name="Ada", last_name="Byron")
    LeadFactory(first_name="A", owner=ada, assigned_to=ada)
    LeadFactory(first_name="B", owner=make_user("rep"))
    for query in (
        {"owner__team": team.pk},
        {"assigned_to__team": team.pk},
        {"owner__full_name": "Ada Byron"},
        {"owner__username__in": f"{ada.username},nobody"},
        {"assigned_to__is_active": "true"},
    ):
        assert names(admin.get("/api/v1/leads/", query)) == {"A"}, query
    assert names(admin.get("/api/v1/leads/", {"owner__team__ne": team.pk})) == {"B"}
    deal = OpportunityFactory(owner=ada, stage="proposal")
    asked = {"pipeline__name": deal.pipeline.name, "pipeline__is_default": "true"}
    assert [row["id"] for row in admin.get("/api/v1/opportunities/", asked).json()["results"]] == [deal.pk]
    task = TaskFactory(opportunity=deal)
    TaskFactory()
    found = admin.get("/api/v1/tasks/", {"opportunity__stage": "proposal"}).json()["results"]
    assert [row["id"] for row in found] == [task.pk]


def test_custom_fields_are_asked_on_either_side(api, admin, rep, make_user):
    CustomFieldFactory(entity="company", key="tier_", label="Tier", type="text")
    CustomFieldFactory(entity="contact", key="key__person", label="Key person", type="user")
    team = TeamFactory(name="West")
    someone = make_user("rep", team=team)
    gold = CompanyFactory(owner=rep, custom_fields={"tier_": "gold"})
    ContactFactory(first_name="A", company=gold, custom_fields={"key__person": someone.pk})
    ContactFactory(first_name="B", company=CompanyFactory(custom_fields={"tier_": "iron"}))
    ContactFactory(first_name="C", custom_fields={"key__person": rep.pk})
    for query, expected in [
        ({"company__custom_fields.tier_": "gold"}, {"A"}),
        ({"company__custom_fields.tier___contains": "o"}, {"A", "B"}),
        ({"company__custom_fields.tier___is_empty": "true"}, {"C"}),
        ({"custom_fields.key__person__team": team.pk}, {"A"}),
        ({"custom_fields.key__person__team__ne": team.pk}, {"B", "C"}),
        ({"conditions": json.dumps({"custom_fields.key__person.team": team.pk})}, {"A"}),
        ({"conditions": json.dumps({"company.custom_fields.tier_": "gold"})}, {"A"}),
    ]:
        assert names(admin.get(URL, query)) == expected, query


def test_definitions_behind_a_reference_are_read_once(admin_user, django_assert_num_queries):
    CustomFieldFactory(entity="company", key="tier", label="Tier", type="text")
    leaves = [{"company.custom_fields.tier": value} for value in ("gold", "iron", "tin")]
    with django_assert_num_queries(1):
        parse(CONTACT, {"any": leaves})
    given = {"company__custom_fields.tier": "gold", "company__custom_fields.tier__contains": "o"}
    with django_assert_num_queries(1):
        asked = ContactFilterSet(given, user=admin_user)
    assert (asked.is_valid(), len(asked.filters)) == (True, 2)


def test_every_reference_of_every_entity_can_be_asked_through(admin_user):
    for entity in entities:
        for reference in entity.reference_columns:
            far = columns_of_target(reference.field_type.target)
            for name in (name for name, column in far.items() if column.filterable):
                leaf = {"field": f"{reference.name}.{name}", "op": "is_empty"}
                question = record_q(parse(entity, leaf), user=admin_user)
                assert not entity.model.objects.filter(~question).exists()


WRONG = [
    ("company.industri", "company.industry", "Unknown field."),
    ("company.owner.team", "company.owner", "Fields are asked for one reference away, not two."),
    ("owner.email", "owner.full_name", "Unknown field."),
    ("owner.password", "owner.full_name", "Unknown field."),
    ("company.search_text", "company.industry", "Unknown field."),
    ("company.custom_fields.none", "company.custom_fields.tier", "Unknown field."),
]


@pytest.mark.parametrize(("name", "known", "message"), WRONG)
def test_what_cannot_be_asked_is_named_with_what_can(admin, name, known, message):
    CustomFieldFactory(entity="company", key="tier", label="Tier", type="text")
    with pytest.raises(InvalidError) as caught:
        parse(CONTACT, {name: "x"})
    [issue] = caught.value.issues
    assert (issue.field, issue.code) == (f"conditions.{name}", "unknown_field")
    assert issue.message.startswith(message)
    assert known in issue.message
    query = name.replace(".", "__").replace("custom_fields__", "custom_fields.")
    answer = admin.get(URL, {query: "x"})
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"]) == (400, query, "unknown")
    assert error["message"].startswith(message)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"company__industry__near": "x"}, "unknown_operator"),
        ({"company__company_size": "many"}, "invalid"),
        ({"company__industry": ""}, "blank"),
    ],
)
def test_a_wrong_operator_or_value_is_named(admin, query, code):
    answer = admin.get(URL, query)
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"]) == (400, *query, code)


def test_another_records_change_is_no_change_of_this_one():
    with pytest.raises(InvalidError) as caught:
        parse(CONTACT, {"field": "company.industry", "op": "changed"}, changes=True)
    assert [issue.code for issue in caught.value.issues] == ["unknown_operator"]


def test_a_list_costs_no_statement_more(api, rep, book):
    client = api(rep)
    counts = []
    for query in ({"first_name": "seen"}, {"first_name": "seen"}, {"company__industry": "Software"}):
        with CaptureQueriesContext(connection) as made:
            assert names(client.get(URL, query)) == {"seen"}
        counts.append(len(made))
    assert counts[1] == counts[2]


def test_an_api_key_that_may_not_read_companies_asks_nothing_of_them(api, rep, book):
    limit_to(rep, ["contacts:read"])
    client = api(rep)
    assert names(client.get(URL, {"company": book["seen"].company_id})) == {"seen"}
    answer = client.get(URL, {"company__industry": "Software"})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/scope-missing")


@pytest.mark.parametrize("at_branch", [False, True])
def test_nor_does_a_workflow_or_a_webhook_that_such_a_key_makes(api, make_user, at_branch):
    manager = make_user("manager")
    limit_to(manager, ["contacts:read", "contacts:write", "workflows:write", "webhooks:write"])
    tag = {"type": "add_tag", "params": {"tag": "x"}}
    branch = {"type": "branch", "params": {"conditions": SOFTWARE, "then": [tag]}}
    body = {
        "name": "Software",
        "trigger_type": "record_updated",
        "trigger_conditions": {"model": "contact", "conditions": {} if at_branch else SOFTWARE},
        "actions": [branch if at_branch else tag],
    }
    hook = {
        "name": "B",
        "url": "https://b.example.com/",
        "events": ["contact.updated"],
        "conditions": SOFTWARE,
    }
    for url, sent in (("/api/v1/workflows/", body), ("/api/v1/webhooks/", hook)):
        answer = api(manager).post(url, sent)
        assert (answer.status_code, answer.json().get("type")) == (403, "/problems/scope-missing"), url
    assert not Workflow.objects.exists()
    assert not WebhookSubscription.objects.exists()


# -- saved, exported, changed in bulk


def test_a_shared_view_is_each_readers_own_question(api, admin, admin_user, rep, book):
    body = {"name": "Software", "entity": "contact", "conditions": SOFTWARE, "is_shared": True}
    made = admin.post("/api/v1/saved_views/", body)
    assert (made.status_code, made.json()["conditions"]) == (201, SOFTWARE)
    assert names(admin.get(URL, {"view": made.json()["id"]})) == {"seen", "hidden"}
    assert names(api(rep).get(URL, {"view": made.json()["id"]})) == {"seen"}
    wrong = admin.post("/api/v1/saved_views/", body | {"name": "x", "conditions": {"company.nope": 1}})
    assert [error["field"] for error in wrong.json()["errors"]] == ["conditions.company.nope"]


def test_an_export_and_a_bulk_change_ask_with_the_eyes_of_their_user(api, rep, book):
    client = api(rep)
    answer = client.get("/api/v1/export/contacts/", {"company__industry": "Software", "fields": "first_name"})
    assert b"".join(answer.streaming_content).decode().split() == ["first_name", "seen"]
    body = {"filter": {"not": SOFTWARE}, "action": "update", "data": {"city": "Bonn"}}
    answer = client.post(f"{URL}bulk_update/", body)
    assert answer.status_code == 200, answer.json()
    assert set(Contact.objects.filter(city="Bonn").values_list("first_name", flat=True)) == OTHERS


# -- automation


def contact_workflow(make_workflow, conditions, user, **more):
    return make_workflow(
        [("add_tag", {"tag": "met"})], conditions=conditions, model="contact", run_as=user, **more
    )


@pytest.mark.parametrize("conditions", [SOFTWARE, {"all": [SOFTWARE, {"first_name": "seen"}]}])
def test_a_workflow_looks_with_the_eyes_of_whom_it_runs_as(
    make_workflow, rep, book, change, settle, conditions
):
    contact_workflow(make_workflow, conditions, rep, trigger="record_updated")
    for contact in book.values():
        change(contact, city="Bonn")
    settle()
    assert [c.first_name for c in Contact.objects.filter(tags=["met"])] == ["seen"]


def test_conditions_on_a_change_and_on_a_reference_go_together(make_workflow, rep, book, change, settle):
    changed = {"field": "city", "op": "changed_to", "value": "Bonn"}
    contact_workflow(make_workflow, {"all": [changed, {"not": SOFTWARE}]}, rep, trigger="record_updated")
    for contact in book.values():
        change(contact, city="Bonn")
    settle()
    assert {c.first_name for c in Contact.objects.filter(tags=["met"])} == OTHERS


def test_a_branch_looks_with_the_eyes_of_whom_the_run_acts_for(make_workflow, rep, book, change, settle):
    branch = {
        "conditions": SOFTWARE,
        "then": [{"type": "add_tag", "params": {"tag": "software"}}],
        "else": [{"type": "add_tag", "params": {"tag": "other"}}],
    }
    make_workflow([("branch", branch)], trigger="record_updated", model="contact", run_as=rep)
    for contact in book.values():
        change(contact, city="Bonn")
    settle()
    found = dict(Contact.objects.values_list("first_name", "tags"))
    assert found == {"seen": ["software"]} | {name: ["other"] for name in OTHERS}


def test_a_backtest_and_a_dry_run_agree_with_the_run(make_workflow, api, admin, rep, book, change, settle):
    for contact in book.values():
        change(contact, city="Bonn")
    workflow = contact_workflow(make_workflow, SOFTWARE, rep, trigger="record_updated")
    address = f"/api/v1/workflows/{workflow.pk}/"
    tried = admin.post(f"{address}backtest/", {"days": 1}).json()
    assert (tried["changes"], tried["runs"]) == (4, 1)
    met = {
        name: admin.post(f"{address}test/", {"contact_id": contact.pk}).json()["would_run"]
        for name, contact in book.items()
    }
    assert met == {"seen": True, "hidden": False, "none": False, "bare": False}


def test_a_backtest_asks_the_present_of_other_records_of_the_same_table(make_workflow, admin, rep, change):
    parent = CompanyFactory(owner=rep, industry="Software")
    child = CompanyFactory(owner=rep, parent=parent)
    change(child, city="Bonn")
    change(child, city="Rome")
    given = {"parent.industry": "Software", "city": "Bonn"}
    workflow = make_workflow(
        [("add_tag", {"tag": "x"})], conditions=given, model="company", trigger="record_updated", run_as=rep
    )
    tried = admin.post(f"/api/v1/workflows/{workflow.pk}/backtest/", {"days": 1}).json()
    assert (tried["changes"], tried["runs"]) == (2, 1)


def test_a_webhook_looks_with_the_eyes_of_its_owner(make_user, rep, book, change, settle):
    WebhookSubscriptionFactory(owner=rep, events=["contact.updated"], conditions=SOFTWARE)
    for contact in book.values():
        change(contact, city="Bonn")
    settle()
    assert [d.object_id for d in WebhookDelivery.objects.all()] == [book["seen"].pk]


def test_the_vocabulary_lists_what_can_be_asked_through_references(admin):
    found = admin.get("/api/v1/workflows/vocabulary/").json()["references"]
    [owner] = [one for one in found if one["name"] == "owner"]
    assert set(owner["models"]) == {entity.name for entity in entities}
    assert owner["conditions"] == [
        f"owner.{name}" for name in ("first_name", "full_name", "is_active", "last_name", "team", "username")
    ]
    [company] = [one for one in found if one["name"] == "company"]
    assert "company.industry" in company["conditions"]
    assert {"lead", "contact", "opportunity", "task"} == set(company["models"])


def test_the_vocabulary_names_nothing_that_is_hidden_from_who_asks(admin, api, make_user):
    CustomFieldFactory(entity="company", key="tier", label="Tier", type="text")
    fields = {"company.industry", "company.custom_fields.tier", "lead.city"}
    for name in fields:
        entity, _, field = name.partition(".")
        FieldRightFactory(role="manager", entity=entity, field=field)
    manager = api(make_user("manager"))

    def listed(client):
        found = client.get("/api/v1/workflows/vocabulary/").json()["references"]
        return {name for one in found for name in one["conditions"]}

    everything, shown = listed(admin), listed(manager)
    assert fields <= everything
    assert not fields & shown
    # The same fields behind other references, and no other ones.
    assert {name.partition(".")[2] for name in everything - shown} == {
        "industry",
        "custom_fields.tier",
        "city",
    }


# -- who uses what


def test_a_custom_field_that_is_asked_for_through_a_reference_is_in_use(admin, admin_user, make_workflow):
    field = CustomFieldFactory(entity="company", key="tier", label="Tier", type="text")
    own = CustomFieldFactory(entity="contact", key="tier", label="Tier", type="text")
    asked = {"company.custom_fields.tier": "gold"}
    SavedViewFactory(owner=admin_user, entity="contact", name="Gold", conditions=asked)
    contact_workflow(make_workflow, {"field": "company.custom_fields.tier", "op": "is_empty"}, admin_user)
    answer = admin.delete(f"/api/v1/custom_fields/{field.pk}/")
    assert answer.status_code == 409
    assert [error["field"].split()[0] for error in answer.json()["errors"]] == ["saved_view", "workflow"]
    assert admin.delete(f"/api/v1/custom_fields/{own.pk}/").status_code == 204
    assert admin.delete(f"/api/v1/custom_fields/{field.pk}/?force=true").status_code == 204
    assert Workflow.objects.get().status == "paused"


def test_what_is_a_value_behind_a_reference_is_in_use(admin, admin_user, make_user):
    team, leaver = TeamFactory(name="West"), make_user("rep")
    CompanyFactory(tags=["vip"])
    given = {"owner.team": team.pk, "company.owner": leaver.pk, "company.tags": ["vip"]}
    SavedViewFactory(owner=admin_user, entity="contact", name="West", conditions=given)
    used = [{"field": ANY, "code": "in_use", "message": ANY}]
    assert admin.delete(f"/api/v1/teams/{team.pk}/").json()["errors"] == used
    tags = {"tags": ["vip"]}
    assert admin.post("/api/v1/tags/delete/", tags | {"entity": "company"}).json()["errors"] == used
    assert admin.post("/api/v1/tags/delete/", tags | {"entity": "contact"}).json() == {"updated": 0}
    assert admin.patch(f"/api/v1/users/{leaver.pk}/", {"is_active": False}).json()["errors"] == used
