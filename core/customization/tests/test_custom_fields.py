"""Custom fields: defining them, and what they do to the records of their entity."""

import pytest

from core.changes.models import Change, Outbox
from core.customization.tests.factories import CustomFieldFactory
from core.entities.bulk import Bulk
from core.entities.models import CustomField
from lead_management.entity import LEAD
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/custom_fields/"
LEADS = "/api/v1/leads/"


def define(key="size", type="number", entity="lead", **more):
    choices = {"choices": ["Red", "Blue"]} if "choice" in type else {}
    body = {"entity": entity, "key": key, "label": key.title(), "type": type}
    return body | choices | more


def defined(**fields):
    return CustomFieldFactory(**define(**fields))


def lead(**custom):
    return LeadFactory(first_name="Ada", custom_fields=custom)


def errors(response):
    assert response.status_code == 400, response.content
    return [(e["field"], e["code"]) for e in response.json()["errors"]]


def test_a_definition_is_made_read_changed_and_listed(admin, api, rep):
    made = admin.post(URL, define(help_text="In metres"))
    assert made.status_code == 201
    body = made.json()
    assert {k: body[k] for k in ("entity", "key", "type", "required", "unique", "default", "choices")} == {
        "entity": "lead", "key": "size", "type": "number", "required": False, "unique": False,
        "default": None, "choices": [],
    }  # fmt: skip
    assert admin.patch(f"{URL}{body['id']}/", {"label": "Length"}).json()["label"] == "Length"
    defined(entity="contact")
    assert [f["label"] for f in api(rep).get(URL, {"entity": "lead"}).json()["results"]] == ["Length"]
    change = Change.objects.filter(entity="custom_field", object_id=body["id"]).latest("id")
    assert (change.source, change.changes) == ("api", {"label": ["Size", "Length"]})


@pytest.mark.parametrize("role", ["manager", "rep", "viewer"])
def test_only_administrators_define(api, make_user, role):
    client, field = api(make_user(role)), defined()
    assert client.post(URL, define(key="other")).status_code == 403
    assert client.patch(f"{URL}{field.pk}/", {"label": "X"}).status_code == 403
    assert client.delete(f"{URL}{field.pk}/").status_code == 403
    assert CustomField.objects.get().label == "Size"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"entity": "unicorn"}, ("entity", "invalid_choice")),
        ({"key": "Size"}, ("key", "invalid")),
        ({"key": "a-b"}, ("key", "invalid")),
        ({"key": "a\nb"}, ("key", "invalid")),
        ({"type": "blob"}, ("type", "invalid_choice")),
        ({"type": "choice"}, ("choices", "invalid")),
        ({"choices": ["a"]}, ("choices", "invalid")),
        ({"type": "choice", "choices": ["Red", "red"]}, ("choices", "unique")),
        ({"type": "choice", "choices": ["Red", " "]}, ("choices.1", "blank")),
        ({"default": "big"}, ("default", "invalid")),
        ({"default": [1]}, ("default", "invalid")),
        ({"default": {"a": "b"}}, ("default", "invalid")),
        ({"type": "choice", "choices": ["Red"], "default": "green"}, ("default", "invalid_choice")),
        ({"unique": True, "default": 5}, ("default", "invalid")),
        ({"type": "boolean", "unique": True}, ("unique", "invalid")),
        ({"type": "multi_choice", "choices": ["a"], "unique": True}, ("unique", "invalid")),
        ({"colour": "red"}, ("colour", "unknown_field")),
        ({"id": 5}, ("id", "read_only")),
        ({"label": ""}, ("label", "blank")),
        ({"label": "a\x00b"}, ("label", "null_characters_not_allowed")),
    ],
)
def test_a_definition_that_cannot_be_is_refused_by_its_field(admin, wrong, expected):
    assert errors(admin.post(URL, define() | wrong)) == [expected]
    assert not CustomField.objects.exists()


def test_a_key_is_there_once_per_entity(admin):
    defined()
    assert admin.post(URL, define()).status_code in (400, 409)
    assert admin.post(URL, define(entity="contact")).status_code == 201


