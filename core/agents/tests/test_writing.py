"""Writing as an AI client: rights, source, budget, dry run, and taking it back."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts.models import User
from core.activities.models import Activity
from core.activities.tests.factories import ActivityFactory
from core.agents.models import AgentGrant, AgentSession, AgentUsage
from core.agents.tests.conftest import message
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory, FieldRightFactory
from core.sharing.tests.factories import ShareFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory, default_pipeline
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
WRITE = ("write", "agents:write")


def test_a_key_that_does_not_name_agents_only_reads(posted_tools, posted, make_key, rep):
    key = make_key(rep, "write")

    assert all(tool.annotations.read_only_hint for tool in posted_tools(key))
    [refused] = posted(key, ("create_lead", {"values": {"first_name": "Ada"}}))
    assert (refused.is_error, refused.content[0].text[:14]) == (True, "scope_missing:")
    assert Lead.objects.count() == 0


def test_every_verb_writes_as_the_api_does_and_says_who(posted, make_key, rep, api):
    lead = LeadFactory(owner=rep, first_name="Ada", version=1)
    task = TaskFactory(owner=rep)
    default_pipeline()
    results = posted(
        make_key(rep, *WRITE),
        ("create_lead", {"values": {"first_name": "Grace"}}),
        ("update_lead", {"id": lead.pk, "values": {"city": "Oslo"}, "version": lead.version}),
        ("update_lead", {"id": lead.pk, "values": {"city": "Rome"}, "version": lead.version}),
        ("log_activity", {"values": {"lead": lead.pk, "type": "call", "subject": "Hello"}}),
        ("add_comment", {"values": {"lead": lead.pk, "body": "Called."}}),
        ("complete_task", {"id": task.pk, "values": {}}),
        ("convert_lead", {"id": lead.pk, "values": {}}),
        ("create_lead", {"values": {"first_name": "B", "email": "no address"}}),
    )
    errors = [result.content[0].text for result in results if result.is_error]
    assert [text.partition(":")[0] for text in errors] == ["stale_version", "invalid"]
    assert "email" in errors[1]
    assert results[0].structured_content["result"]["first_name"] == "Grace"
    assert results[6].structured_content["result"]["success"] is True
    found = AgentSession.objects.get()
    changes = Change.objects.filter(source="agent")
    assert set(changes.values_list("actor_id", "agent_session_id", "agent")) == {(rep.pk, found.pk, "Claude")}
    history = api(rep).get(f"/api/v1/leads/{lead.pk}/history/").json()["results"]
    assert {(one["source"], one["agent"]) for one in history} >= {("agent", "Claude")}
    written = changes.values("entity", "object_id").distinct().count()
    assert AgentUsage.objects.get().rows_written >= written


def test_a_dry_run_shows_and_writes_nothing(posted, make_key, rep):
    lead = LeadFactory(owner=rep, city="Rome")
    before = Change.objects.filter(entity="lead").count()
    asked = {"id": lead.pk, "values": {"city": "Oslo"}, "dry_run": True}
    [result] = posted(make_key(rep, *WRITE), ("update_lead", asked))
    shown = result.structured_content
    assert (shown["dry_run"], shown["result"]["city"]) == (True, "Oslo")
    assert [one["changes"] for one in shown["changes"]] == [{"city": {"old": "Rome", "new": "Oslo"}}]
    lead.refresh_from_db()
    assert (lead.city, Change.objects.filter(entity="lead").count()) == ("Rome", before)
    assert AgentUsage.objects.filter(rows_written__gt=0).count() == 0


def test_a_grant_for_dry_runs_never_writes(posted, make_key, rep):
    key = make_key(rep, *WRITE)
    message(key, "tools/list", {})
    AgentGrant.objects.update(dry_run=True)
    [result] = posted(key, ("create_lead", {"values": {"first_name": "Ada"}, "dry_run": False}))
    assert result.structured_content["dry_run"] is True
    assert Lead.objects.count() == 0


def test_budgets_hold_and_say_when_they_renew(posted, make_key, rep):
    for _ in range(3):
        LeadFactory(owner=rep)
    key = make_key(rep, *WRITE)
    message(key, "tools/list", {})
    AgentGrant.objects.update(reads_per_hour=4, writes_per_hour=1)
    three = ("list_records", {"entity": "lead", "fields": "id", "page_size": 4})
    one = ("create_lead", {"values": {"first_name": "Ada"}})
    read, refused, written, too_much = posted(key, three, three, one, one)
    assert len(read.structured_content["results"]) == 3
    assert refused.is_error
    assert refused.content[0].text.startswith("budget_spent: This grant may have 4 rows read per hour")
    assert "renewed at" in refused.content[0].text
    assert not written.is_error
    assert too_much.content[0].text.startswith("budget_spent: This grant may have 1 rows written per hour")
    assert Lead.objects.count() == 4
    usage = AgentUsage.objects.get()
    assert (usage.rows_read, usage.rows_written) == (4, 1)


def test_a_write_that_changes_nothing_costs_what_it_shows(posted, make_key, rep):
    lead = LeadFactory(owner=rep, city="Rome")
    same = ("update_lead", {"id": lead.pk, "values": {"city": "Rome"}})
    key = make_key(rep, *WRITE)
    [shown] = posted(key, same)
    assert not shown.is_error
    usage = AgentUsage.objects.get()
    assert (usage.rows_read, usage.rows_written) == (1, 1)
    AgentGrant.objects.update(reads_per_hour=1)
    [refused] = posted(key, same)
    assert refused.content[0].text.startswith("budget_spent: ")


def undo(client, found):
    return client.post(f"/api/v1/agents/{found.pk}/undo/")


def test_undo_takes_back_what_a_session_did_and_keeps_what_people_changed(posted, make_key, rep, api):
    lead = LeadFactory(owner=rep, city="Rome", job_title="Chief", priority="low")
    results = posted(
        make_key(rep, *WRITE),
        ("update_lead", {"id": lead.pk, "values": {"city": "Oslo", "job_title": "Boss"}}),
        ("update_lead", {"id": lead.pk, "values": {"city": "Bern", "priority": "high"}}),
        ("create_lead", {"values": {"first_name": "Grace"}}),
        ("create_lead", {"values": {"first_name": "Alan"}}),
        ("log_activity", {"values": {"lead": lead.pk, "type": "call", "subject": "Hello"}}),
    )
    grace, alan = (one.structured_content["result"]["id"] for one in results[2:4])
    client = api(rep)
    client.patch(f"/api/v1/leads/{lead.pk}/", {"job_title": "Queen"})
    client.patch(f"/api/v1/leads/{alan}/", {"city": "London"})
    found = AgentSession.objects.get()
    body = undo(client, found).json()
    assert (body["undone"]["removed"], body["undone"]["restored"]) == (2, 1)
    since = {"reason": "changed_since", "message": "Changed by others since."}
    assert body["undone"]["kept"] == [
        {"entity": "lead", "id": lead.pk, "fields": ["job_title"], **since},
        {"entity": "lead", "id": alan, "fields": [], **since},
    ]
    lead.refresh_from_db()
    assert (lead.city, lead.job_title, lead.priority) == ("Rome", "Queen", "low")
    assert (lead.call_attempts, lead.engagement_count, lead.last_contacted_at) == (0, 0, None)
    assert Lead.objects.get(pk=grace).archived_at is not None
    assert Lead.objects.get(pk=alan).archived_at is None
    assert Activity.objects.count() == 0
    assert undo(client, found).status_code == 409


def test_a_conversion_is_taken_back(posted, make_key, rep, api):
    lead = LeadFactory(owner=rep, status="qualified", company_name="Engines", email="ada@x.example")
    task = TaskFactory(owner=rep, lead=lead)
    default_pipeline()
    [converted] = posted(make_key(rep, *WRITE), ("convert_lead", {"id": lead.pk, "values": {}}))
    made = converted.structured_content["result"]
    body = undo(api(rep), AgentSession.objects.get()).json()
    assert body["undone"]["kept"] == []
    lead.refresh_from_db()
    assert (lead.status, lead.converted_at) == ("qualified", None)
    assert Task.objects.get(pk=task.pk).lead_id == lead.pk
    client = api(rep)
    for plural in ("contacts", "companies", "opportunities"):
        pk = made[f"{plural.replace('ies', 'y').removesuffix('s')}_id"]
        assert client.get(f"/api/v1/{plural}/{pk}/").status_code == 404


def test_custom_fields_are_taken_back_one_by_one(posted, make_key, rep, api):
    for key in ("a", "b"):
        CustomFieldFactory(entity="lead", key=key, type="text", label=key)
    lead = LeadFactory(owner=rep, custom_fields={"a": "1", "b": "1"})
    values = {"custom_fields": {"a": "2", "b": "2"}}
    posted(make_key(rep, *WRITE), ("update_lead", {"id": lead.pk, "values": values}))
    client = api(rep)
    client.patch(f"/api/v1/leads/{lead.pk}/", {"custom_fields": {"b": "3"}})
    body = undo(client, AgentSession.objects.get()).json()
    assert [one["fields"] for one in body["undone"]["kept"]] == [["custom_fields.b"]]
    lead.refresh_from_db()
    assert lead.custom_fields == {"a": "1", "b": "3"}


def test_a_key_undoes_only_what_it_may_write(posted, make_key, rep):
    lead = LeadFactory(owner=rep, city="Rome")
    posted(
        make_key(rep, *WRITE),
        ("update_lead", {"id": lead.pk, "values": {"city": "Oslo"}}),
        ("log_activity", {"values": {"lead": lead.pk, "type": "call", "subject": "Hello"}}),
    )
    found = AgentSession.objects.get()

    def by_key(*scopes):
        return undo(APIClient(headers={"Authorization": f"Bearer {make_key(rep, *scopes)}"}), found)

    refused = by_key("agents:write", "leads:write")
    assert (refused.status_code, refused.json()["detail"].partition(". ")[2]) == (
        403,
        "It takes activities:write.",
    )
    lead.refresh_from_db()
    assert (lead.city, Activity.objects.count()) == ("Oslo", 1)
    assert by_key("agents:write", "leads:write", "activities:write").status_code == 200
    lead.refresh_from_db()
    assert (lead.city, Activity.objects.count()) == ("Rome", 0)


def test_what_people_changed_in_between_comes_back(posted, make_key, rep, api):
    for key in ("a", "b"):
        CustomFieldFactory(entity="lead", key=key, type="text", label=key)
    lead = LeadFactory(owner=rep, city="A", custom_fields={"a": "A", "b": "A"})
    key, client = make_key(rep, *WRITE), api(rep)
    for city, custom, write in (
        (
            "B",
            {"a": "B", "b": "B"},
            lambda values: posted(key, ("update_lead", {"id": lead.pk, "values": values})),
        ),
        ("C", {"a": "C"}, lambda values: client.patch(f"/api/v1/leads/{lead.pk}/", values)),
        ("D", {"a": "D"}, lambda values: posted(key, ("update_lead", {"id": lead.pk, "values": values}))),
    ):
        write({"city": city, "custom_fields": custom})
    assert undo(client, AgentSession.objects.get()).json()["undone"]["kept"] == []
    lead.refresh_from_db()
    assert (lead.city, lead.custom_fields) == ("C", {"a": "C", "b": "A"})


def records_of(task):
    return set(task.further.values_list("entity", "object_id"))


def test_further_records_are_taken_back_unless_people_changed_them(posted, make_key, rep, api):
    before, added, readded, dropped = (LeadFactory(owner=rep) for _ in range(4))
    task = TaskFactory(owner=rep)
    client, key = api(rep), make_key(rep, *WRITE)

    def named(*leads):
        return {"records": [{"entity": "lead", "id": lead.pk} for lead in leads]}

    assert client.patch(f"/api/v1/tasks/{task.pk}/", named(before, readded)).status_code == 200
    logged = {"lead": before.pk, "type": "call", "subject": "Hello", **named(added)}
    results = posted(
        key,
        ("update_task", {"id": task.pk, "values": named(added, dropped)}),
        ("log_activity", {"values": logged}),
    )
    assert not any(result.is_error for result in results)
    assert client.patch(f"/api/v1/tasks/{task.pk}/", named(added, readded)).status_code == 200
    undone = undo(client, AgentSession.objects.get()).json()["undone"]
    assert undone["kept"] == []
    assert records_of(task) == {("lead", before.pk), ("lead", readded.pk)}
    assert Activity.objects.count() == 0


def test_the_contact_that_a_deal_lost_in_a_session_comes_back_with_its_role(posted, make_key, rep, api):
    ada, charles = ContactFactory(owner=rep), ContactFactory(owner=rep)
    deal = OpportunityFactory(owner=rep)
    client = api(rep)
    url = f"/api/v1/opportunities/{deal.pk}/contacts/"
    for contact, role in ((ada, "champion"), (charles, "blocker")):
        assert client.post(url, {"contact": contact.pk, "role": role}).status_code == 201
    deal.refresh_from_db()
    rows = set(deal.deal_contacts.values_list("contact", "role"))
    [result] = posted(
        make_key(rep, *WRITE), ("update_opportunity", {"id": deal.pk, "values": {"contact": None}})
    )
    assert not result.is_error
    assert set(deal.deal_contacts.values_list("contact", "role")) == {(charles.pk, "blocker")}
    undone = undo(client, AgentSession.objects.get()).json()["undone"]
    assert undone["kept"] == []
    deal.refresh_from_db()
    assert (deal.contact_id, set(deal.deal_contacts.values_list("contact", "role"))) == (ada.pk, rows)


def test_a_completed_task_is_open_again_and_the_next_of_its_series_is_archived(posted, make_key, rep, api):
    client = api(rep)
    values = {"title": "Call", "due_date": "2030-01-07T09:00:00Z", "recurrence": "FREQ=WEEKLY"}
    pk = client.post("/api/v1/tasks/", values).json()["id"]
    before = client.get(f"/api/v1/tasks/{pk}/").json()
    [done] = posted(make_key(rep, *WRITE), ("complete_task", {"id": pk, "values": {}}))
    assert not done.is_error
    following = Task.objects.exclude(pk=pk).get()
    assert undo(client, AgentSession.objects.get()).json()["undone"]["kept"] == []
    after = client.get(f"/api/v1/tasks/{pk}/").json()
    assert {name: after[name] for name in ("status", "completed_at", "due_date")} == {
        name: before[name] for name in ("status", "completed_at", "due_date")
    }
    following.refresh_from_db()
    assert following.archived_at is not None


def test_what_a_conversion_moved_goes_back_whosever_it_is(posted, make_key, rep, make_user, api):
    lead, other = LeadFactory(owner=rep, status="qualified", email="ada@x.example"), make_user("rep")
    of_other = ActivityFactory(record=lead, subject="Hello", author=other)
    task = TaskFactory(owner=other, lead=lead)
    further = TaskFactory(owner=other)
    further.further.create(entity="lead", object_id=lead.pk)
    default_pipeline()
    [converted] = posted(make_key(rep, *WRITE), ("convert_lead", {"id": lead.pk, "values": {}}))
    assert not converted.is_error
    of_other.refresh_from_db()
    assert of_other.entity == "opportunity"
    assert undo(api(rep), AgentSession.objects.get()).json()["undone"]["kept"] == []
    of_other.refresh_from_db()
    task.refresh_from_db()
    assert (of_other.entity, of_other.object_id) == ("lead", lead.pk)
    assert (task.lead_id, task.opportunity_id) == (lead.pk, None)
    assert records_of(further) == {("lead", lead.pk)}


def test_what_a_session_pointed_elsewhere_is_out_of_reach_once_it_is_somebody_elses(
    posted, make_key, rep, make_user, api
):
    """Only what a conversion moved goes back whosever it is: not what the session changed otherwise, although
    it touched both of the records that are referred to."""
    before, after, lead = CompanyFactory(owner=rep), CompanyFactory(owner=rep), LeadFactory(owner=rep)
    deal, task = OpportunityFactory(owner=rep, company=before), TaskFactory(owner=rep)
    task.further.create(entity="lead", object_id=lead.pk)
    results = posted(
        make_key(rep, *WRITE),
        ("update_company", {"id": before.pk, "values": {"industry": "Mining"}}),
        ("update_company", {"id": after.pk, "values": {"industry": "Mining"}}),
        ("update_lead", {"id": lead.pk, "values": {"city": "Oslo"}}),
        ("update_opportunity", {"id": deal.pk, "values": {"company": after.pk}}),
        ("update_task", {"id": task.pk, "values": {"records": []}}),
    )
    assert not any(result.is_error for result in results)
    other = make_user("rep")
    for record in (deal, task):
        type(record).objects.filter(pk=record.pk).update(owner=other, assigned_to=other)
    kept = undo(api(rep), AgentSession.objects.get()).json()["undone"]["kept"]
    denied = [(one["entity"], one["id"]) for one in kept if one["reason"] == "permission_denied"]
    assert denied == [("opportunity", deal.pk), ("task_record", task.pk)]
    deal.refresh_from_db()
    assert (deal.company_id, records_of(task)) == (after.pk, set())


def test_a_reference_to_what_was_deleted_since_stays_as_it_is(posted, make_key, rep, api):
    before, after = LeadFactory(owner=rep), LeadFactory(owner=rep)
    task = TaskFactory(owner=rep, lead=before)
    posted(make_key(rep, *WRITE), ("update_task", {"id": task.pk, "values": {"lead": after.pk}}))
    Lead.objects.filter(pk=before.pk).delete()
    kept = undo(api(rep), AgentSession.objects.get()).json()["undone"]["kept"]
    assert [(one["entity"], one["id"], one["reason"]) for one in kept] == [("task", task.pk, "refused")]
    task.refresh_from_db()
    assert task.lead_id == after.pk


FIELDS = ("city", "job_title", "notes")


@given(writes=st.lists(st.tuples(st.booleans(), st.sets(st.sampled_from(FIELDS), min_size=1)), max_size=5))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_undoing_leaves_each_field_as_people_left_it(posted, make_key, rep, api, writes):
    """Changes of a session (True) and of people, mixed: what people changed last is as they left it, also
    where the session wrote over it; what they never changed is as it was."""
    expected = dict.fromkeys(FIELDS, "before")
    lead = LeadFactory(owner=rep, **expected)
    key, client = make_key(rep, *WRITE), api(rep)
    for number, (by_agent, names) in enumerate(writes):
        values = dict.fromkeys(names, f"value {number}")
        if by_agent:
            posted(key, ("update_lead", {"id": lead.pk, "values": values}))
        else:
            assert client.patch(f"/api/v1/leads/{lead.pk}/", values).status_code == 200
            expected |= values
    for found in AgentSession.objects.filter(undone_at=None):
        assert undo(client, found).status_code == 200
    lead.refresh_from_db()
    assert {name: getattr(lead, name) for name in FIELDS} == expected


def test_fields_that_a_role_may_not_change_stay(posted, make_key, rep, api):
    for key in ("a", "b"):
        CustomFieldFactory(entity="lead", key=key, type="text", label=key)
    before = {"city": "Rome", "job_title": "Chief", "notes": "Old", "custom_fields": {"a": "1", "b": "1"}}
    after = {"city": "Oslo", "job_title": "Boss", "notes": "New", "custom_fields": {"a": "2", "b": "2"}}
    lead = LeadFactory(owner=rep, **before)
    posted(make_key(rep, *WRITE), ("update_lead", {"id": lead.pk, "values": after}))
    for field, access in (
        ("job_title", "read_only"), ("notes", "hidden"), ("custom_fields.a", "read_only"),
        ("custom_fields.b", "hidden"),
    ):  # fmt: skip
        FieldRightFactory(field=field, access=access)
    body = undo(api(User.objects.get(pk=rep.pk)), AgentSession.objects.get()).json()
    why = {"reason": "permission_denied", "message": "Not yours to change."}
    fields = ["custom_fields.a", "job_title"]
    assert body["undone"]["kept"] == [{"entity": "lead", "id": lead.pk, "fields": fields, **why}]
    lead.refresh_from_db()
    assert (lead.city, lead.job_title, lead.notes) == ("Rome", "Boss", "New")
    assert lead.custom_fields == {"a": "2", "b": "2"}


def test_whom_a_shared_record_belongs_to_stays(posted, make_key, make_user, rep, api):
    other, third = make_user("rep"), make_user("rep")
    lead = LeadFactory(owner=rep, assigned_to=third, city="Rome")
    values = {"assigned_to": other.pk, "city": "Oslo"}
    [made] = posted(make_key(rep, *WRITE), ("update_lead", {"id": lead.pk, "values": values}))
    assert not made.is_error
    Lead.objects.filter(pk=lead.pk).update(owner=other)
    ShareFactory(record=lead, user=rep, access="write")
    body = undo(api(rep), AgentSession.objects.get()).json()
    why = {"reason": "permission_denied", "message": "Not yours to change."}
    assert body["undone"]["kept"] == [{"entity": "lead", "id": lead.pk, "fields": ["assigned_to"], **why}]
    lead.refresh_from_db()
    assert (lead.city, lead.assigned_to_id) == ("Rome", other.pk)


def test_what_was_made_is_archived_only_by_who_may_delete(posted, make_key, make_user, rep, api):
    [made] = posted(make_key(rep, *WRITE), ("create_lead", {"values": {"first_name": "Ada"}}))
    lead = Lead.objects.get(pk=made.structured_content["result"]["id"])
    lead.owner = make_user("rep")
    lead.save()
    ShareFactory(record=lead, user=rep, access="write")
    body = undo(api(rep), AgentSession.objects.get()).json()
    assert [one["reason"] for one in body["undone"]["kept"]] == ["permission_denied"]
    lead.refresh_from_db()
    assert lead.archived_at is None


def test_changes_past_their_time_stay_though_their_session_went_on(posted, make_key, rep, api):
    lead, other = LeadFactory(owner=rep, city="Oslo"), LeadFactory(owner=rep, city="Rome")
    posted(make_key(rep, *WRITE), ("update_lead", {"id": other.pk, "values": {"city": "Oslo"}}))
    found = AgentSession.objects.get()
    Change.objects.create(
        entity="lead",
        object_id=lead.pk,
        kind="updated",
        changes={"city": ["Rome", "Oslo"]},
        source="agent",
        agent_session_id=found.pk,
        at="2020-01-01T00:00Z",
    )
    body = undo(api(rep), found).json()
    why = {"reason": "not_undone", "message": "Changed more than 30 days ago."}
    assert body["undone"]["kept"] == [{"entity": "lead", "id": lead.pk, "fields": [], **why}]
    assert [Lead.objects.get(pk=row.pk).city for row in (lead, other)] == ["Oslo", "Rome"]


@pytest.mark.django_db(transaction=True)
def test_only_its_user_and_administrators_undo_and_only_one_of_two(
    posted, make_key, make_user, rep, admin, api, at_once
):
    lead = LeadFactory(owner=rep, city="Rome")
    posted(make_key(rep, *WRITE), ("update_lead", {"id": lead.pk, "values": {"city": "Oslo"}}))
    found = AgentSession.objects.get()
    stranger = api(make_user("manager"))
    assert undo(stranger, found).status_code == 404
    assert stranger.get("/api/v1/agents/").json()["count"] == 0
    lead.refresh_from_db()
    assert lead.city == "Oslo"
    twice = at_once(*[lambda: undo(admin, found).status_code] * 2)
    assert sorted(twice) == [200, 409]
    lead.refresh_from_db()
    assert lead.city == "Rome"


def test_a_revoked_grant_is_refused_at_once(posted, make_key, rep, api):
    key = make_key(rep, *WRITE)
    posted(key, ("list_users", {}))
    client = api(rep)
    [grant] = client.get("/api/v1/agents/grants/").json()["results"]
    assert (grant["name"], grant["may_write"], grant["usage"]["rows_read"]) == ("Claude", True, 1)
    assert client.post(f"/api/v1/agents/grants/{grant['id']}/revoke/").json()["revoked_at"]
    with pytest.raises(AssertionError, match="revoked"):
        posted(key, ("list_users", {}))


def test_workflows_are_started_by_who_may_and_do_what_they_do_themselves(
    posted, make_key, make_workflow, settle, rep, admin_user, api
):
    lead = LeadFactory(owner=admin_user)
    workflow = make_workflow([("add_tag", {"tag": "called"})], trigger="manual", model="lead")
    start = ("run_workflow", {"id": workflow.pk, "values": {"lead_id": lead.pk}})
    [refused] = posted(make_key(rep, *WRITE), start)
    assert refused.is_error
    rehearsed = (start[0], start[1] | {"dry_run": True})
    key = make_key(admin_user, *WRITE)
    for several in ({"lead_ids": [lead.pk]}, {"filter": {"field": "city", "op": "eq", "value": ""}}):
        [refused] = posted(key, (start[0], {"id": workflow.pk, "values": several}))
        assert refused.content[0].text == f"values.{next(iter(several))}: Not offered here."
    listed, shown, started = posted(key, ("list_workflows", {}), rehearsed, start)
    assert AgentUsage.objects.get(grant__user=admin_user).rows_written == 1
    assert [one["id"] for one in listed.structured_content["results"]] == [workflow.pk]
    assert (shown.structured_content["dry_run"], started.structured_content["dry_run"]) == (True, False)
    [run] = settle()
    assert (run.status, run.object_id) == ("completed", lead.pk)
    change = Change.objects.filter(entity="lead", kind="updated").get()
    assert (change.source, change.agent, change.agent_session_id) == ("workflow", "", None)
    found = AgentSession.objects.get(grant__user=admin_user)
    assert undo(api(admin_user), found).json()["undone"]["kept"] == [
        {"entity": "execution", "id": run.pk, "fields": [], "reason": "not_undone",
         "message": "What a workflow did is not taken back."}
    ]  # fmt: skip
