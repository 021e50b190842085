"""The timeline: everything about a record in one stream."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.activities.models import Activity
from core.changes import audit_context
from core.changes.models import Change
from lead_management.models import Lead
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def url(lead, query=""):
    return f"/api/v1/leads/{lead.pk}/timeline/?{query}"


@pytest.fixture
def story(api, rep, new_lead):
    """A lead with one of everything, and its rep's client."""
    client = api(rep)
    lead = new_lead(rep, owner=rep, assigned_to=rep)
    client.patch(f"/api/v1/leads/{lead.pk}/", {"status": "contacted"})
    client.post("/api/v1/activities/", {"lead": lead.pk, "type": "call", "subject": "Intro", "body": "Well"})
    client.post("/api/v1/comments/", {"lead": lead.pk, "body": "Promising"})
    client.post("/api/v1/tasks/", {"lead": lead.pk, "title": "Ring", "task_type": "call"})
    return lead, client


def test_it_notifies_of_changes_activities_comments_and_tasks_newest_first(rep, story):
    lead, client = story
    entries = client.get(url(lead)).json()["results"]
    assert [(e["kind"], e["type"], e["title"]) for e in entries] == [
        ("task", "call", "Ring"),
        ("comment", "comment", "commented"),
        ("activity", "call", "Intro"),
        ("change", "updated", "updated status"),
        ("change", "created", "created"),
    ]
    assert {e["actor"]["id"] for e in entries} == {rep.pk}
    assert entries[3]["data"]["changes"] == {"status": {"old": "new", "new": "contacted"}}
    assert entries[1]["data"]["body"] == "Promising"
    assert entries[2]["data"]["direction"] == "outbound"


def test_filters_by_kind_type_time_and_actor(rep, admin_user, story):
    lead, client = story
    soon = (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def kinds(query):
        return [e["kind"] for e in client.get(url(lead, query)).json()["results"]]

    assert kinds("kind=comment,task") == ["task", "comment"]
    assert kinds("type=call") == ["task", "activity"]
    assert kinds("kind=change&type=created") == ["change"]
    assert kinds(f"since={soon}") == []
    assert len(kinds(f"until={soon}")) == 5
    assert len(kinds(f"actor={rep.pk}")) == 5
    assert kinds(f"actor={admin_user.pk}") == []


@pytest.mark.parametrize(
    "query",
    ["kind=gossip", "since=soon", "colour=red", "cursor=x", "page_size=0", "actor=x", "type=%00", "kind=%00"],
)
def test_bad_parameters_are_refused(story, query):
    lead, client = story
    assert client.get(url(lead, query)).status_code == 400


def test_paging_gives_every_entry_once(story):
    lead, client = story
    whole = client.get(url(lead)).json()["results"]
    walked, address = [], url(lead, "page_size=2")
    while address:
        page = client.get(address).json()
        walked += page["results"]
        address = page["next"]
    assert walked == whole
    cursor = client.get(url(lead, "page_size=2")).json()["next"].partition("cursor=")[2].partition("&")[0]
    assert client.get(url(lead, f"kind=task&cursor={cursor}")).status_code == 400


def test_an_activity_stands_where_it_happened(story):
    lead, client = story
    past = "2020-01-01T00:00:00Z"
    client.post(
        "/api/v1/activities/", {"lead": lead.pk, "type": "call", "subject": "Old", "happened_at": past}
    )
    assert client.get(url(lead)).json()["results"][-1]["title"] == "Old"


def test_a_hidden_record_has_no_timeline_and_a_hidden_task_no_entry(api, make_user, story, admin_user):
    lead, client = story
    assert api(make_user("rep")).get(url(lead)).status_code == 404
    with audit_context(admin_user):
        TaskFactory(title="Secret", lead=lead, owner=admin_user, assigned_to=admin_user)
    titles = [e["title"] for e in client.get(url(lead)).json()["results"]]
    assert "Secret" not in titles
    assert "Secret" in [e["title"] for e in api(admin_user).get(url(lead)).json()["results"]]


def test_a_conversion_is_notified_on_both_sides(api, rep, story):
    lead, client = story
    made = client.post(f"/api/v1/leads/{lead.pk}/convert/").json()
    (entry,) = client.get(url(lead, "kind=conversion")).json()["results"]
    assert entry["title"] == "Ada Byron was converted"
    assert entry["data"] == {
        "lead": lead.pk,
        "contact": made["contact_id"],
        "company": made["company_id"],
        "opportunity": made["opportunity_id"],
    }
    deal = f"/api/v1/opportunities/{made['opportunity_id']}/timeline/"
    kinds = {e["kind"] for e in client.get(deal).json()["results"]}
    assert kinds == {"conversion", "change", "activity", "comment", "task"}


def test_a_page_costs_the_same_at_any_age(story, rep):
    lead, client = story

    def statements():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url(lead)).status_code == 200
        return len(captured)

    young = statements()
    with audit_context(rep):
        for i in range(60):
            Lead.objects.filter(pk=lead.pk).update(city=f"City {i}")
        Activity.objects.bulk_create(
            [
                Activity(entity="lead", object_id=lead.pk, type="note", subject="n", author=rep)
                for _ in range(60)
            ]
        )
    # The last page, which the young one is, asks what was archived besides.
    assert statements() == young - 1
    assert Change.objects.filter(entity="lead").count() > 60