@pytest.mark.parametrize("change", [{"type": "text"}, {"key": "length"}, {"entity": "contact"}])
def test_entity_key_and_type_stay(admin, change):
    field = defined()
    assert errors(admin.patch(f"{URL}{field.pk}/", change)) == [(next(iter(change)), "immutable")]
    assert admin.patch(f"{URL}{field.pk}/", {"type": "number", "label": "Same type"}).status_code == 200


def test_a_default_is_stored_in_its_own_type_and_given_to_new_records(admin):
    assert admin.post(URL, define(key="budget", type="money", default="5")).json()["default"] == "5.00"
    assert admin.post(URL, define(key="colour", type="choice", default="RED")).json()["default"] == "Red"
    made = admin.post(LEADS, {"first_name": "Ada"}).json()
    assert made["custom_fields"] == {"budget": "5.00", "colour": "Red"}
    given = admin.post(LEADS, {"first_name": "Ada", "custom_fields": {"colour": "blue"}}).json()
    assert given["custom_fields"] == {"budget": "5.00", "colour": "Blue"}
    url = f"{LEADS}{made['id']}/"
    assert admin.patch(url, {"custom_fields": {"colour": None}}).json()["custom_fields"] == {"budget": "5.00"}


@pytest.mark.parametrize(
    ("type", "given", "stored"),
    [
        ("text", "  hello ", "hello"),
        ("number", "2.50", 2.5),
        ("number", 7, 7),
        ("money", 12.5, "12.50"),
        ("date", "2030-01-31", "2030-01-31"),
        ("datetime", "2030-01-31T09:00:00+02:00", "2030-01-31T07:00:00Z"),
        ("boolean", "yes", True),
        ("boolean", False, False),
        ("choice", "BLUE", "Blue"),
        ("multi_choice", ["blue", "RED", "blue"], ["Blue", "Red"]),
        ("url", "example.com/x", "https://example.com/x"),
    ],
)
def test_values_are_kept_in_the_form_of_their_type(admin, type, given, stored):
    defined(key="it", type=type)
    response = admin.post(LEADS, {"first_name": "Ada", "custom_fields": {"it": given}})
    assert response.json()["custom_fields"] == {"it": stored}
    assert Lead.objects.get().custom_fields == {"it": stored}
    found = admin.get(LEADS, {"fields": "id,custom_fields.it"}).json()["results"][0]
    assert found["custom_fields.it"] == stored


@pytest.mark.parametrize(
    ("type", "given", "code"),
    [
        ("text", 5, "invalid"),
        ("text", "a\x00b", "null_characters_not_allowed"),
        ("text", "x" * 5_001, "max_length"),
        ("number", "NaN", "invalid"),
        ("number", "1.1234567", "max_decimal_places"),
        ("number", 10**16, "max_digits"),
        ("money", True, "invalid"),
        ("date", "31.1.2030", "invalid"),
        ("datetime", "soon", "invalid"),
        ("boolean", "perhaps", "invalid"),
        ("choice", "green", "invalid_choice"),
        ("choice", ["Red"], "invalid_choice"),
        ("multi_choice", "Red", "not_a_list"),
        ("multi_choice", ["Red", "green"], "invalid_choice"),
        ("user", 999_999, "does_not_exist"),
        ("user", "me", "incorrect_type"),
        ("url", "javascript:alert(1)", "invalid"),
    ],
)
def test_values_of_another_type_are_refused_by_their_path(admin, type, given, code):
    defined(key="it", type=type)
    response = admin.post(LEADS, {"first_name": "Ada", "custom_fields": {"it": given}})
    assert errors(response) == [("custom_fields.it", code)]
    assert not Lead.objects.exists()


@pytest.mark.parametrize("given", ["text", 5, [], [1], False, 0, ""])
def test_custom_fields_are_an_object(admin, given):
    response = admin.post(LEADS, {"first_name": "Ada", "custom_fields": given})
    assert errors(response) == [("custom_fields", "not_an_object")]


