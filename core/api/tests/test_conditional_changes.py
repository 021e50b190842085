"""`If-Match` is honoured on whatever can be changed, and verbs refuse what they would pass over."""

import pytest
from drf_spectacular.generators import SchemaGenerator

from core.accounts.tests.factories import TeamFactory
from core.changes.models import Change

pytestmark = pytest.mark.django_db
V1 = "/api/v1/"

BODIES = {
    "workflows": {
        "name": "Tag",
        "trigger_type": "record_created",
        "trigger_conditions": {"model": "lead"},
        "actions": [{"type": "add_tag", "params": {"tag": "x"}}],
    },
    "webhooks": {"name": "Sync", "url": "https://example.com/", "events": ["lead.created"]},
    "email_templates": {"name": "Hello", "key": "hello", "subject": "Hello", "text": "Hello"},
    "users": {"username": "eve", "email": "eve@crm.example"},
    "teams": {"name": "East"},
    "saved_views": {"name": "Mine", "entity": "lead", "conditions": {"city": "Paris"}},
    "pipelines": {"name": "Second"},
    "custom_fields": {"entity": "lead", "key": "size", "label": "Size", "type": "number"},
    "import_mappings": {"name": "Mine", "resource": "leads", "settings": {"mapping": {"a": "email"}}},
}
# Under which name each is renamed.
NAMES = {"users": "first_name", "custom_fields": "label"}


@pytest.mark.parametrize("resource", BODIES)
def test_a_change_to_a_state_that_is_no_more_is_refused(admin, resource):
    url = f"{V1}{resource}/{admin.post(f'{V1}{resource}/', BODIES[resource]).json()['id']}/"
    name, seen = NAMES.get(resource, "name"), admin.get(url)
    assert admin.get(url)["ETag"] == seen["ETag"]
    changed = admin.patch(url, {name: "Newer"}, headers={"if-match": seen["ETag"]})
    assert changed.status_code == 200, changed.content
    assert changed["ETag"] == admin.get(url)["ETag"] != seen["ETag"]
    before = Change.objects.count()
    for send in (
        lambda headers: admin.patch(url, {name: "Lost"}, headers=headers),
        lambda headers: admin.delete(url, headers=headers),
    ):
        refused = send({"if-match": seen["ETag"]})
        assert (refused.status_code, refused.json()["type"]) == (412, "/problems/stale-version")
        assert refused["ETag"] == changed["ETag"]
        assert send({"if-match": "bogus"}).status_code == 412
        assert send({"if-match": f"W/{changed['ETag']}"}).status_code == 412
    assert admin.get(url).json()[name] == "Newer"
    assert Change.objects.count() == before
    assert admin.delete(url, headers={"if-match": f'"x", {changed["ETag"]}'}).status_code in (200, 204)


def test_so_is_a_verb(admin):
    url = f"{V1}workflows/{admin.post(f'{V1}workflows/', BODIES['workflows']).json()['id']}/"
    seen = admin.get(url)
    admin.patch(url, {"name": "Newer"})
    refused = admin.post(f"{url}resume/", headers={"if-match": seen["ETag"]})
    assert refused.status_code == 412
    assert admin.get(url).json()["status"] == seen.json()["status"]


def test_what_is_only_reported_of_a_row_makes_no_other_state(admin, make_user):
    team = TeamFactory(name="East")
    seen = admin.get(f"{V1}teams/{team.pk}/")
    make_user(team=team)
    again = admin.get(f"{V1}teams/{team.pk}/")
    assert (seen.json()["members"], again.json()["members"]) == (0, 1)
    assert seen["ETag"] == again["ETag"]


def test_ones_own_account_is_changed_as_it_was_seen(admin, admin_user):
    seen = admin.get("/api/auth/me/")
    changed = admin.patch("/api/auth/me/", {"first_name": "Ada"}, headers={"if-match": seen["ETag"]})
    assert changed.status_code == 200
    refused = admin.patch("/api/auth/me/", {"first_name": "Eve"}, headers={"if-match": seen["ETag"]})
    assert refused.status_code == 412
    admin_user.refresh_from_db()
    assert admin_user.first_name == "Ada"
    assert admin.get("/api/auth/me/")["ETag"] == changed["ETag"] == refused["ETag"]


def verbs():
    """POST operations that document no body."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return sorted(p for p, item in paths.items() if "post" in item and "requestBody" not in item["post"])


def test_verbs_without_a_body_refuse_one(admin):
    found = verbs()
    assert {"/api/v1/leads/{id}/follow/", "/api/v1/webhooks/{id}/test/", "/api/v1/calendar/"} <= set(found)
    before = Change.objects.count()
    passed_over = {}
    for path in found:
        response = admin.post(path.replace("{id}", "1").replace("{task_id}", "1"), {"nonsense": 1})
        errors = response.json().get("errors") or [{}]
        if (response.status_code, errors[0].get("field")) != (400, "nonsense"):
            passed_over[path] = response.status_code
    assert passed_over == {}
    assert Change.objects.count() == before
