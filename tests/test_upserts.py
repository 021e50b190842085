"""Creation in bulk and upserts by external id, for every entity."""

import pytest

from core.accounts import keys
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from core.entities import entities
from opportunities.tests.factories import default_pipeline
from tests.records import ENTITIES, TITLE, record

pytestmark = [pytest.mark.django_db, pytest.mark.parametrize("name", ENTITIES)]


def url(name, path=""):
    return f"/api/v1/{entities[name].plural}/{path}"


def body(name, title="Ada", **fields):
    return {TITLE[name]: title, **fields}


def stored(name, **fields):
    return list(
        entities[name].model.objects.filter(**fields).order_by("pk").values_list(TITLE[name], flat=True)
    )


# ---- Bulk creation ----


def test_each_item_is_created_or_refused_with_its_faults(name, admin, admin_user):
    CustomFieldFactory(entity=name, key="note", type="text")
    items = [
        body(name, "One", external_id="E1", custom_fields={"note": "n"}),
        body(name, "Two", nothing="x", owner=999_999),
        "no object",
        body(name, "Three", external_id="E1"),
        body(name, "Four", external_id="E4"),
    ]
    answer = admin.post(url(name, "bulk_create/"), {"items": items})
    assert answer.status_code == 207
    found = answer.json()
    assert (found["success"], found["created"], found["updated"], found["failed"]) == (True, 2, 0, 3)
    assert [item["index"] for item in found["results"]] == [0, 1, 2, 3, 4]
    assert [item["status"] for item in found["results"]] == ["created", "error", "error", "error", "created"]
    assert {e["field"] for e in found["results"][1]["errors"]} == {"nothing", "owner"}
    assert found["results"][2]["code"] == "invalid"
    assert [(e["field"], e["code"]) for e in found["results"][3]["errors"]] == [("external_id", "unique")]
    made = entities[name].model.objects.get(pk=found["results"][0]["id"])
    assert (made.owner_id, made.created_by_id, made.custom_fields) == (
        admin_user.pk,
        admin_user.pk,
        {"note": "n"},
    )
    assert stored(name) == ["One", "Four"]
    sources = Change.objects.filter(entity=name).values_list("kind", "source", "actor_id")
    assert sorted(sources) == [("created", "bulk", admin_user.pk)] * 2