def test_a_required_field_must_be_given_and_kept(admin):
    defined(key="colours", type="multi_choice", required=True)
    assert errors(admin.post(LEADS, {"first_name": "Ada"})) == [("custom_fields.colours", "required")]
    empty = admin.post(LEADS, {"first_name": "Ada", "custom_fields": {"colours": []}})
    assert errors(empty) == [("custom_fields.colours", "blank")]
    made = admin.post(LEADS, {"first_name": "Ada", "custom_fields": {"colours": ["Red"]}}).json()
    url = f"{LEADS}{made['id']}/"
    assert admin.patch(url, {"city": "Turin"}).status_code == 200
    for nothing in (None, [], ""):
        assert errors(admin.patch(url, {"custom_fields": {"colours": nothing}})) == [
            ("custom_fields.colours", "blank")
        ]


def test_a_unique_value_is_one_live_records_alone(admin):
    defined(key="code", type="text", unique=True)
    one = admin.post(LEADS, {"first_name": "One", "custom_fields": {"code": "A"}}).json()
    again = admin.post(LEADS, {"first_name": "Two", "custom_fields": {"code": "A"}})
    assert errors(again) == [("custom_fields.code", "unique")]
    two = admin.post(LEADS, {"first_name": "Two", "custom_fields": {"code": "B"}}).json()
    patch = admin.patch(f"{LEADS}{two['id']}/", {"custom_fields": {"code": "A"}})
    assert errors(patch) == [("custom_fields.code", "unique")]
    assert admin.patch(f"{LEADS}{one['id']}/", {"custom_fields": {"code": "A"}}).status_code == 200
    for _ in range(2):
        assert admin.post(LEADS, {"first_name": "None"}).status_code == 201


def test_an_archived_record_comes_back_only_while_its_unique_values_are_free(admin):
    defined(key="code", type="text", unique=True)
    old = admin.post(LEADS, {"first_name": "Old", "custom_fields": {"code": "A"}}).json()
    url = f"{LEADS}{old['id']}/"
    admin.delete(url)
    new = admin.post(LEADS, {"first_name": "New", "custom_fields": {"code": "A"}}).json()
    refused = admin.post(f"{url}restore/")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/unique")
    assert admin.get(url).status_code == 404
    admin.delete(f"{LEADS}{new['id']}/")
    assert admin.post(f"{url}restore/").status_code == 200


def test_archived_records_with_one_value_do_not_all_come_back_at_once(admin, admin_user):
    defined(key="code", type="text", unique=True)
    ids = [lead(code=code).pk for code in ("A", "A", "B")]
    Lead.objects.update(archived_at="2030-01-01T00:00Z")
    result = Bulk(LEAD, admin_user, ids).restore()
    assert (result.done, result.failed.keys()) == ({ids[0], ids[2]}, {ids[1]})
    assert Lead.objects.get(pk=ids[1]).archived_at is not None


def test_a_bulk_change_merges_custom_fields_in_one_statement(admin):
    for key in ("size", "note", "gone"):
        defined(key=key, type="text")
    ids = [lead(size="1", gone="x").pk, lead(note="kept", gone="y").pk, lead().pk]
    Outbox.objects.all().delete()
    body = {"ids": ids, "action": "update", "data": {"custom_fields": {"size": "9", "gone": None}}}
    assert admin.post(f"{LEADS}bulk_update/", body).json()["updated"] == 3
    stored = dict(Lead.objects.values_list("pk", "custom_fields"))
    assert [stored[pk] for pk in ids] == [{"size": "9"}, {"note": "kept", "size": "9"}, {"size": "9"}]
    assert Outbox.objects.get().rows == 3


def test_a_bulk_change_gives_a_unique_value_to_no_two_records(admin):
    defined(key="code", type="text", unique=True)
    ids = [lead().pk, lead().pk]
    body = {"ids": ids, "action": "update", "data": {"custom_fields": {"code": "A"}}}
    assert errors(admin.post(f"{LEADS}bulk_update/", body)) == [("data.custom_fields.code", "unique")]
    assert admin.post(f"{LEADS}bulk_update/", body | {"ids": ids[:1]}).json()["updated"] == 1
    assert [record.custom_fields for record in Lead.objects.order_by("pk")] == [{"code": "A"}, {}]


