"""How many statements each request of each entity sends: the same whether two records are on the page, in the
body and in the table or thirty, and exactly as many as are written down here."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.changes import acting_as
from core.customization.tests.factories import CustomFieldFactory
from core.entities import entities
from core.entities.reading import references
from tests.records import ENTITIES, TITLE, record

pytestmark = pytest.mark.django_db


class Desk:
    """A representative's client and an entity's address."""

    def __init__(self, client: Any, user: Any, name: str) -> None:
        self.client, self.user, self.name = client, user, name
        self.url = f"/api/v1/{entities[name].plural}/"
        self.expand = ",".join(references(entities[name]))

    def body(self, title: str) -> dict[str, Any]:
        due = {"due_date": "2030-01-31T09:00:00Z"} if self.name == "task" else {}
        return {TITLE[self.name]: title, "tags": ["vip"], "custom_fields": {"note": title}, **due}

    def make(self, count: int) -> list[int]:
        """Ids of records of the representative's, made for this."""
        own = {"owner": self.user, "assigned_to": self.user, "custom_fields": {"note": "made"}}
        with acting_as(self.user, source="api"):
            return [record(self.name, f"Number {i}", **own).pk for i in range(count)]

    def get(self, pk: int | str = "", **params: Any) -> Any:
        return self.client.get(f"{self.url}{pk}{'/' if pk else ''}", params)

    def many(self, ids: list[int], verb: str = "bulk_update", **body: Any) -> Any:
        action = {} if verb == "assign" else {"action": "update"}
        return self.client.post(f"{self.url}{verb}/", {"ids": ids, **action, **body})

    def send(self, method: str, pk: int, **body: Any) -> Any:
        return getattr(self.client, method)(f"{self.url}{pk}/", body or None)

    def restored(self, pk: int) -> Any:
        self.client.delete(f"{self.url}{pk}/")
        return lambda: self.client.post(f"{self.url}{pk}/restore/")


NOTE = {"tags": ["east"], "custom_fields": {"note": "spoken to"}}
Ask = Callable[[Desk, list[int]], Any]
# A request, given all ids there are; and its statements by entity, in the order of ENTITIES.
REQUESTS: dict[str, tuple[Ask, tuple[int, ...]]] = {
    "list": (lambda d, ids: d.get(page_size=len(ids) - 1), (2, 2, 2, 2, 2)),
    "list, expanded": (lambda d, ids: d.get(page_size=len(ids) - 1, expand=d.expand), (4, 4, 4, 5, 4)),
    "list, by cursor": (lambda d, ids: d.get(page_size=len(ids) - 1, cursor=""), (2, 2, 2, 2, 2)),
    "search": (lambda d, ids: d.get(page_size=len(ids) - 1, search="number"), (3, 3, 3, 3, 3)),
    "statistics": (lambda d, ids: d.get("statistics"), (4, 3, 3, 4, 4)),
    "retrieve": (lambda d, ids: d.get(ids[-1]), (2, 2, 2, 2, 2)),
    "retrieve, expanded": (lambda d, ids: d.get(ids[-1], expand=d.expand), (4, 4, 4, 5, 4)),
    "history": (lambda d, ids: d.get(f"{ids[-1]}/history"), (3, 3, 3, 3, 3)),
    "create": (lambda d, ids: d.client.post(d.url, d.body("New")), (12, 11, 12, 13, 12)),
    "patch": (lambda d, ids: d.send("patch", ids[-1], **NOTE), (12, 12, 12, 12, 12)),
    "put": (lambda d, ids: d.send("put", ids[-1], **d.body("Other")), (12, 12, 12, 14, 12)),
    "archive": (lambda d, ids: d.send("delete", ids[-1]), (6, 6, 6, 6, 6)),
    "restore": (lambda d, ids: d.restored(ids[-1]), (11, 11, 11, 11, 11)),
    "bulk update": (lambda d, ids: d.many(ids, data=NOTE), (11, 11, 11, 11, 11)),
    "bulk update, atomic": (
        lambda d, ids: d.many(ids, data=NOTE, mode="atomic"), (11, 11, 11, 11, 11),
    ),
    "bulk delete": (lambda d, ids: d.many(ids, action="delete"), (8, 8, 8, 8, 8)),
    "bulk assign": (lambda d, ids: d.many(ids, "assign", assigned_to=d.user.pk), (10, 10, 10, 10, 10)),
}  # fmt: skip


@pytest.fixture(params=ENTITIES)
def desk(request, api, rep):
    for name in ENTITIES:
        CustomFieldFactory(entity=name, key="note", type="text", searchable=True)
    made = Desk(api(rep), rep, request.param)
    made.client.post(made.url, made.body("First"))  # the process keeps the scoring rules from here on
    return made


def statements(ask: Ask, desk: Desk, ids: list[int]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        response = ask(desk, ids)
    if callable(response):  # what had to be done before
        with CaptureQueriesContext(connection) as captured:
            response = response()
    assert response.status_code in (200, 201, 204), response.content[:500]
    return [query["sql"][:300] for query in captured]


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_request_sends_as_many_statements_as_are_written_down(desk, request_name):
    ask, counts = REQUESTS[request_name]
    expected = counts[ENTITIES.index(desk.name)]
    few = statements(ask, desk, desk.make(2))
    many = statements(ask, desk, desk.make(30))
    told = "\n".join([f"{len(few)} of two, {len(many)} of thirty, written down {expected}:", *many])
    assert len(few) == len(many) == expected, told


def test_every_entity_is_counted():
    assert {entity.name for entity in entities} == set(ENTITIES)
    assert all(len(counts) == len(ENTITIES) for _, counts in REQUESTS.values())