def test_atomic_creates_all_or_nothing(name, admin):
    items = [body(name, "One"), body(name, "Two", nothing="x")]
    answer = admin.post(url(name, "bulk_create/"), {"items": items, "mode": "atomic"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "items[1].nothing"
    assert stored(name) == []
    assert Change.objects.filter(entity=name).count() == 0


def test_a_repetition_under_its_key_creates_nothing_more(name, admin):
    asked = {"items": [body(name, "One"), body(name, "Two")]}
    first, again = (
        admin.post(url(name, "bulk_create/"), asked, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert (first.status_code, first.json()) == (200, again.json())
    assert again["Idempotency-Replayed"] == "true"
    assert stored(name) == ["One", "Two"]


@pytest.mark.parametrize("items", [None, [], {}, [{}] * 1_001], ids=["none", "empty", "object", "too many"])
def test_what_is_no_list_of_items_is_refused(name, admin, items):
    answer = admin.post(url(name, "bulk_create/"), {"items": items})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "items")


def test_a_thousand_are_created_by_one_request(name, admin):
    items = [body(name, f"N{number}") for number in range(1_000)]
    answer = admin.post(url(name, "bulk_create/"), {"items": items})
    assert (answer.status_code, answer.json()["created"], answer.json()["failed"]) == (200, 1_000, 0)
    assert entities[name].model.objects.count() == 1_000


# ---- Upsert ----


def test_put_creates_and_then_replaces(name, admin):
    address = url(name, "by_external_id/crm-7/")
    first = admin.put(address, body(name, "Ada", tags=["vip"]))
    assert (first.status_code, first.json()["external_id"]) == (201, "crm-7")
    assert first["Location"].endswith(url(name, f"{first.json()['id']}/"))
    again = admin.put(address, body(name, "Eve"))
    assert (again.status_code, again.json()["id"], again.json()["tags"]) == (200, first.json()["id"], [])
    assert stored(name) == ["Eve"]
    read = admin.get(address)
    assert (read.status_code, read.json()["id"], read["ETag"]) == (200, first.json()["id"], again["ETag"])


def test_patch_changes_what_is_given_and_creates_too(name, admin):
    address = url(name, "by-external-id/a/b c/")
    assert admin.patch(address, body(name, "Ada", tags=["vip"])).status_code == 201
    changed = admin.patch(address, body(name, "Eve"))
    assert (changed.status_code, changed.json()["tags"], changed.json()["external_id"]) == (
        200,
        ["vip"],
        "a/b c",
    )


def test_an_upsert_asks_for_the_version(name, admin):
    address = url(name, "by_external_id/E1/")
    absent = admin.put(address, body(name), headers={"If-Match": "*"})
    assert (absent.status_code, stored(name)) == (412, [])
    etag = admin.put(address, body(name))["ETag"]
    assert admin.put(address, body(name, "Eve"), headers={"If-Match": etag}).status_code == 200
    assert admin.put(address, body(name, "Bob"), headers={"If-Match": etag}).status_code == 412
    assert stored(name) == ["Eve"]


def test_another_id_in_the_body_is_refused(name, admin):
    refused = admin.put(url(name, "by_external_id/E1/"), body(name, external_id="E2"))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "external_id")
    assert stored(name) == []


def test_the_record_of_another_is_a_conflict_without_a_word_of_it(name, api, rep, make_user):
    record(name, "Secret", external_id="E1", owner=make_user("rep"))
    client = api(rep)
    for answer in (
        client.put(url(name, "by_external_id/E1/"), body(name)),
        client.patch(url(name, "by_external_id/E1/"), body(name)),
    ):
        assert answer.status_code == 409
        assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [("external_id", "unique")]
        assert "Secret" not in answer.content.decode()
    assert client.get(url(name, "by_external_id/E1/")).status_code == 404
    bulk = client.post(url(name, "bulk_upsert/"), {"items": [body(name, external_id="E1")]})
    assert (bulk.status_code, bulk.json()["results"][0]["code"]) == (207, "unique")
    assert "id" not in bulk.json()["results"][0]
    assert stored(name) == ["Secret"]


def test_an_archived_record_gives_its_id_to_a_new_one(name, admin):
    address = url(name, "by_external_id/E1/")
    old = admin.put(address, body(name)).json()["id"]
    admin.delete(url(name, f"{old}/"))
    assert admin.get(address).status_code == 404
    new = admin.put(address, body(name, "Eve"))
    assert new.status_code == 201
    assert new.json()["id"] != old


def test_a_bulk_upsert_creates_changes_and_refuses(name, admin):
    record(name, "Old", external_id="E1", tags=["vip"])
    items = [
        body(name, "New", external_id="E1"),
        body(name, "Other", external_id="E2"),
        body(name, "Nameless"),
        body(name, "Last", external_id="E2"),
    ]
    answer = admin.post(url(name, "bulk_upsert/"), {"items": items}).json()
    assert [item["status"] for item in answer["results"]] == ["updated", "created", "error", "updated"]
    assert (answer["created"], answer["updated"], answer["failed"]) == (1, 2, 1)
    assert answer["results"][2]["errors"][0] == {
        "field": "external_id",
        "code": "required",
        "message": "This field is required.",
    }
    assert stored(name) == ["New", "Last"]
    assert entities[name].model.objects.get(external_id="E1").tags == ["vip"]


def test_who_may_only_look_writes_nothing(name, api, make_user):
    client = api(make_user("viewer"))
    assert client.put(url(name, "by_external_id/E1/"), body(name)).status_code == 403
    assert client.patch(url(name, "by_external_id/E1/"), body(name)).status_code == 403
    for verb in ("bulk_create/", "bulk_upsert/"):
        assert client.post(url(name, verb), {"items": [body(name, external_id="E1")]}).status_code == 403
    assert stored(name) == []


def test_a_key_needs_the_scope_of_writing(name, api, rep):
    plural = entities[name].plural
    reading, writing = (keys.make(rep, "k", [f"{plural}:{what}"])[1] for what in ("read", "write"))
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {reading}")
    assert client.put(url(name, "by_external_id/E1/"), body(name)).status_code == 403
    assert client.post(url(name, "bulk_create/"), {"items": [body(name)]}).status_code == 403
    assert stored(name) == []
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {writing}")
    assert client.put(url(name, "by_external_id/E1/"), body(name)).status_code == 201
    assert client.get(url(name, "by_external_id/E1/")).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_four_upserts_at_once_one_creates(name, api, admin_user, at_once):
    default_pipeline()
    address = url(name, "by_external_id/E1/")
    works = [lambda n=n: api(admin_user).put(address, body(name, f"N{n}")) for n in range(4)]
    answers = at_once(*works)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(stored(name)) == 1


@pytest.mark.django_db(transaction=True)
def test_bulk_upserts_at_once_in_opposite_orders_both_end(name, api, admin_user, at_once):
    default_pipeline()
    items = [body(name, f"N{n}", external_id=f"E{n:02}") for n in range(20)]
    answers = at_once(
        lambda: api(admin_user).post(url(name, "bulk_upsert/"), {"items": items}),
        lambda: api(admin_user).post(url(name, "bulk_upsert/"), {"items": items[::-1]}),
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(answer.json()["created"] for answer in answers) == [0, 20]
    assert len(stored(name)) == 20