def test_a_field_becomes_unique_only_while_all_live_values_differ(admin):
    field = defined(key="code", type="text")
    one, _ = lead(code="A"), lead(code="A")
    url = f"{URL}{field.pk}/"
    refused = admin.patch(url, {"unique": True})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/unique")
    Lead.objects.filter(pk=one.pk).update(archived_at="2030-01-01T00:00Z")
    assert admin.patch(url, {"unique": True}).json()["unique"] is True


@pytest.mark.parametrize("type", ["choice", "multi_choice"])
def test_a_choice_in_use_cannot_be_taken_away(admin, type):
    field = defined(key="colour", type=type)
    lead(colour=["Red"] if type == "multi_choice" else "Red")
    url = f"{URL}{field.pk}/"
    refused = admin.patch(url, {"choices": ["Blue", "Green"]})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/in-use")
    assert admin.patch(url, {"choices": ["Red", "Green"]}).json()["choices"] == ["Red", "Green"]


def test_deleting_a_field_takes_its_values_along_in_one_statement(admin, admin_user):
    field = defined(key="size")
    one, two, other = lead(size=5, kept=1), lead(size=6), lead(kept=1)
    assert admin.delete(f"{URL}{field.pk}/").status_code == 204
    assert [record.custom_fields for record in Lead.objects.order_by("pk")] == [{"kept": 1}, {}, {"kept": 1}]
    found = Change.objects.filter(entity="lead", kind="updated").order_by("id")
    assert [(c.object_id, c.actor_id, c.source) for c in found] == [
        (one.pk, admin_user.pk, "api"),
        (two.pk, admin_user.pk, "api"),
    ]
    assert found[0].changes == {"custom_fields": [{"size": 5, "kept": 1}, {"kept": 1}]}
    assert Lead.objects.get(pk=other.pk).version == 1
    defined(key="size", type="text")
    assert admin.get(LEADS, {"custom_fields.size": "5"}).json()["count"] == 0


def test_custom_fields_order_search_and_filter(admin):
    defined(key="size")
    defined(key="note", type="text", searchable=True)
    defined(key="silent", type="text")
    a, b, c = lead(size=9, note="Blue moon"), lead(size=10, silent="Blue"), lead()

    def ids(**params):
        return [row["id"] for row in admin.get(LEADS, params).json()["results"]]

    assert ids(ordering="custom_fields.size") == [a.pk, b.pk, c.pk]
    assert ids(ordering="-custom_fields.size") == [b.pk, a.pk, c.pk]
    assert ids(search="blue") == [a.pk]
    assert ids(**{"custom_fields.size__gte": "9.5"}) == [b.pk]
    assert ids(**{"custom_fields.size__is_empty": "true"}) == [c.pk]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("999999999.123456", 999999999.123456), ("999999999999999", 999999999999999), ("-0.000001", -0.000001)],
)
def test_a_number_is_kept_exactly(admin, given, kept):
    defined()
    made = admin.post(LEADS, {"first_name": "Ada", "custom_fields": {"size": given}})
    assert made.json()["custom_fields"] == {"size": kept}
    found = admin.get(LEADS, {"custom_fields.size": given}).json()["results"]
    assert [lead["id"] for lead in found] == [made.json()["id"]]


@pytest.mark.parametrize("given", ["999999999999999.123456", "9007199254740993.5", 0.1234567])
def test_a_number_with_more_digits_than_are_kept_is_refused_and_not_rounded(admin, given):
    defined()
    made = admin.post(LEADS, {"first_name": "Ada", "custom_fields": {"size": given}})
    [(field, code)] = errors(made)
    assert (field, code in ("max_digits", "max_decimal_places")) == ("custom_fields.size", True)
    assert not Lead.objects.exists()
