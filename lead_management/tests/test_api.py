"""Leads over HTTP: create, read, change, find, assign, count."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.accounts.tests.factories import TeamFactory
from core.changes.models import Change
from lead_management.models import Lead, LeadSource, LeadStatus
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/leads/"
JOHN = {"first_name": "John", "last_name": "Doe", "email": "john@acme.example", "company_name": "Acme"}


def create(client, **fields):
    response = client.post(URL, {"first_name": "John"} | fields)
    assert response.status_code == 201, response.json()
    return response.json()


def found(client, **params):
    response = client.get(URL, params)
    assert response.status_code == 200, response.json()
    return {row["first_name"] for row in response.json()["results"]}


# -- create, change -----------------------------------------------------------------------------


def test_a_lead_is_created_with_its_defaults(admin, admin_user):
    response = admin.post(URL, JOHN | {"source": "WEBSITE"})
    assert response.status_code == 201
    lead = response.json()
    assert lead["lead_source"] == "website"
    assert (lead["status"], lead["priority"], lead["currency"]) == ("new", "medium", "USD")
    assert (lead["owner"], lead["assigned_to"], lead["created_by"]) == (admin_user.pk, None, admin_user.pk)
    assert (lead["days_since_created"], lead["call_attempts"], lead["engagement_count"]) == (0, 0, 0)
    assert response["ETag"] == f'"{lead["id"]}-1"'
    assert response["Location"].endswith(f"/api/v1/leads/{lead['id']}/")


def test_every_field_of_a_lead_is_kept(api, rep):
    body = JOHN | {
        "phone": "(415) 555-0123",
        "mobile": "+442079460018",
        "company_size": 250,
        "industry": "Retail",
        "job_title": "CEO",
        "website": "acme.example",
        "address": "1 Main Street",
        "city": "Oakland",
        "state": "CA",
        "postal_code": "94607",
        "country": "United States",
        "lead_source": "referral",
        "status": "qualified",
        "priority": "urgent",
        "estimated_value": "1234.50",
        "currency": "eur",
        "last_contacted_at": "2030-01-31T10:00:00+01:00",
        "next_follow_up_at": "2030-02-01",
        "call_attempts": 3,
        "notes": "Met\nat the fair",
        "do_not_contact": False,
        "tags": ["vip"],
        "assigned_to": rep.pk,
        "external_id": "x-1",
    }
    expected = body | {
        "phone": "+14155550123",
        "website": "https://acme.example",
        "currency": "EUR",
        "last_contacted_at": "2030-01-31T09:00:00.000000Z",
        "next_follow_up_at": "2030-02-01T00:00:00.000000Z",
    }
    made = create(api(rep), **body)
    assert {name: made[name] for name in expected} == expected


def test_all_statuses_and_sources_are_taken_in_any_case(api, rep):
    statuses = "new contacted nurturing qualified proposal converted unqualified lost".split()
    sources = (
        "website referral social_media email_campaign cold_call event advertisement partner other".split()
    )
    assert list(LeadStatus.values) == statuses
    assert list(LeadSource.values) == sources
    for status in statuses:
        assert create(api(rep), status=status.upper(), lost_reason="Price")["status"] == status
    for source in sources:
        assert create(api(rep), source=source.title())["lead_source"] == source


def test_a_lost_lead_has_a_reason_that_stays(api, rep):
    lead = create(api(rep))
    url = f"{URL}{lead['id']}/"
    response = api(rep).patch(url, {"status": "lost"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "lost_reason"
    assert api(rep).patch(url, {"status": "lost", "lost_reason": "Price"}).status_code == 200
    assert api(rep).patch(url, {"lost_reason": ""}).status_code == 400
    assert api(rep).patch(url, {"status": "contacted", "lost_reason": ""}).status_code == 200


@pytest.mark.parametrize(
    "bad",
    [
        {"email": "not-an-address"},
        {"first_name": ""},
        {"first_name": "x" * 101},
        {"first_name": "a\x00b"},
        {"first_name": {"a": 1}},
        {"lead_source": "telepathy"},
        {"status": "nope"},
        {"status": 1},
        {"lead_score": 101},
        {"lead_score": -1},
        {"conversion_probability": 1.5},
        {"phone": "call me"},
        {"estimated_value": "-5"},
        {"estimated_value": "NaN"},
        {"estimated_value": "1_000"},
        {"estimated_value": "1.234"},
        {"estimated_value": True},
        {"company_size": 2**31},
        {"call_attempts": -1},
        {"assigned_to": 99999999},
        {"assigned_to": "me"},
        {"tags": "not a list"},
        {"tags": [["nested"]]},
        {"custom_fields": {"never_defined": 1}},
        {"engagement_count": 5},
        {"converted_at": "2030-01-01"},
        {"archived_at": "2030-01-01"},
        {"created_by": 1},
    ],
)
def test_bad_values_are_refused_at_their_field(api, rep, bad):
    response = api(rep).post(URL, {"first_name": "A"} | bad)
    assert response.status_code == 400
    named = {e["field"].partition(".")[0] for e in response.json()["errors"]}
    assert named == {next(iter(bad))}
    assert not Lead.objects.exists()
    assert not Change.objects.filter(entity="lead").exists()


# -- the twelve filters and more ----------------------------------------------------------------


@pytest.fixture
def four(api, rep, make_user):
    """Ann, Bob and Cid are the rep's, Dan is another's."""
    helper = make_user("rep")
    create(
        api(rep),
        first_name="Ann",
        email="ann@acme.example",
        phone="+14155550101",
        company_name="Acme",
        tags=["vip"],
    )
    create(
        api(rep),
        first_name="Bob",
        status="qualified",
        source="referral",
        priority="high",
        assigned_to=helper.pk,
    )
    create(
        api(rep),
        first_name="Cid",
        status="contacted",
        source="partner",
        tags=["east", "trial"],
        assigned_to=rep.pk,
    )
    create(api(make_user("rep")), first_name="Dan", status="qualified", tags=["vip"])
    scores = {"Ann": 95, "Bob": 70, "Cid": 20, "Dan": 99}
    for days, (name, score) in enumerate(scores.items()):
        moment = timezone.now() - timedelta(days=10 * days, hours=1)
        Lead.objects.filter(first_name=name).update(lead_score=score, created_at=moment)
    return helper


def days_ago(days):
    return (timezone.now() - timedelta(days=days)).strftime("%Y-%m-%d")


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, "Ann Bob Cid"),
        ({"status": "qualified"}, "Bob"),
        ({"status": "qualified,CONTACTED"}, "Bob Cid"),
        ({"status__ne": "new"}, "Bob Cid"),
        ({"source": "referral"}, "Bob"),
        ({"lead_source__in": "referral,partner"}, "Bob Cid"),
        ({"priority": "high"}, "Bob"),
        ({"assigned_to_me": "true"}, "Cid"),
        ({"assigned_to_me": "false"}, "Ann Bob"),
        ({"unassigned": "true"}, "Ann"),
        ({"unassigned": "false"}, "Bob Cid"),
        ({"min_score": "70"}, "Ann Bob"),
        ({"max_score": "70"}, "Bob Cid"),
        ({"min_score": "21", "max_score": "94"}, "Bob"),
        ({"hot": "true"}, "Ann"),
        ({"hot": "false"}, "Bob Cid"),
        ({"is_hot": "true"}, "Ann"),
        ({"tags": "vip,trial"}, "Ann Cid"),
        ({"tags__has_all": "east,trial"}, "Cid"),
        ({"search": "ACME"}, "Ann"),
        ({"search": "ann acme"}, "Ann"),
        ({"search": "5550101"}, "Ann"),
        ({"search": "ann@acme.example"}, "Ann"),
        ({"search": "%"}, ""),
        ({"search": "_nn"}, ""),
        ({"company_name__contains": "cm"}, "Ann"),
        ({"email__is_empty": "true"}, "Bob Cid"),
        ({"days_since_created__gte": "10"}, "Bob Cid"),
    ],
)
def test_filters_find_exactly(api, rep, four, params, names):
    assert found(api(rep), **params) == set(names.split())


def test_leads_are_found_by_when_they_came_and_whose_they_are(api, rep, four):
    assert found(api(rep), created_after=days_ago(5)) == {"Ann"}
    assert found(api(rep), created_before=days_ago(5)) == {"Bob", "Cid"}
    assert found(api(rep), created_after=days_ago(15), created_before=days_ago(5)) == {"Bob"}
    assert found(api(rep), assigned_to=four.pk) == {"Bob"}
    assert found(api(four)) == {"Bob"}


def test_an_order_by_score(api, rep, four):
    rows = api(rep).get(URL, {"ordering": "-lead_score"}).json()["results"]
    assert [r["lead_score"] for r in rows] == [95, 70, 20]
    assert [r["is_hot"] for r in rows] == [True, False, False]


@pytest.mark.parametrize(
    "bad",
    [
        {"status": "nope"},
        {"ordering": "password"},
        {"ordering": "assigned_to__password"},
        {"assigned_to__password__startswith": "a"},
        {"owner__is_superuser": "true"},
        {"min_score": "x"},
        {"max_score": "101"},
        {"created_after": "yesterday-ish"},
        {"page": "0"},
        {"page_size": "-1"},
        {"hot": "perhaps"},
        {"fields": "password"},
        {"expand": "everything"},
        {"tags": ""},
        {"search": "a\x00b"},
        {"cursor": "abc"},
        {"archived": "maybe"},
        {"unheard_of": "1"},
    ],
)
def test_bad_questions_are_refused(api, rep, four, bad):
    response = api(rep).get(URL, bad)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"].startswith(next(iter(bad)))


# -- statistics ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["statistics/", "stats", "stats/"])
def test_statistics_are_exact_and_ones_own(api, rep, four, path, django_assert_max_num_queries):
    Lead.objects.filter(first_name="Cid").update(status="converted")
    client = api(rep)
    with django_assert_max_num_queries(4):
        body = client.get(f"{URL}{path}").json()
    assert body == {
        "total": 3,
        "average_score": 61.67,
        "hot": 1,
        "converted": 1,
        "conversion_rate": 0.3333,
        "by_status": dict.fromkeys(LeadStatus.values, 0) | {"new": 1, "qualified": 1, "converted": 1},
        "by_source": dict.fromkeys(LeadSource.values, 0) | {"other": 1, "referral": 1, "partner": 1},
        "by_priority": {"low": 0, "medium": 2, "high": 1, "urgent": 0},
    }


def test_statistics_of_a_filter_and_of_nothing(api, rep, four):
    assert api(rep).get(f"{URL}statistics/", {"source": "referral"}).json()["total"] == 1
    nothing = api(rep).get(f"{URL}statistics/", {"search": "nobody"}).json()
    assert (nothing["total"], nothing["average_score"], nothing["conversion_rate"]) == (0, 0, 0)
    assert api(rep).get(f"{URL}statistics/", {"unheard_of": "1"}).status_code == 400


def test_health_needs_no_token(api):
    response = api().get(f"{URL}health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


# -- assigning ----------------------------------------------------------------------------------


def assign(client, body):
    return client.post(f"{URL}assign/", body)


def work_of(*users):
    return [Lead.objects.filter(assigned_to=user).count() for user in users]


def leads(owner, count, **fields):
    rows = Lead.objects.bulk_create(Lead(first_name=str(i), owner=owner, **fields) for i in range(count))
    return [row.pk for row in rows]


def test_all_to_one_user(api, rep, make_user):
    helper = make_user("rep")
    response = assign(api(rep), {"ids": leads(rep, 3), "assigned_to": helper.pk})
    assert (response.status_code, response.json()["updated"]) == (200, 3)
    assert work_of(helper) == [3]
    assert set(Change.objects.filter(kind="updated").values_list("actor_id", "source")) == {(rep.pk, "bulk")}


def test_to_several_in_turn(api, rep, make_user):
    one, two = make_user("rep"), make_user("rep")
    ids = leads(rep, 5)
    assign(api(rep), {"ids": ids, "users": [two.pk, one.pk], "method": "round_robin"})
    assert list(Lead.objects.order_by("pk").values_list("assigned_to", flat=True)) == [
        two.pk, one.pk, two.pk, one.pk, two.pk,
    ]  # fmt: skip


def test_to_whoever_has_least_open_work(api, admin, rep, make_user, admin_user):
    one, two = make_user("rep"), make_user("rep")
    leads(admin_user, 3, assigned_to=one)
    leads(admin_user, 9, assigned_to=two, status="converted")
    leads(admin_user, 9, assigned_to=two, status="lost")
    leads(admin_user, 9, assigned_to=two, archived_at=timezone.now())
    assign(admin, {"ids": leads(admin_user, 5), "users": [one.pk, two.pk], "method": "least_busy"})
    open_work = Lead.objects.filter(status="new", archived_at=None)
    assert [open_work.filter(assigned_to=u).count() for u in (one, two)] == [4, 4]


def test_to_a_team(admin, admin_user, make_user):
    team = TeamFactory(name="West")
    one, two = make_user("rep", team=team), make_user("rep", team=team)
    gone = make_user("rep", team=team, is_active=False)
    reads_only = make_user("viewer", team=team)
    response = assign(admin, {"ids": leads(admin_user, 4), "team": team.pk})
    assert response.json()["updated"] == 4
    assert work_of(one, two, gone, reads_only) == [2, 2, 0, 0]


def test_a_team_of_viewers_is_given_nothing(admin, admin_user, make_user):
    team = TeamFactory(name="Board")
    make_user("viewer", team=team)
    response = assign(admin, {"ids": leads(admin_user, 1), "team": team.pk})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "team"


def test_what_is_changed_in_bulk_shows_so_in_its_history(api, rep):
    client, (lead,) = api(rep), leads(rep, 1)
    for body in ({"action": "update", "data": {"city": "Rome"}}, {"action": "delete"}):
        assert client.post("/api/v1/leads/bulk_update/", {"ids": [lead], **body}).status_code == 200
    client.post(f"/api/v1/leads/{lead}/restore/")
    history = client.get(f"/api/v1/leads/{lead}/history/").json()["results"]
    assert [(c["kind"], c["source"]) for c in history[:3]] == [
        ("restored", "api"), ("archived", "bulk"), ("updated", "bulk"),
    ]  # fmt: skip


def test_a_record_named_twice_is_changed_once_and_answered_twice(api, rep):
    client = api(rep)
    one, two = (client.post("/api/v1/leads/", {"first_name": n}).json()["id"] for n in "ab")
    body = {"ids": [two, one, two], "action": "update", "data": {"city": "Oslo"}}
    answer = client.post("/api/v1/leads/bulk_update/", body)
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "updated": 2,
        "errors": [],
        "results": [{"index": i, "id": pk, "status": "updated"} for i, pk in enumerate((two, one, two))],
    }
    assert Change.objects.filter(object_id=two, entity="lead", kind="updated").count() == 1
    gone = client.post("/api/v1/leads/bulk_update/", body | {"ids": [two, 999_999, 999_999]}).json()
    assert [(r["id"], r["status"]) for r in gone["results"]] == [
        (two, "updated"),
        (999_999, "error"),
        (999_999, "error"),
    ]


def test_by_filter_and_in_the_bulk_form(api, rep, make_user):
    helper = make_user("rep")
    leads(rep, 2, status="qualified")
    leads(rep, 1)
    response = assign(api(rep), {"filter": {"status": "qualified"}, "assigned_to": helper.pk})
    assert response.json()["updated"] == 2
    body = {"filter": {"status": "new"}, "action": "assign", "data": {"assigned_to": helper.pk}}
    assert api(rep).post(f"{URL}bulk-update", body).json()["updated"] == 1


def test_giving_away_what_one_was_only_assigned_is_refused(api, rep, make_user):
    owner, third = make_user("rep"), make_user("rep")
    [pk] = leads(owner, 1, assigned_to=rep)
    response = assign(api(rep), {"ids": [pk], "assigned_to": third.pk})
    assert response.status_code == 207
    assert response.json()["errors"][0]["code"] == "permission_denied"
    assert Lead.objects.get().assigned_to == rep


@pytest.mark.parametrize(
    "bad",
    [
        {"assigned_to": 99999},
        {"assigned_to": "me"},
        {"users": []},
        {"users": [0]},
        {"team": 99999},
        {"method": "alphabetical"},
        {"mode": "halfway"},
        {"ids": []},
        {"ids": "all"},
        {"ids": [1, "x"]},
        {"ids": list(range(1, 10_002))},
        {"surprise": 1},
    ],
)
def test_bad_assignments_are_refused_and_assign_nothing(api, rep, make_user, bad):
    helper = make_user("rep")
    body = (
        {"ids": leads(rep, 1)} | ({} if {"users", "team"} & bad.keys() else {"assigned_to": helper.pk}) | bad
    )
    response = assign(api(rep), body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == next(iter(bad))
    assert work_of(helper) == [0]


# -- possible duplicates, and leaving "lost" ----------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [{"email": "ADA@engines.example"}, {"phone": "+14155550123"}, {"mobile": "+1 415 555 0123"}],
)
def test_a_lead_that_is_there_already_is_refused_on_request(api, rep, make_user, body):
    first = api(rep).post(URL, {"first_name": "Ada", "email": "ada@engines.example", "phone": "+14155550123"})
    twin = {"first_name": "A.", **body}
    refused = api(rep).post(f"{URL}?on_duplicate=reject", twin)
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/possible-duplicate"
    assert Lead.objects.count() == 1
    made = api(rep).post(URL, twin).json()
    assert [d["id"] for d in made["possible_duplicates"]] == [first.json()["id"]]
    # What one does not see is no duplicate that one is told of.
    assert api(make_user("rep")).post(f"{URL}?on_duplicate=reject", twin).status_code == 201


def test_a_lead_without_address_or_number_is_nobodys_duplicate(api, rep):
    for _ in range(2):
        assert api(rep).post(f"{URL}?on_duplicate=reject", {"first_name": "Ada"}).status_code == 201


@pytest.mark.parametrize("through", ["api", "bulk", "orm"])
def test_a_lead_that_is_taken_up_again_forgets_why_it_was_lost(api, rep, through):
    lead = LeadFactory(first_name="Ada", owner=rep, status="lost", lost_reason="Price")
    if through == "api":
        assert api(rep).patch(f"{URL}{lead.pk}/", {"status": "contacted"}).json()["lost_reason"] == ""
    elif through == "bulk":
        body = {"ids": [lead.pk], "action": "update", "data": {"status": "contacted"}}
        assert api(rep).post(f"{URL}bulk_update/", body).json()["updated"] == 1
    else:
        Lead.objects.filter(pk=lead.pk).update(status="contacted")
    lead.refresh_from_db()
    assert (lead.status, lead.lost_reason) == ("contacted", "")
    change = Change.objects.get(entity="lead", kind="updated").changes
    assert change["lost_reason"] == ["Price", ""]
    assert api(rep).patch(f"{URL}{lead.pk}/", {"status": "lost"}).status_code == 400
