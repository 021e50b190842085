"""A record that was read can be sent back whole; on creation nothing is passed over."""

import pytest

from core.entities import entities
from tests.records import ENTITIES, TITLE, record

pytestmark = pytest.mark.django_db
RESOURCES = {
    "custom_fields": {"entity": "lead", "key": "size", "label": "Size", "type": "text"},
    "saved_views": {"entity": "lead", "name": "Mine"},
    "pipelines": {"name": "Second"},
}


@pytest.fixture(params=ENTITIES)
def address(request, admin_user):
    made = record(request.param, "Number 1", owner=admin_user, tags=["vip"])
    return f"/api/v1/{entities[request.param].plural}/{made.pk}/"


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_record_is_taken_back_as_it_was_read(admin, address, method):
    read = admin.get(address).json()
    answer = getattr(admin, method)(address, read)
    assert (answer.status_code, answer.json()) == (200, read)


@pytest.mark.parametrize("method", ["put", "patch"])
def test_read_only_fields_stay_as_they_are(admin, address, method):
    read = admin.get(address).json()
    asked = read | {"id": 1, "version": 99, "created_at": "2001-01-01T00:00:00Z", "tags": ["east"]}
    answer = getattr(admin, method)(address, asked)
    changed = {"tags": ["east"], "version": read["version"] + 1}
    assert answer.status_code == 200
    assert answer.json() == read | changed | {"updated_at": answer.json()["updated_at"]}


@pytest.mark.parametrize("name", ENTITIES)
def test_a_read_only_field_is_refused_on_creation(admin, name):
    entity = entities[name]
    answer = admin.post(f"/api/v1/{entity.plural}/", {TITLE[name]: "New", "version": 5})
    assert answer.status_code == 400
    assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [("version", "read_only")]
    assert not entity.model.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch"])
def test_an_unknown_field_is_refused_and_the_known_ones_are_named(admin, address, method):
    read = admin.get(address).json()
    answer = getattr(admin, method)(address, read | {"colour": "red", "tags": []})
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert (error["field"], error["code"]) == ("colour", "unknown_field")
    assert "tags" in error["message"]
    assert admin.get(address).json() == read


@pytest.mark.parametrize("resource", RESOURCES)
def test_what_is_no_record_is_taken_back_too(admin, resource):
    url = f"/api/v1/{resource}/"
    made = admin.post(url, RESOURCES[resource]).json()
    for method in ("put", "patch"):
        answer = getattr(admin, method)(f"{url}{made['id']}/", made)
        assert answer.status_code == 200, answer.json()
    refused = admin.post(url, RESOURCES[resource] | {"id": 7, "key": "other", "name": "other"})
    assert "id" in [error["field"] for error in refused.json()["errors"]]


@pytest.mark.parametrize(
    "resource", ["saved_views", "custom_fields", "email_templates", "webhook_deliveries"]
)
def test_a_path_is_accepted_with_hyphens_too(admin, resource):
    assert admin.get(f"/api/v1/{resource}/").status_code == 200
    assert admin.get(f"/api/v1/{resource.replace('_', '-')}/").status_code == 200
    assert resource in admin.get("/api/v1/").json()["resources"]
    assert resource.replace("_", "-") not in admin.get("/api/v1/").json()["resources"]
