"""Per role: the list, the same list by cursor, the search, the export and the statistics speak of the same
records, and those are the ones the role's reach says."""

import csv
import io
from dataclasses import dataclass
from typing import Any

import pytest

from core.accounts.models import User
from core.accounts.tests.factories import TeamFactory
from core.entities import entities
from tests.records import ENTITIES, record

pytestmark = pytest.mark.django_db
ROLES = ("admin", "manager", "rep", "viewer")
WORD = "zqvisible"
# What each role sees of the records below.
SEEN = {
    "admin": {"own", "given", "colleague's", "below", "stranger's", "nobody's"},
    "manager": {"own", "given", "colleague's", "below"},
    "rep": {"own", "given"},
    "viewer": {"own", "given", "colleague's", "below"},
}


@dataclass
class Scene:
    """Users, and for an entity the ids of its records by what they are to the user."""

    user: User
    colleague: User
    below: User
    stranger: User

    def records(self, name: str) -> dict[str, int]:
        wanted = {
            "own": {"owner": self.user},
            "given": {"owner": self.stranger, "assigned_to": self.user},
            "colleague's": {"owner": self.colleague},
            "below": {"owner": self.stranger, "assigned_to": self.below},
            "stranger's": {"owner": self.stranger},
            "nobody's": {},
        }
        return {label: self._make(name, label, people) for label, people in wanted.items()}

    def _make(self, name: str, label: str, people: dict[str, User]) -> int:
        return record(name, f"{WORD} {label}", **people).pk


@pytest.fixture
def scene(make_user):
    def build(role: str) -> Scene:
        team = TeamFactory(name="East")
        lower = TeamFactory(name="East, inside sales", parent=team)
        elsewhere = TeamFactory(name="West")
        return Scene(
            make_user(role, team=team),
            make_user("rep", team=team),
            make_user("rep", team=lower),
            make_user("rep", team=elsewhere),
        )

    return build


def walked(client, address: str, **params: Any) -> list[int]:
    """Ids over all pages, as a client follows `next`."""
    page = client.get(address, {"page_size": 2, **params}).json()
    found = [row["id"] for row in page["results"]]
    while page["next"]:
        page = client.get(page["next"]).json()
        found += [row["id"] for row in page["results"]]
    return found


def exported(client, plural: str) -> list[int]:
    answer = client.get(f"/api/v1/export/{plural}/")
    text = b"".join(answer.streaming_content).decode()
    return [int(row["id"]) for row in csv.DictReader(io.StringIO(text))]


@pytest.mark.parametrize("name", ENTITIES)
@pytest.mark.parametrize("role", ROLES)
def test_every_way_to_many_records_shows_the_same(scene, api, role, name):
    stage = scene(role)
    records = stage.records(name)
    expected = sorted(records[label] for label in SEEN[role])
    client, plural = api(stage.user), entities[name].plural
    address = f"/api/v1/{plural}/"
    assert sorted(walked(client, address)) == expected
    assert sorted(walked(client, address, cursor="")) == expected
    assert sorted(walked(client, address, search=WORD)) == expected
    assert sorted(exported(client, plural)) == expected
    assert client.get(address).json()["count"] == len(expected)
    assert client.get(f"{address}statistics/").json()["total"] == len(expected)


@pytest.mark.parametrize("name", ENTITIES)
@pytest.mark.parametrize("role", ROLES)
def test_a_single_record_is_there_or_not_like_in_the_list(scene, api, role, name):
    stage = scene(role)
    client, plural = api(stage.user), entities[name].plural
    for label, pk in stage.records(name).items():
        there = label in SEEN[role]
        answers = {
            path: client.get(f"/api/v1/{plural}/{pk}/{path}").status_code
            for path in ("", "history/", "timeline/")
        }
        assert set(answers.values()) == {200 if there else 404}, (label, answers)


@pytest.mark.parametrize("name", ENTITIES)
def test_nobody_writes_a_record_out_of_their_own_reach(api, scene, name):
    """One by one, many at once and from the start: it is refused, and nothing changes."""
    made = scene("rep")
    entity, client = entities[name], api(made.user)
    url = f"/api/v1/{entity.plural}/"
    pk = made.records(name)["own"]
    away = {"owner": made.stranger.pk, "assigned_to": None}
    before = client.get(f"{url}{pk}/").json()
    assert client.patch(f"{url}{pk}/", away).status_code == 403
    answer = client.post(f"{url}bulk_update/", {"ids": [pk], "action": "update", "data": away})
    assert (answer.status_code, answer.json()["updated"]) == (207, 0)
    required = [column.name for column in entity.columns if column.required]
    least = {name: entity.example[name] for name in (entity.display_fields[0], *required)}
    assert client.post(url, least | away).status_code == 403
    assert client.get(f"{url}{pk}/").json() == before
    assert entity.model.objects.filter(owner=made.stranger).count() == 3, "those of the scene"
