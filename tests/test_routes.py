"""Every route x method x role: the status of a request with an empty body, about an administrator's things.

`routes.txt` is the table. A route without a row fails, and so does a row without a route. The rep, manager
and viewer belong to another team than the things asked for: what is 200 for them is everyone's to see.
"""

from pathlib import Path

import pytest
from django.db import transaction
from drf_spectacular.generators import EndpointEnumerator

from core.accounts.tests.factories import TeamFactory
from core.customization.tests.factories import CustomFieldFactory, SavedViewFactory
from core.entities import entities
from opportunities.models import Stage
from opportunities.tests.factories import LostReasonFactory, default_pipeline
from tests.records import FACTORIES

TABLE = Path(__file__).with_name("routes.txt")
ENTITY = "<entity>"
ROLES = ("anonymous", "admin", "manager", "rep", "viewer")
NOBODYS = 999_999_999
# Values of parameters that are no ids.
WORDS = {"resource_type": "leads", "resource": "leads", "format": "json"}


def rows() -> dict[tuple[str, str], list[int]]:
    """The table: (method, path) → a status per role. A row of `<entity>` is one of every entity."""
    found = {}
    for line in TABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            method, path, *statuses = line.split()
            paths = [path.replace(ENTITY, entity.plural) for entity in entities] if ENTITY in path else [path]
            found |= {(method, one): [int(status) for status in statuses] for one in paths}
    return found


def routes() -> list[tuple[str, str]]:
    """Every documented route with its methods."""
    endpoints = EndpointEnumerator().get_api_endpoints()
    return sorted({(method, path) for path, _regex, method, _view in endpoints if path.startswith("/api/")})


@pytest.fixture
def things(admin_user):
    """Ids by the name in the address, all of them the administrator's."""
    own = {"owner": admin_user}
    pipeline = default_pipeline()
    records = {entities[name].plural: factory(**own).pk for name, factory in FACTORIES.items()}
    return records | {
        "pipelines": pipeline.pk,
        "stages": Stage.objects.filter(pipeline=pipeline).latest("position").pk,
        "lost_reasons": LostReasonFactory().pk,
        "custom_fields": CustomFieldFactory().pk,
        "saved_views": SavedViewFactory(**own).pk,
        "users": admin_user.pk,
        "teams": TeamFactory().pk,
    }


@pytest.fixture
def clients(api, admin_user, make_user):
    team = TeamFactory()
    users = {role: make_user(role, team=team) for role in ("manager", "rep", "viewer")}
    return [api(), api(admin_user), *(api(users[role]) for role in ROLES[2:])]


def address(path: str, things: dict[str, int]) -> str:
    """The path with its parameters filled in: the administrator's thing, or an id nobody has."""
    parts = []
    for part in path.split("/"):
        name = part.strip("{}")
        own = things.get(parts[-1], NOBODYS) if parts else NOBODYS
        parts.append(part if name == part else WORDS.get(name, str(own)))
    return "/".join(parts)


def statuses(method: str, path: str, clients: list, things: dict[str, int]) -> list[int]:
    """What each role gets; nothing of it stays."""
    found = []
    for client in clients:
        with transaction.atomic():
            client.raise_request_exception = False
            body = {} if method in ("GET", "DELETE") else {"data": {}, "format": "json"}
            found.append(getattr(client, method.lower())(address(path, things), **body).status_code)
            transaction.set_rollback(True)
    return found


def test_every_route_has_a_row_and_every_row_a_route():
    assert sorted(rows()) == routes()


@pytest.mark.django_db
@pytest.mark.parametrize("group", range(8))
def test_each_role_gets_what_the_table_says(clients, things, group, settings):
    settings.RATE_LIMIT_ENABLED = False
    table = rows()
    part = [route for i, route in enumerate(sorted(table)) if i % 8 == group]
    seen = {route: statuses(*route, clients, things) for route in part}
    assert seen == {route: table[route] for route in part}
