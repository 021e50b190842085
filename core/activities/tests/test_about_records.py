"""What one asks about a record: who follows it, who sees it and why, what refers to it, a field's history."""

import pytest

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts.tests.factories import TeamFactory
from core.activities.tests.factories import FollowFactory
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory, default_pipeline
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(make_user):
    """A team with a manager above it, a viewer and two reps in it, and somebody elsewhere."""
    above = TeamFactory(name="Sales")
    team = TeamFactory(name="West", parent=above)
    return {
        "manager": make_user("manager", team=above),
        "viewer": make_user("viewer", team=team),
        "rep": make_user("rep", team=team),
        "mate": make_user("rep", team=team),
        "stranger": make_user("manager", team=TeamFactory(name="East")),
    }


def asked(client, lead, **params):
    response = client.get(f"/api/v1/leads/{lead.pk}/access/", params)
    assert response.status_code == 200, response.json()
    return response.json()


def short(access):
    return access["sees"], access["changes"], [reason["code"] for reason in access["reasons"]]


def test_those_who_see_a_record_are_named_with_their_reasons(api, people, admin_user):
    lead = LeadFactory(owner=people["rep"], assigned_to=people["rep"])
    found = asked(api(people["rep"]), lead)
    assert {user["user"]["id"]: short(user) for user in found["users"]} == {
        admin_user.pk: (True, True, ["admin"]),
        people["manager"].pk: (True, True, ["team"]),
        people["viewer"].pk: (True, False, ["team"]),
        people["rep"].pk: (True, True, ["owner", "assignee"]),
    }
    assert found["count"] == 4
    assert short(found["asked"]) == (True, True, ["owner", "assignee"])


def test_each_of_those_named_reads_the_record_and_nobody_else(api, people, admin_user):
    lead = LeadFactory(owner=people["rep"])
    found = asked(api(admin_user), lead)
    named = {user["user"]["id"] for user in found["users"]}
    everybody = [*people.values(), admin_user]
    reading = {u.pk for u in everybody if api(u).get(f"/api/v1/leads/{lead.pk}/").status_code == 200}
    assert named == reading


def test_administrators_and_managers_ask_why_somebody_does_not_see_it(api, people, admin_user):
    lead = LeadFactory(owner=people["rep"])
    client = api(people["manager"])
    assert short(asked(client, lead, user=people["mate"].pk)["asked"]) == (False, False, ["not_theirs"])
    assert short(asked(client, lead, user=people["stranger"].pk)["asked"]) == (False, False, ["other_team"])
    people["mate"].is_active = False
    people["mate"].save()
    assert short(asked(api(admin_user), lead, user=people["mate"].pk)["asked"]) == (
        False,
        False,
        ["inactive"],
    )


def test_others_ask_for_themselves_alone(api, people):
    lead = LeadFactory(owner=people["rep"])
    address = f"/api/v1/leads/{lead.pk}/access/"
    assert api(people["rep"]).get(address, {"user": people["mate"].pk}).status_code == 403
    assert api(people["rep"]).get(address, {"user": people["rep"].pk}).status_code == 200
    assert api(people["mate"]).get(address).status_code == 404
    assert api(people["manager"]).get(address, {"user": 999_999}).status_code == 400
    assert api(people["manager"]).get(address, {"user": "x"}).status_code == 400


def test_followers_are_named_with_since_when_and_why(api, people):
    lead = LeadFactory(owner=people["rep"])
    FollowFactory(record=lead, user=people["viewer"])
    gone = FollowFactory(record=lead, user=people["mate"]).user
    gone.is_active = False
    gone.save()
    client = api(people["rep"])
    client.post(f"/api/v1/leads/{lead.pk}/follow/")
    found = client.get(f"/api/v1/leads/{lead.pk}/followers/").json()
    assert found["count"] == 2
    assert [(row["user"]["id"], row["reason"]) for row in found["results"]] == [
        (people["viewer"].pk, "manual"),
        (people["rep"].pk, "manual"),
    ]
    assert client.get(f"/api/v1/leads/{lead.pk}/followers/", {"page_size": 1}).json()["next"]
    assert api(people["stranger"]).get(f"/api/v1/leads/{lead.pk}/followers/").status_code == 404


@pytest.fixture
def hanging(people):
    """A company with a contact of the rep's and one of a stranger's, a deal, and an archived task."""
    company = CompanyFactory(name="Acme", owner=people["rep"])
    ContactFactory(company=company, owner=people["rep"])
    ContactFactory(company=company, owner=people["stranger"])
    OpportunityFactory(company=company, owner=people["rep"], pipeline=default_pipeline(), stage="proposal")
    TaskFactory(company=company, owner=people["rep"], archived_at="2026-01-01T00:00Z")
    return company


def test_what_refers_to_a_company_is_counted(api, people, hanging):
    address = f"/api/v1/companies/{hanging.pk}/dependents/"
    assert api(people["rep"]).get(address).json() == {
        "results": [
            {"type": "contact", "field": "company", "count": 2, "hidden": 1},
            {"type": "opportunity", "field": "company", "count": 1, "hidden": 0},
        ]
    }
    assert api(people["stranger"]).get(address).status_code == 404


def test_the_admin_site_asks_before_a_company_is_archived_that_others_refer_to(client, people, hanging):
    people["rep"].is_staff = True
    people["rep"].save()
    client.force_login(people["rep"])
    form = {"action": "archive", "_selected_action": [hanging.pk]}
    page = client.post("/admin/contacts/company/", form)
    assert page.status_code == 200
    assert "Referred to by contact records (company): 2" in page.content.decode()
    hanging.refresh_from_db()
    assert hanging.archived_at is None
    assert client.post("/admin/contacts/company/", form | {"verb_sent": "1"}).status_code == 302
    hanging.refresh_from_db()
    assert hanging.archived_at is not None


def test_the_history_of_one_field(admin):
    pk = admin.post("/api/v1/leads/", {"first_name": "Ada", "phone": "+14155550100"}).json()["id"]
    admin.patch(f"/api/v1/leads/{pk}/", {"phone": "+14155550101"})
    admin.patch(f"/api/v1/leads/{pk}/", {"first_name": "Grace"})

    def changes(field):
        found = admin.get(f"/api/v1/leads/{pk}/history/", {"field": field}).json()["results"]
        return [entry["changes"] for entry in found]

    assert changes("phone") == [{"phone": {"old": "+14155550100", "new": "+14155550101"}}]
    assert changes("owner") == []
    refused = admin.get(f"/api/v1/leads/{pk}/history/", {"field": "nonsense"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "field")
