"""Sharing over HTTP: who may, with whom, and what each door then lets the others do."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts.models import Company, Contact
from core.accounts import keys
from core.accounts.models import User
from core.changes.dispatch import dispatch
from core.entities import entities
from core.sharing.models import Share
from core.sharing.tests.factories import ShareFactory
from core.transfer.tests.uploads import upload
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from tests.records import ENTITIES, record

pytestmark = pytest.mark.django_db
TOMORROW = (timezone.now() + timedelta(days=1)).isoformat()
YESTERDAY = (timezone.now() - timedelta(days=1)).isoformat()


@pytest.fixture
def lead(people):
    return LeadFactory(
        owner=people["owner"], first_name="Grace", last_name="Hopper", email="grace@navy.example"
    )


def shares(lead):
    return f"/api/v1/leads/{lead.pk}/shares/"


def of(lead):
    return list(Share.objects.filter(object_id=lead.pk).values_list("user", "team", "access").order_by("id"))


@pytest.mark.parametrize("name", ENTITIES)
def test_a_record_is_shared_named_and_taken_back(api, people, name):
    found = record(name, "Shared", owner=people["owner"])
    owner, rep = api(people["owner"]), api(people["rep"])
    url = f"/api/v1/{entities[name].plural}/{found.pk}/"
    assert rep.get(url).status_code == 404
    made = owner.post(f"{url}shares/", {"user": people["rep"].pk, "expires_at": TOMORROW})
    assert made.status_code == 201, made.json()
    share = made.json()
    assert share | {"created_at": None, "expires_at": None} == {
        "id": share["id"],
        "user": {"id": people["rep"].pk, "username": people["rep"].username, "full_name": "Ada Byron"},
        "team": None,
        "access": "read",
        "expires_at": None,
        "created_by": {
            "id": people["owner"].pk,
            "username": people["owner"].username,
            "full_name": "Olive Owner",
        },
        "created_at": None,
    }
    assert rep.get(url).status_code == 200
    assert rep.patch(url, {"tags": ["x"]}).status_code == 403
    listed = rep.get(f"{url}shares/").json()
    assert (listed["count"], listed["results"]) == (1, [share])
    again = owner.post(f"{url}shares/", {"user": people["rep"].username, "access": "write"})
    assert (again.status_code, again.json()["id"], again.json()["access"]) == (200, share["id"], "write")
    assert again.json()["expires_at"] is None
    assert rep.patch(url, {"tags": ["x"]}).status_code == 200
    assert rep.delete(url).status_code == 403
    assert owner.delete(f"{url}shares/{share['id']}/").status_code == 204
    assert rep.get(url).status_code == 404
    assert not Share.objects.exists()


def test_a_team_is_shared_with_by_its_name(api, people, lead):
    made = api(people["owner"]).post(shares(lead), {"team": "west", "access": "write"})
    assert (made.status_code, made.json()["team"]) == (201, {"id": people["west"].pk, "name": "West"})
    assert [api(people[who]).get(f"/api/v1/leads/{lead.pk}/").status_code for who in ("rep", "below")] == [
        200
    ] * 2


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "user", "required"),
        ({"user": None}, "user", "null"),
        ({"user": 999_999}, "user", "does_not_exist"),
        ({"user": "nobody"}, "user", "does_not_exist"),
        ({"user": "\x00"}, "user", "does_not_exist"),
        ({"user": {"id": 1}}, "user", "does_not_exist"),
        ({"user": 10**30}, "user", "does_not_exist"),
        ({"team": "nowhere"}, "team", "does_not_exist"),
        ({"team": "west", "access": "delete"}, "access", "invalid_choice"),
        ({"team": "west", "expires_at": YESTERDAY}, "expires_at", "in_past"),
        ({"team": "west", "expires_at": "soon"}, "expires_at", "invalid"),
        ({"team": "west", "color": "red"}, "color", "unknown_field"),
    ],
)
def test_what_is_no_share_is_refused_by_name(api, people, lead, body, field, code):
    refused = api(people["owner"]).post(shares(lead), body)
    assert refused.status_code == 400
    assert [(error["field"], error["code"]) for error in refused.json()["errors"]] == [(field, code)]
    assert not Share.objects.exists()


def test_people_who_have_it_already_and_those_who_are_gone_are_refused(api, people, lead, admin_user):
    gone = people["stranger"]
    gone.is_active = False
    gone.save()
    for by, whom, code in (
        ("owner", people["owner"], "self"),
        ("owner", gone, "does_not_exist"),
        (None, people["owner"], "owner"),
    ):
        client = api(people[by]) if by else api(admin_user)
        refused = client.post(shares(lead), {"user": whom.pk})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, code)
    both = api(people["owner"]).post(shares(lead), {"user": people["rep"].pk, "team": people["west"].pk})
    assert both.status_code == 400
    assert not Share.objects.exists()


def test_an_e_mail_address_names_those_alone_whose_address_one_may_know(api, people, lead, admin_user):
    address = {"user": people["rep"].email.upper()}
    assert api(people["owner"]).post(shares(lead), address).status_code == 400
    made = api(admin_user).post(shares(lead), address)
    assert (made.status_code, made.json()["user"]["id"]) == (201, people["rep"].pk)


def test_those_share_who_own_it_and_nobody_whom_it_is_only_shared_with(api, people, lead, admin_user):
    ShareFactory(record=lead, user=people["rep"], access="write")
    body = {"user": people["stranger"].pk}
    assert api(people["rep"]).post(shares(lead), body).status_code == 403
    assert api(people["rep"]).delete(f"{shares(lead)}{Share.objects.get().pk}/").status_code == 403
    assert api(people["manager"]).post(shares(lead), body).status_code == 404
    assert api(people["viewer"]).post(shares(lead), body).status_code == 403
    assert of(lead) == [(people["rep"].pk, None, "write")]
    people["owner"].team = people["manager"].team
    people["owner"].save()
    manager = User.objects.get(pk=people["manager"].pk)
    assert api(manager).post(shares(lead), body).status_code == 201
    assert api(admin_user).post(shares(lead), body | {"access": "write"}).status_code == 200


def test_a_share_of_another_record_is_not_found(api, people, lead):
    other = ShareFactory(record=LeadFactory(owner=people["owner"]), user=people["rep"])
    assert api(people["owner"]).delete(f"{shares(lead)}{other.pk}/").status_code == 404
    assert api(people["owner"]).delete(f"{shares(lead)}x/").status_code == 404
    assert Share.objects.filter(pk=other.pk).exists()


def test_what_expired_is_shared_anew(api, people, lead):
    old = ShareFactory(record=lead, user=people["rep"], access="write", expires_at=YESTERDAY)
    assert api(people["owner"]).get(shares(lead)).json()["count"] == 0
    made = api(people["owner"]).post(shares(lead), {"user": people["rep"].pk})
    assert made.status_code == 201
    assert made.json()["id"] != old.pk
    assert of(lead) == [(people["rep"].pk, None, "read")]


@pytest.mark.django_db(transaction=True)
def test_twice_at_once_is_one_share(api, people, lead, at_once):
    client = api(people["owner"])
    body = {"user": people["rep"].pk, "access": "write"}
    answers = at_once(*[lambda: client.post(shares(lead), body).status_code] * 4)
    assert sorted(answers) == [200, 200, 200, 201]
    assert of(lead) == [(people["rep"].pk, None, "write")]


# ---- What a share opens, door by door ----


def test_lists_counts_cursors_and_search_have_what_is_shared_once(api, people, lead):
    own = LeadFactory(owner=people["rep"], first_name="Grace")
    LeadFactory(owner=people["owner"], first_name="Grace")
    for found in (lead, own):
        ShareFactory(record=found, user=people["rep"])
        ShareFactory(record=found, team=people["west"], access="write")
    client = api(people["rep"])
    expected = sorted([lead.pk, own.pk])

    def listed(address="/api/v1/leads/", **params):
        page = client.get(address, params).json()
        return sorted(row["id"] for row in page["results"]), page.get("count")

    assert listed() == (expected, 2)
    assert listed(search="grace") == (expected, 2)
    assert listed(ordering="city") == (expected, 2)
    assert listed(cursor="")[0] == expected
    assert listed(shared_with_me="true", owner=people["owner"].pk) == ([lead.pk], 1)
    assert listed(shared_with_me="true") == (expected, 2)
    assert listed(shared_with_me="false") == ([], 0)
    found = client.get("/api/v1/search/", {"q": "grace"}).json()["results"]
    assert sorted(hit["id"] for hit in found) == expected
    assert client.get("/api/v1/leads/statistics/").json()["total"] == 2
    export = b"".join(client.get("/api/v1/export/leads/", {"shared_with_me": "true"}).streaming_content)
    assert export.count(b"Grace") == 2


def test_what_is_shared_is_not_given_away(api, people, lead):
    """Whoever could become the owner of what is shared with them could delete and share it."""
    ShareFactory(record=lead, user=people["rep"], access="write")
    client, url = api(people["rep"]), f"/api/v1/leads/{lead.pk}/"
    for field in ("owner", "assigned_to"):
        refused = client.patch(url, {field: people["rep"].pk, "city": "Oslo"})
        assert refused.status_code == 403, refused.json()
        bulk = {"ids": [lead.pk], "action": "update", "data": {field: people["rep"].pk}}
        answer = client.post("/api/v1/leads/bulk_update/", bulk).json()
        assert (answer["updated"], answer["errors"][0]["code"]) == (0, "permission_denied")
    answer = client.post("/api/v1/leads/assign/", {"ids": [lead.pk], "assigned_to": people["rep"].pk}).json()
    assert (answer["updated"], answer["errors"][0]["code"]) == (0, "permission_denied")
    lead.refresh_from_db()
    assert (lead.owner, lead.assigned_to, lead.city) == (people["owner"], None, "")
    assert client.patch(url, {"owner": people["owner"].pk, "city": "Oslo"}).status_code == 200


def test_what_is_shared_is_archived_and_restored_by_those_alone_who_own_it(api, people, lead):
    api(people["owner"]).post(shares(lead), {"user": people["rep"].pk, "access": "write"})
    assert api(people["owner"]).delete(f"/api/v1/leads/{lead.pk}/").status_code == 204
    assert api(people["rep"]).post(f"/api/v1/leads/{lead.pk}/restore/").status_code == 403
    lead.refresh_from_db()
    assert lead.archived_at is not None
    assert api(people["owner"]).post(f"/api/v1/leads/{lead.pk}/restore/").status_code == 200


def test_bulk_changes_what_may_be_changed_and_says_what_may_not(api, people, lead):
    read = LeadFactory(owner=people["owner"])
    ShareFactory(record=lead, user=people["rep"], access="write")
    ShareFactory(record=read, user=people["rep"])
    body = {"ids": [lead.pk, read.pk], "action": "update", "data": {"city": "Oslo"}}
    answer = api(people["rep"]).post("/api/v1/leads/bulk_update/", body)
    assert answer.status_code == 207
    assert [row["status"] for row in answer.json()["results"]] == ["updated", "error"]
    delete = api(people["rep"]).post("/api/v1/leads/bulk_update/", {"ids": [lead.pk], "action": "delete"})
    assert delete.json()["deleted"] == 0
    assert list(Lead.objects.order_by("pk").values_list("city", "archived_at")) == [
        ("Oslo", None),
        ("", None),
    ]


@pytest.mark.parametrize(("access", "city"), [("write", "Oslo"), ("read", "")])
def test_an_import_changes_what_is_shared_to_be_changed(api, people, lead, access, city):
    ShareFactory(record=lead, user=people["rep"], access=access)
    text = f"id,city\n{lead.pk},Oslo\n"
    upload(api(people["rep"]), text, "leads", update_existing="true")
    assert Lead.objects.get(pk=lead.pk).city == city
    assert Lead.objects.count() == 1


def test_an_import_gives_away_nothing_that_is_only_shared(api, people, lead):
    ShareFactory(record=lead, user=people["rep"], access="write")
    text = f"id,city,owner\n{lead.pk},Oslo,{people['rep'].username}\n"
    answer = upload(api(people["rep"]), text, "leads", update_existing="true").json()
    assert (answer["updated"], answer["errors"]) == (0, 1)
    lead.refresh_from_db()
    assert (lead.owner, lead.city) == (people["owner"], "")


def test_a_conversion_of_what_is_shared_makes_nothing_out_of_reach(api, people, lead):
    """What is made of a lead belongs to its owner, so whoever only has it shared cannot make it."""
    ShareFactory(record=lead, user=people["rep"], access="write")
    refused = api(people["rep"]).post(f"/api/v1/leads/{lead.pk}/convert/")
    assert refused.status_code == 403
    lead.refresh_from_db()
    assert (lead.status, Contact.objects.count(), Company.objects.count()) == ("new", 0, 0)


def test_a_conversion_leaves_shares_with_the_lead(api, people, lead):
    ShareFactory(record=lead, user=people["rep"])
    made = api(people["owner"]).post(f"/api/v1/leads/{lead.pk}/convert/").json()
    assert of(lead) == [(people["rep"].pk, None, "read")]
    assert api(people["rep"]).get(f"/api/v1/leads/{lead.pk}/").status_code == 200
    assert api(people["rep"]).get(f"/api/v1/contacts/{made['contact_id']}/").status_code == 404


@pytest.mark.parametrize(
    ("access", "done", "tags"), [("write", "completed", ["hot"]), ("read", "failed", [])]
)
def test_a_workflow_does_what_its_principal_may(
    people, lead, make_workflow, change, settle, access, done, tags
):
    """A workflow acts within what is shared with whoever it acts as."""
    manager = people["manager"]
    ShareFactory(record=lead, user=manager, access=access)
    make_workflow([("add_tag", {"tag": "hot"})], trigger="record_updated", run_as=manager)
    change(lead, user=people["owner"], city="Oslo")
    runs = settle()
    lead.refresh_from_db()
    assert (runs[0].status, lead.tags) == (done, tags)


def test_an_upsert_changes_what_is_shared_to_be_changed(api, people, lead):
    Lead.objects.update(external_id="A-1")
    share = ShareFactory(record=lead, user=people["rep"])
    url = "/api/v1/leads/by_external_id/A-1/"
    assert api(people["rep"]).patch(url, {"city": "Oslo"}).status_code == 403
    share.access = "write"
    share.save()
    assert api(people["rep"]).patch(url, {"city": "Oslo"}).status_code == 200
    assert Lead.objects.get().city == "Oslo"


def test_what_is_only_shared_is_not_merged_into_another_record(api, people, lead):
    own = LeadFactory(owner=people["rep"])
    ShareFactory(record=lead, user=people["rep"], access="write")
    client = api(people["rep"])
    refused = client.post("/api/v1/leads/merge/", {"survivor": own.pk, "merged": [lead.pk]})
    assert refused.status_code == 403
    taken = client.post(
        "/api/v1/leads/merge/", {"survivor": lead.pk, "merged": [own.pk], "fields": {"owner": own.pk}}
    )
    assert taken.status_code == 403
    assert Lead.objects.filter(archived_at=None).count() == 2
    assert client.post("/api/v1/leads/merge/", {"survivor": lead.pk, "merged": [own.pk]}).status_code == 200


def test_a_merge_moves_shares_and_undoing_it_moves_them_back(api, people, lead, admin):
    other = LeadFactory(owner=people["owner"])
    ShareFactory(record=lead, user=people["rep"])
    ShareFactory(record=other, user=people["rep"], access="write")
    ShareFactory(record=other, team=people["inside"], access="write")
    made = admin.post("/api/v1/leads/merge/", {"survivor": lead.pk, "merged": [other.pk]}).json()
    assert of(lead) == [(people["rep"].pk, None, "read"), (None, people["inside"].pk, "write")]
    assert admin.post(f"/api/v1/merges/{made['id']}/undo/").status_code == 200
    assert of(lead) == [(people["rep"].pk, None, "read")]
    assert of(other) == [(people["rep"].pk, None, "write"), (None, people["inside"].pk, "write")]


def test_a_merge_is_not_undone_by_those_whom_its_records_are_only_shared_with(api, people, lead):
    other = LeadFactory(owner=people["owner"])
    for one in (lead, other):
        ShareFactory(record=one, user=people["rep"], access="write")
    owner = api(people["owner"])
    made = owner.post("/api/v1/leads/merge/", {"survivor": lead.pk, "merged": [other.pk]}).json()
    assert api(people["rep"]).post(f"/api/v1/merges/{made['id']}/undo/").status_code == 403
    other.refresh_from_db()
    assert other.archived_at is not None
    assert owner.post(f"/api/v1/merges/{made['id']}/undo/").status_code == 200


def test_what_is_deleted_for_good_is_shared_no_more(people, lead, admin):
    kept = ShareFactory(record=LeadFactory(owner=people["owner"]), user=people["rep"])
    ShareFactory(record=lead, user=people["rep"])
    assert admin.delete(f"/api/v1/leads/{lead.pk}/?hard=true").status_code == 204
    dispatch()
    assert list(Share.objects.all()) == [kept]


def test_a_key_shares_with_the_scope_to_write_and_names_shares_with_that_to_read(api, people, lead):
    def client(*scopes):
        found = api()
        found.credentials(HTTP_AUTHORIZATION=f"Bearer {keys.make(people['owner'], 'k', list(scopes))[1]}")
        return found

    body = {"user": people["rep"].pk}
    assert client("leads:read").post(shares(lead), body).status_code == 403
    assert client("contacts:write").post(shares(lead), body).status_code == 403
    assert not Share.objects.exists()
    assert client("leads:write").post(shares(lead), body).status_code == 201
    assert client("leads:read").get(shares(lead)).json()["count"] == 1
    assert client("contacts:read").get(shares(lead)).status_code == 403


def test_keys_and_sessions_find_what_is_shared_with_their_user(api, people, lead):
    """Signing a request in finds out whether anything may be shared with its user."""
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {keys.make(people['below'], 'k', ['read'])[1]}")
    signed_in = api()
    login = {"username": people["below"].username, "password": "correct horse battery"}
    token = signed_in.post("/api/auth/login/", login).json()["access"]
    signed_in.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    url = f"/api/v1/leads/{lead.pk}/"
    assert [c.get(url).status_code for c in (client, signed_in)] == [404, 404]
    ShareFactory(record=lead, team=people["west"])
    assert [c.get(url).status_code for c in (client, signed_in)] == [200, 200]


def test_a_share_adds_no_statement_to_a_list(api, people, lead, django_assert_num_queries):
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {keys.make(people['rep'], 'k', ['read'])[1]}")
    LeadFactory(owner=people["rep"])
    client.get("/api/v1/leads/")  # notes the use of the key
    with django_assert_num_queries(3) as before:  # the key, the page, its rows
        assert client.get("/api/v1/leads/").json()["count"] == 1
    assert not any("core_share" in query["sql"] for query in before[1:])
    ShareFactory(record=lead, user=people["rep"])
    with django_assert_num_queries(3):
        assert client.get("/api/v1/leads/").json()["count"] == 2


# ---- Many at once ----


def test_many_are_shared_and_taken_back_at_once(api, people, lead):
    leads = [lead, LeadFactory(owner=people["owner"]), LeadFactory(owner=people["stranger"])]
    given = LeadFactory(owner=people["owner"], assigned_to=people["rep"])
    body = {"ids": [one.pk for one in (*leads, given)], "user": people["rep"].pk}
    client = api(people["owner"])
    answer = client.post("/api/v1/leads/share/", body | {"access": "write"})
    assert answer.status_code == 207, answer.json()
    assert [(row["status"], row.get("code")) for row in answer.json()["results"]] == [
        ("updated", None),
        ("updated", None),
        ("error", "not_found"),
        ("error", "owner"),
    ]
    assert sorted(Share.objects.values_list("object_id", "access")) == [
        (leads[0].pk, "write"),
        (leads[1].pk, "write"),
    ]
    atomic = client.post("/api/v1/leads/unshare/", body | {"mode": "atomic"})
    assert (atomic.status_code, Share.objects.count()) == (400, 2)
    assert client.post("/api/v1/leads/unshare/", body).json()["updated"] == 3
    assert not Share.objects.exists()
    by_filter = {"filter": {"field": "first_name", "op": "eq", "value": "Grace"}, "team": "Inside"}
    assert client.post("/api/v1/leads/share/", by_filter).json()["updated"] == 1
    assert of(lead) == [(None, people["inside"].pk, "read")]
    assert client.post("/api/v1/leads/unshare/", body | {"access": "read"}).status_code == 400


def test_sharing_many_costs_the_same_as_sharing_two(api, people, django_assert_num_queries):
    ids = [LeadFactory(owner=people["owner"]).pk for _ in range(30)]
    client = api(people["owner"])

    def cost(count):
        body = {"ids": ids[:count], "user": people["rep"].pk}
        with django_assert_num_queries(11, exact=False) as made:
            assert client.post("/api/v1/leads/share/", body).json()["updated"] == count
        return len(made)

    assert cost(2) == cost(30)


# ---- Why ----


def reasons(access):
    return (
        access["sees"],
        access["changes"],
        [reason["code"] for reason in access["reasons"]],
        access["share"],
    )


def test_access_says_through_whom_to_do_what_and_until_when(api, people, lead, admin_user):
    with_user = ShareFactory(record=lead, user=people["rep"], expires_at=TOMORROW)
    with_team = ShareFactory(record=lead, team=people["west"], access="write")
    found = api(admin_user).get(f"/api/v1/leads/{lead.pk}/access/").json()
    through = {
        "id": with_team.pk,
        "access": "write",
        "expires_at": None,
        "team": {"id": people["west"].pk, "name": "West"},
    }
    assert {row["user"]["id"]: reasons(row) for row in found["users"]} == {
        admin_user.pk: (True, True, ["admin"], None),
        people["owner"].pk: (True, True, ["owner"], None),
        people["rep"].pk: (True, True, ["shared_with_team"], through),
        people["below"].pk: (True, True, ["shared_with_team"], through),
        people["viewer"].pk: (True, False, ["shared_with_team"], through),
    }
    assert found["count"] == 5
    with_team.delete()
    asked = api(people["rep"]).get(f"/api/v1/leads/{lead.pk}/access/").json()["asked"]
    assert reasons(asked)[:3] == (True, False, ["shared"])
    assert asked["share"]["id"] == with_user.pk
    with_user.delete()
    assert api(people["rep"]).get(f"/api/v1/leads/{lead.pk}/access/").status_code == 404


def test_the_timeline_says_with_whom(api, people, lead):
    client = api(people["owner"])
    made = client.post(shares(lead), {"user": people["rep"].pk}).json()
    client.post(shares(lead), {"user": people["rep"].pk, "access": "write"})
    client.post(shares(lead), {"team": "West"})
    client.delete(f"{shares(lead)}{made['id']}/")
    found = client.get(f"/api/v1/leads/{lead.pk}/timeline/", {"kind": "share"}).json()["results"]
    assert [entry["title"] for entry in found] == [
        "no longer shared with Ada Byron",
        "shared with team West to read",
        "shared with Ada Byron to change",
        "shared with Ada Byron to read",
    ]
    assert {entry["actor"]["full_name"] for entry in found} == {"Olive Owner"}
    assert found[2]["data"]["changes"] == {"access": {"old": "read", "new": "write"}}
    other = LeadFactory(owner=people["owner"])
    assert client.get(f"/api/v1/leads/{other.pk}/timeline/", {"kind": "share"}).json()["results"] == []


def test_what_belongs_to_a_shared_record_is_not_shared_with_it(api, people):
    company = record("company", "Acme", owner=people["owner"])
    contact = record("contact", "Ada", owner=people["owner"], company=company)
    ShareFactory(record=company, user=people["rep"], access="write")
    client = api(people["rep"])
    assert client.get(f"/api/v1/contacts/{contact.pk}/").status_code == 404
    note = {"company": company.pk, "body": "Seen."}
    assert client.post("/api/v1/comments/", note).status_code == 201
    assert client.get("/api/v1/comments/", {"company": company.pk}).json()["count"] == 1
    assert api(people["stranger"]).get("/api/v1/comments/", {"company": company.pk}).json()["count"] == 0
