"""Whatever is sent, the answer is a problem document that names what is wrong, and nothing is written."""

from contextlib import suppress

import orjson
import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from core.changes.models import Change
from core.conditions.filters import filterset_of
from core.entities import entities
from core.errors import InvalidError
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
RESOURCES = ["leads", "contacts", "companies", "opportunities", "tasks"]
MINIMAL = {
    "leads": {"first_name": "Ada"},
    "contacts": {"first_name": "Ada"},
    "companies": {"name": "Engines"},
    "opportunities": {"name": "Deal"},
    "tasks": {"title": "Call", "due_date": "2030-01-31T09:00:00Z"},
}
LEADS = "/api/v1/leads/"


def refused(response, status=400):
    """The names of the fields in a problem document of this status."""
    assert response.status_code == status, response.content[:500]
    assert response["Content-Type"] == "application/problem+json"
    body = orjson.loads(response.content)
    assert body["status"] == status
    assert body["request_id"] == response["X-Request-ID"]
    return [e["field"] for e in body.get("errors", [])]


@pytest.fixture
def raw(admin):
    """raw(method, url, text, content_type) → the answer to a body that need not be JSON."""

    def send(method, url, text, content_type="application/json"):
        data = text if isinstance(text, bytes) else text.encode()
        return admin.generic(method, url, data, content_type=content_type)

    return send


@pytest.fixture
def nothing_written(admin):
    before = Change.objects.count()
    yield
    assert Change.objects.count() == before


# -- bodies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"{not json", b"", b"\xff\xfe{}", b'{"first_name": NaN}', b'{"first_name": Infinity}', b"{} {}",
        b'{"first_name": "\\ud800"}', b"{" * 2_000, b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"first_name": "\xed\xa0\x80"}', b"'single'", b'{"a": 1,}',
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nothing_written")
def test_a_body_that_is_no_sound_json_is_refused(raw, text):
    for method, url in (("POST", LEADS), ("POST", f"{LEADS}bulk_update/"), ("POST", "/api/v1/saved_views/")):
        refused(raw(method, url, text))


@pytest.mark.parametrize("body", ["[]", "null", "5", '"text"', "true", "[{}]", "[[]]"])
@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.usefixtures("nothing_written")
def test_an_object_is_expected(raw, resource, body):
    url = f"/api/v1/{resource}/"
    refused(raw("POST", url, body))
    refused(raw("POST", f"{url}bulk_update/", body))
    refused(raw("POST", f"{url}assign/", body))


@pytest.mark.parametrize("body", ["[]", '[{"create_opportunity": false}]', "5", '"text"', "true"])
def test_verbs_expect_objects_too(raw, body):
    lead = LeadFactory(first_name="Ada")
    refused(raw("POST", f"{LEADS}{lead.pk}/convert/", body))
    lead.refresh_from_db()
    assert lead.status == "new"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "",
        "///",
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_another_content_type_is_415(raw, content_type):
    for url in (LEADS, f"{LEADS}bulk_update/", "/api/v1/custom_fields/"):
        refused(raw("POST", url, '{"first_name": "Ada"}', content_type), 415)


