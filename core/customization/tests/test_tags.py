"""Tags in use, and changing them on many records at once."""

import pytest

from core.changes.models import Change, Outbox
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/tags/"


def lead(*tags, **fields):
    return LeadFactory(first_name="Ada", tags=list(tags), **fields)


def tags_of(*records):
    found = dict(Lead.objects.values_list("pk", "tags"))
    return [found[record.pk] for record in records]


def listed(client, **params):
    return [(r["entity"], r["tag"], r["count"]) for r in client.get(URL, params).json()["results"]]


def test_tags_in_use_come_with_how_often_the_commonest_first(admin):
    lead("vip", "east")
    lead("vip")
    lead("archived only", archived_at="2030-01-01T00:00Z")
    admin.post("/api/v1/contacts/", {"first_name": "Ada", "tags": ["vip"]})
    assert listed(admin) == [("lead", "vip", 2), ("lead", "east", 1), ("contact", "vip", 1)]
    assert listed(admin, entity="contact") == [("contact", "vip", 1)]
    assert listed(admin, search="EA") == [("lead", "east", 1)]
    assert listed(admin, search="nothing") == []


def test_pages_of_tags(admin):
    lead(*(f"t{i}" for i in range(5)))
    first = admin.get(URL, {"page_size": 2}).json()
    assert (first["count"], len(first["results"]), first["previous"]) == (5, 2, None)
    second = admin.get(first["next"]).json()
    assert [r["tag"] for r in second["results"]] == ["t2", "t3"]
    assert admin.get(URL, {"page_size": 2, "page": 4}).status_code == 404


def test_only_tags_of_records_one_sees_are_counted(api, rep):
    lead("secret")
    lead("mine", owner=rep)
    assert listed(api(rep)) == [("lead", "mine", 1)]


def test_renaming_keeps_the_place_and_leaves_no_repetition(admin, admin_user):
    one, two, three = lead("a", "vip", "z"), lead("VIP", "vip"), lead("other")
    Outbox.objects.all().delete()
    response = admin.post(f"{URL}rename/", {"entity": "lead", "tag": "vip", "to": "VIP"})
    assert response.json() == {"updated": 2}
    assert tags_of(one, two, three) == [["a", "VIP", "z"], ["VIP"], ["other"]]
    assert Outbox.objects.count() == 1
    change = Change.objects.filter(entity="lead", object_id=one.pk).latest("id")
    assert (change.actor_id, change.source) == (admin_user.pk, "api")
    assert change.changes == {"tags": [["a", "vip", "z"], ["a", "VIP", "z"]]}


def test_merging_puts_one_in_the_place_of_several(admin):
    one, two = lead("red", "x", "blue"), lead("blue", archived_at="2030-01-01T00:00Z")
    response = admin.post(f"{URL}merge/", {"entity": "lead", "tags": ["blue", "red"], "to": "colour"})
    assert response.json() == {"updated": 2}
    assert tags_of(one, two) == [["colour", "x"], ["colour"]]


def test_deleting_takes_them_away(admin):
    one, two = lead("red", "x"), lead("y")
    assert admin.post(f"{URL}delete/", {"entity": "lead", "tags": ["red", "never"]}).json() == {"updated": 1}
    assert tags_of(one, two) == [["x"], ["y"]]


def test_only_ones_own_records_are_changed(api, rep, make_user):
    mine, other = lead("vip", owner=rep), lead("vip", owner=make_user("rep"))
    body = {"entity": "lead", "tag": "vip", "to": "gold"}
    assert api(rep).post(f"{URL}rename/", body).json() == {"updated": 1}
    assert tags_of(mine, other) == [["gold"], ["vip"]]


def test_a_viewer_changes_none(api, make_user):
    record = lead("vip")
    client = api(make_user("viewer"))
    assert client.post(f"{URL}delete/", {"entity": "lead", "tags": ["vip"]}).status_code == 403
    assert tags_of(record) == [["vip"]]


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("rename", {"entity": "lead", "tag": "a"}, "to"),
        ("rename", {"entity": "lead", "tag": "a", "to": " "}, "to"),
        ("rename", {"entity": "lead", "tag": "a", "to": "x" * 61}, "to"),
        ("rename", {"entity": "unicorn", "tag": "a", "to": "b"}, "entity"),
        ("rename", {"tag": "a", "to": "b"}, "entity"),
        ("rename", {"entity": "lead", "tag": "a\x00", "to": "b"}, "tag"),
        ("merge", {"entity": "lead", "tags": [], "to": "b"}, "tags"),
        ("merge", {"entity": "lead", "tags": "a", "to": "b"}, "tags"),
        ("merge", {"entity": "lead", "tags": [5], "to": "b"}, "tags"),
        ("delete", {"entity": "lead", "tags": ["a"], "to": "b"}, "to"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(admin, verb, body, field):
    response = admin.post(f"{URL}{verb}/", body)
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "params", [{"entity": "unicorn"}, {"colour": "red"}, {"search": "x" * 201}, {"page": "0"}]
)
def test_what_is_wrong_with_a_query_is_named(admin, params):
    response = admin.get(URL, params)
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == [next(iter(params))]