@pytest.mark.usefixtures("nothing_written")
def test_a_body_larger_than_the_limit_is_413(raw, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    refused(raw("POST", LEADS, orjson.dumps({"first_name": "x" * 1_000})), 413)


def test_a_file_of_the_import_wizard_may_be_as_large_as_one_of_the_api(client, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    file = SimpleUploadedFile("leads.csv", b"x" * 2_000)
    answer = client.post("/admin/core/importjob/new/", {"file": file})
    assert answer.headers["location"].startswith("/admin/login/"), "it came through and asks who one is"
    assert client.post("/admin/core/importjob/map/", {"header": "x" * 2_000}).status_code == 413


@pytest.mark.usefixtures("nothing_written")
def test_deep_json_is_refused_with_an_idempotency_key_as_well(admin):
    deep = b'{"custom_fields":' + b'{"a":' * 300 + b"1" + b"}" * 301
    response = admin.generic("POST", LEADS, deep, content_type="application/json", HTTP_IDEMPOTENCY_KEY="k")
    refused(response)


# -- fields -------------------------------------------------------------------------------------

POISONS = {
    "nul": "a\x00b",
    "twenty digits": 99_999_999_999_999_999_999,
    "long number": "9" * 400,
    "huge exponent": "1e999",
    "not a number": "NaN",
    "a list": ["a", ["b"]],
    "an object": {"a": {"b": 1}},
    "a long text": "x" * 60_001,
    "a negative": -1,
    "true": True,
    "a lone surrogate, escaped": "\\ud800\x00",
}


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("resource", RESOURCES)
def test_no_field_crashes_on_any_value(admin, resource, poison):
    """Every writable field gets it; whatever is not accepted is named."""
    entity = next(e for e in entities if e.plural == resource)
    url = f"/api/v1/{resource}/"
    for column in entity.columns:
        response = admin.post(url, MINIMAL[resource] | {column.name: POISONS[poison]})
        assert response.status_code in (201, 400), (column.name, response.content[:300])
        if response.status_code == 400:
            names = refused(response)
            assert all(name.partition(".")[0] == column.name for name in names) or column.name in str(names)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.usefixtures("nothing_written")
def test_every_column_of_the_table_that_is_not_offered_is_refused(admin, resource):
    entity = next(e for e in entities if e.plural == resource)
    writable = {name for name, c in entity.by_input_name.items() if c.writable}
    stored = {f.name for f in entity.model._meta.get_fields()} | {
        f.attname for f in entity.model._meta.concrete_fields
    }
    for name in sorted(stored - writable):
        names = refused(admin.post(f"/api/v1/{resource}/", MINIMAL[resource] | {name: 1}))
        assert names == [name]


@pytest.mark.usefixtures("nothing_written")
def test_a_field_given_under_two_names_is_refused(admin):
    body = {"first_name": "Ada", "source": "website", "lead_source": "referral"}
    assert refused(admin.post(LEADS, body)) == ["lead_source"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ids": [1], "action": []}, "action"),
        ({"ids": [1], "action": {"a": 1}}, "action"),
        ({"ids": [1], "action": "explode"}, "action"),
        ({"ids": [1], "action": "update"}, "data"),
        ({"ids": [1], "action": "update", "data": []}, "data"),
        ({"ids": [1], "action": "update", "data": None}, "data"),
        ({"ids": [1], "action": "update", "data": {"nope": 1}}, "data.nope"),
        ({"ids": [1], "action": "update", "data": {"id": 1}}, "data.id"),
        ({"ids": [1], "action": "update", "data": {"status": "nope"}}, "data.status"),
        ({"ids": [1], "action": "update", "data": {"owner": 10**18}}, "data.owner"),
        ({"ids": [1], "action": "assign", "data": {"assigned_to": "me"}}, "assigned_to"),
        ({"ids": [1], "action": "assign", "data": {"assigned_to": 10**18}}, "assigned_to"),
        ({"ids": [1], "action": "assign", "data": {"users": []}}, "users"),
        ({"ids": [1], "action": "assign", "data": {"users": [1], "method": "x"}}, "method"),
        ({"ids": [1], "action": "assign", "data": {"users": [1], "method": []}}, "method"),
        ({"ids": [1], "action": "assign", "data": {"assigned_to": 1, "users": [1]}}, "assigned_to"),
        ({"ids": [1], "action": "assign", "data": {"assigned_to": 1, "note": "x"}}, "data.note"),
        ({"ids": [1], "action": "assign", "data": []}, "assigned_to"),
        ({"ids": [1], "action": "delete", "data": {"x": 1}}, "data"),
        ({"ids": [], "action": "delete"}, "ids"),
        ({"ids": "1,2", "action": "delete"}, "ids"),
        ({"ids": [[1]], "action": "delete"}, "ids"),
        ({"ids": [None], "action": "delete"}, "ids"),
        ({"ids": [True], "action": "delete"}, "ids"),
        ({"ids": [-1], "action": "delete"}, "ids"),
        ({"ids": [1.5], "action": "delete"}, "ids"),
        ({"ids": [10**20], "action": "delete"}, "ids"),
        ({"ids": list(range(10_001)), "action": "delete"}, "ids"),
        ({"action": "delete"}, "ids"),
        ({"ids": [1], "filter": {"city": "A"}, "action": "delete"}, "ids"),
        ({"filter": {}, "action": "delete"}, "filter"),
        ({"filter": [], "action": "delete"}, "filter"),
        ({"filter": [{}], "action": "delete"}, "filter[0]"),
        ({"filter": {"any": [{}]}, "action": "delete"}, "filter.any[0]"),
        ({"filter": {"not": {}}, "action": "delete"}, "filter.not"),
        ({"filter": {"nope": 1}, "action": "delete"}, "filter.nope"),
        ({"filter": "all", "action": "delete"}, "filter"),
        ({"ids": [1], "action": "delete", "mode": "rough"}, "mode"),
        ({"ids": [1], "action": "delete", "mode": []}, "mode"),
        ({"ids": [1], "action": "delete", "force": True}, "force"),
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_a_bulk_body_that_is_wrong_is_named(admin, body, field):
    assert refused(admin.post(f"{LEADS}bulk_update/", body)) == [field]


# -- addresses and queries ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "pk",
    [
        "abc",
        "0",
        "-1",
        "1.5",
        "99999999999999999999",
        "9223372036854775807",
        "%00",
        "1%00",
        "%D9%A1",
        "1e3",
        "0x1",
    ],
)
@pytest.mark.parametrize("resource", [*RESOURCES, "pipelines", "custom_fields", "saved_views"])
def test_an_id_nobody_has_is_not_found(admin, resource, pk):
    refused(admin.get(f"/api/v1/{resource}/{pk}/"), 404)
    assert admin.patch(f"/api/v1/{resource}/{pk}/", {}).status_code in (404, 405)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("nope=1", "nope"),
        ("owner__password=x", "owner__password"),
        ("_connector=OR", "_connector"),
        ("__=1", "__"),
        ("=1", ""),
        ("ordering=password", "ordering"),
        ("ordering=owner__password", "ordering"),
        ("ordering=-", "ordering"),
        ("ordering=,", "ordering"),
        ("ordering=--id", "ordering"),
        ("ordering=%3F", "ordering"),
        ("fields=password", "fields"),
        ("expand=password", "expand"),
        ("expand=notes", "expand"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=1&page=2", "page"),
        ("page=99999999999999999999", "page"),
        ("page_size=0", "page_size"),
        ("page_size=1&page_size=2", "page_size"),
        ("page_size=%D9%A1", "page_size"),
        ("cursor=garbage", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=&cursor=x", "cursor"),
        ("cursor=&page=2", "page"),
        ("search=%00", "search"),
        ("search=" + "x" * 201, "search"),
        ("archived=perhaps", "archived"),
        ("archived=true&archived=false", "archived"),
        ("view=x", "view"),
        ("conditions={", "conditions"),
        ("conditions=null", "conditions"),
        ("conditions=", "conditions"),
        ("conditions=5", "conditions"),
        ("conditions=" + "[" * 500 + "]" * 500, "conditions" + "[0]" * 9),
        ("id=99999999999999999999", "id"),
        ("id=x", "id"),
        ("city=%00", "city"),
        ("created_at=0000-01-01", "created_at"),
        ("created_at__gte=9999-12-31T23:59:59-14:00", "created_at__gte"),
        ("tags=", "tags"),
        ("custom_fields=1", "custom_fields"),
    ],
)
def test_a_query_that_is_wrong_is_named(admin, query, field):
    LeadFactory(first_name="Ada")
    assert refused(admin.get(f"{LEADS}?{query}")) == [field]


TEXTS = ("", "x", "-1", "99999999999999999999", "1e400", "2026-13-45", "%\\'(", "a,b", "1,2,3", "NaN")


@pytest.mark.parametrize("resource", RESOURCES)
def test_no_filter_crashes_on_any_text(rep, resource):
    """Every operator of every column with texts of all kinds: refused by its name, or good SQL."""
    entity = next(e for e in entities if e.plural == resource)
    filterset, accepted = filterset_of(entity), 0
    for name in filterset.base_filters:
        rows = entity.model.objects.none()
        for text in TEXTS:
            with suppress(InvalidError):
                rows |= filterset({name: text}, user=rep).checked
                accepted += 1
        assert not rows.exists()
    assert accepted > 500


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("get", f"{LEADS}{{pk}}/?nope=1"),
        ("post", f"{LEADS}?nope=1"),
        ("patch", f"{LEADS}{{pk}}/?nope=1"),
        ("delete", f"{LEADS}{{pk}}/?nope=1"),
        ("get", f"{LEADS}{{pk}}/history/?nope=1"),
        ("post", f"{LEADS}bulk_update/?nope=1"),
    ],
)
def test_unknown_parameters_are_refused_at_every_address(admin, method, url):
    lead = LeadFactory(first_name="Ada")
    sent = {"first_name": "Bob"} if method in ("post", "patch") else None
    response = getattr(admin, method)(url.format(pk=lead.pk), sent)
    assert refused(response) == ["nope"]
    lead.refresh_from_db()
    assert (Lead.objects.count(), lead.archived_at, lead.first_name) == (1, None, "Ada")


def test_an_address_that_is_not_there_is_a_problem_too(admin):
    for url in ("/api/v1/unicorns/", "/api/v1/leads/1/unknown_verb/", "/api/v2/leads/"):
        refused(admin.get(url), 404)


def test_a_method_that_is_not_there_is_405(admin):
    response = admin.post(f"{LEADS}statistics/", {})
    refused(response, 405)
    assert "GET" in response["Allow"]


def test_every_table_is_spared():
    """The tests above speak of entities; this says that there are no more of them."""
    records = {
        m._meta.label_lower
        for m in apps.get_models()
        if hasattr(m, "archived_at") and hasattr(m, "entity_name")
    }
    assert len(records) == len(RESOURCES) == len(entities)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("path", ["/api/v1/nothing/", "/api/v1/nothing", "/api/v2/leads/", "/api/"])
def test_an_address_that_is_none_is_answered_as_everything_else(settings, debug, path):
    settings.DEBUG = debug
    client = APIClient(enforce_csrf_checks=True)
    for response in (client.get(path), client.post(path, {}, format="json"), client.delete(path)):
        assert response["Content-Type"] == "application/problem+json"
        problem = response.json()
        assert (problem["status"], problem["type"], problem["instance"]) == (404, "/problems/not-found", path)
        assert problem["detail"] == "There is nothing at this address."
