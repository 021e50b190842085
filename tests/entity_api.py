"""What the API of every entity promises, as one suite. An entity's tests subclass it and say what is its own:

    class TestContactAPI(EntityAPITests):
        entity, factory = "contact", ContactFactory
        body = {"first_name": "Ada", "last_name": "Byron"}
        change = {"job_title": "Analyst"}
        ...

and so are held to lists, filters, search, orderings, pages, creation, changes under an entity tag, archiving,
bulk requests, history, timeline, followers, statistics, who may do what, import and export, and to how many
SQL statements each request sends.
"""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from factory.django import DjangoModelFactory

from core.accounts.models import User
from core.accounts.tests.factories import TeamFactory
from core.activities.models import Follow
from core.activities.tests.factories import ActivityFactory
from core.api.routes import router
from core.changes import audit_context
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from core.entities import Entity, entities
from core.entities.reading import references
from core.transfer.tests.uploads import upload

NOBODYS = 999_999_999
NOTE = {"tags": ["east"], "custom_fields": {"note": "spoken to"}}

# Who somebody is to a record of a rep's: their role, whether they see it, whether they change it.
PEOPLE: dict[str, tuple[str, bool, bool]] = {
    "administrator": ("admin", True, True),
    "manager of the team above": ("manager", True, True),
    "manager elsewhere": ("manager", False, False),
    "owner": ("rep", True, True),
    "assignee in another team": ("rep", True, True),
    "colleague": ("rep", False, False),
    "viewer of the team above": ("viewer", True, False),
    "viewer elsewhere": ("viewer", False, False),
}

Ask = Callable[["EntityAPITests", Any, User, list[int]], Any]
# Requests by name, given a client, its user and all ids there are. Where one gives back a function, that is
# called for the request that is counted.
REQUESTS: dict[str, Ask] = {
    "list": lambda t, c, me, ids: t.get(c, page_size=len(ids) - 1),
    "list, expanded": lambda t, c, me, ids: t.get(c, page_size=len(ids) - 1, expand=t.expand),
    "list, by cursor": lambda t, c, me, ids: t.get(c, page_size=len(ids) - 1, cursor=""),
    "search": lambda t, c, me, ids: t.get(c, page_size=len(ids) - 1, search="number"),
    "statistics": lambda t, c, me, ids: t.get(c, "statistics"),
    "retrieve": lambda t, c, me, ids: t.get(c, ids[-1]),
    "retrieve, expanded": lambda t, c, me, ids: t.get(c, ids[-1], expand=t.expand),
    "history": lambda t, c, me, ids: t.get(c, f"{ids[-1]}/history"),
    "create": lambda t, c, me, ids: c.post(t.url, t.body | NOTE),
    "patch": lambda t, c, me, ids: c.patch(t.at(ids[-1]), NOTE),
    "put": lambda t, c, me, ids: c.put(t.at(ids[-1]), t.body | NOTE),
    "archive": lambda t, c, me, ids: c.delete(t.at(ids[-1])),
    "restore": lambda t, c, me, ids: c.delete(t.at(ids[-1])) and (lambda: c.post(t.at(ids[-1], "restore"))),
    "bulk update": lambda t, c, me, ids: t.bulk(c, ids, data=NOTE),
    "bulk update, atomic": lambda t, c, me, ids: t.bulk(c, ids, data=NOTE, mode="atomic"),
    "bulk delete": lambda t, c, me, ids: t.bulk(c, ids, "delete"),
    "bulk assign": lambda t, c, me, ids: t.bulk(c, ids, "assign", data={"assigned_to": me.pk}),
}


class EntityAPITests:
    """Subclass it as `Test…API`. All values are given as JSON has them, in the form the API answers with."""

    pytestmark = pytest.mark.django_db

    entity: ClassVar[str]
    factory: ClassVar[type[DjangoModelFactory]]
    # What a record is created with, and what is changed in it afterwards: text columns that may be empty.
    body: ClassVar[dict[str, Any]]
    change: ClassVar[dict[str, str]]
    # The fields named when a record is created of nothing.
    missing: ClassVar[set[str]]
    # A text column that the search looks into; a column to order by with a lower and a higher value; a column
    # to filter by with two values.
    searched: ClassVar[str]
    ordered: ClassVar[tuple[str, Any, Any]]
    filtered: ClassVar[tuple[str, Any, Any]]
    # What answers hold beside the columns.
    beside: ClassVar[frozenset[str]] = frozenset()
    # SQL statements of each request of REQUESTS: those of an entity that adds none of its own.
    statements: ClassVar[dict[str, int]] = {
        "list": 2,
        "list, expanded": 4,
        "list, by cursor": 2,
        "search": 4,
        "statistics": 1,
        "retrieve": 2,
        "retrieve, expanded": 4,
        "history": 5,  # the last page asks what of it was archived
        "create": 11,
        "patch": 12,
        "put": 12,
        "archive": 6,
        "restore": 12,
        "bulk update": 11,
        "bulk update, atomic": 11,
        "bulk delete": 8,
        "bulk assign": 10,
    }

    # -- Words of the tests below -----------------------------------------------------------------

    @property
    def registered(self) -> Entity:
        return entities[self.entity]

    @property
    def model(self) -> Any:
        return self.registered.model

    @property
    def url(self) -> str:
        return f"/api/v1/{self.registered.plural}/"

    @property
    def expand(self) -> str:
        return ",".join(references(self.registered))

    def at(self, pk: int | str, verb: str = "") -> str:
        return f"{self.url}{pk}/{verb}{'/' if verb else ''}"

    def get(self, client: Any, path: int | str = "", **params: Any) -> Any:
        return client.get(self.at(path) if path else self.url, params)

    def ids(self, client: Any, **params: Any) -> list[int]:
        """Those of the first page."""
        response = self.get(client, **params)
        assert response.status_code == 200, response.json()
        return [row["id"] for row in response.json()["results"]]

    def bulk(self, client: Any, ids: list[int], action: str = "update", **more: Any) -> Any:
        return client.post(f"{self.url}bulk_update/", {"ids": ids, "action": action, **more})

    def created(self, client: Any) -> dict[str, Any]:
        response = client.post(self.url, self.body)
        assert response.status_code == 201, response.json()
        return response.json()

    def stored(self, *records: Any) -> list[dict[str, Any]]:
        """The rows as the table has them now."""
        return list(self.model.objects.filter(pk__in=[r.pk for r in records]).order_by("pk").values())

    # -- Lists ------------------------------------------------------------------------------------

    def test_the_list_has_the_newest_first_and_only_what_one_sees(self, api, make_user, rep):
        first, second = self.factory(owner=rep), self.factory(assigned_to=rep)
        self.factory(owner=make_user("rep"))
        body = self.get(api(rep)).json()
        assert [row["id"] for row in body["results"]] == [second.pk, first.pk]
        assert (body["count"], body["next"], body["previous"]) == (2, None, None)
        assert set(body["results"][0]) == {c.name for c in self.registered.columns} | self.beside

    def test_one_record_is_what_the_list_shows_of_it_with_its_entity_tag(self, api, rep):
        made = self.factory(owner=rep)
        client = api(rep)
        response = client.get(self.at(made.pk))
        assert response.status_code == 200
        assert [response.json()] == self.get(client).json()["results"]
        assert response["ETag"] == f'"{made.pk}-1"'
        again = client.get(self.at(made.pk), headers={"If-None-Match": response["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(self.at(NOBODYS)).status_code == 404

    def test_chosen_fields_and_references_are_shown(self, api, rep):
        made = self.factory(owner=rep)
        shown = self.get(api(rep), made.pk, fields="id,owner", expand="owner").json()
        assert (shown["id"], set(shown)) == (made.pk, {"id", "owner"})
        assert (shown["owner"]["id"], shown["owner"]["username"]) == (rep.pk, rep.username)

    def test_a_filter_finds_what_has_the_value(self, api, rep):
        column, value, other = self.filtered
        one, two = (self.factory(owner=rep, **{column: v}) for v in (value, other))
        client = api(rep)
        assert self.ids(client, **{column: value}) == [one.pk]
        assert self.ids(client, **{f"{column}__ne": value}) == [two.pk]
        assert self.ids(client, **{f"{column}__in": f"{value},{other}"}) == [two.pk, one.pk]

    @pytest.mark.parametrize(
        "params", [{"unheard_of": "1"}, {"owner__password": "x"}, {"ordering": "unheard_of"}]
    )
    def test_an_unknown_filter_or_ordering_is_refused_and_named(self, api, rep, params):
        response = self.get(api(rep), **params)
        assert response.status_code == 400
        assert [e["field"] for e in response.json()["errors"]] == list(params)

    def test_a_search_finds_a_part_of_a_text_in_any_case(self, api, rep):
        found = self.factory(owner=rep, **{self.searched: "Quixotic Ventures"})
        self.factory(owner=rep)
        client = api(rep)
        assert self.ids(client, search="qUIXOT") == [found.pk]
        assert self.ids(client, search="ventures quixotic") == [found.pk]
        assert self.ids(client, search="quixotics") == []

    def test_an_ordering_goes_both_ways_and_what_has_no_value_comes_last(self, api, rep):
        column, low, high = self.ordered
        pks = [self.factory(owner=rep, **{column: value}).pk for value in (high, low)]
        client = api(rep)
        assert self.ids(client, ordering=column) == pks[::-1]
        assert self.ids(client, ordering=f"-{column}") == pks
        if self.registered.by_name[column].nullable:
            bare = self.factory(owner=rep).pk
            assert self.ids(client, ordering=column) == [*pks[::-1], bare]
            assert self.ids(client, ordering=f"-{column}") == [*pks, bare]

    @pytest.mark.parametrize("params", [{}, {"cursor": ""}], ids=["by page", "by cursor"])
    def test_following_next_meets_each_record_once(self, api, rep, params):
        pks = [self.factory(owner=rep).pk for _ in range(5)]
        client, seen, sizes = api(rep), [], []
        page = self.get(client, page_size=2, **params).json()
        while True:
            seen += [row["id"] for row in page["results"]]
            sizes.append(len(page["results"]))
            if not page["next"]:
                break
            page = client.get(page["next"]).json()
        assert (seen, sizes) == (pks[::-1], [2, 2, 1])

    # -- Creating and changing --------------------------------------------------------------------

    def test_a_record_is_created_as_it_was_sent_and_belongs_to_its_writer(self, api, rep):
        response = api(rep).post(self.url, self.body)
        assert response.status_code == 201, response.json()
        made = response.json()
        assert {name: made[name] for name in self.body} == self.body
        assert (made["owner"], made["created_by"], made["version"]) == (rep.pk, rep.pk, 1)
        assert response["ETag"] == f'"{made["id"]}-1"'
        assert response["Location"].endswith(self.at(made["id"]))
        [change] = Change.objects.filter(entity=self.entity, object_id=made["id"])
        assert (change.kind, change.actor_id, change.source) == ("created", rep.pk, "api")

    def test_what_a_record_needs_is_named(self, api, rep):
        response = api(rep).post(self.url, {})
        assert response.status_code == 400
        assert {e["field"] for e in response.json()["errors"]} == self.missing
        assert not self.model.objects.exists()

    @pytest.mark.parametrize("name", ["unheard_of", "version", "created_by", "search_text"])
    def test_a_field_that_cannot_be_written_is_named(self, api, rep, name):
        response = api(rep).post(self.url, self.body | {name: 1})
        assert response.status_code == 400
        assert [e["field"] for e in response.json()["errors"]] == [name]
        assert not self.model.objects.exists()

    def test_a_patch_changes_what_it_names(self, api, rep):
        client = api(rep)
        made = self.created(client)
        response = client.patch(self.at(made["id"]), self.change)
        assert response.status_code == 200, response.json()
        changed = response.json()
        assert {name: changed[name] for name in self.body | self.change} == self.body | self.change
        assert changed["version"] == 2
        assert response["ETag"] == f'"{made["id"]}-2"'

    def test_a_put_replaces_the_content_and_leaves_whose_it_is(self, api, rep, make_user):
        client, helper = api(rep), make_user("rep")
        plain = self.created(client)
        column, value, _ = self.filtered
        given = self.change | {column: value, "tags": ["vip"]}
        made = self.factory(owner=rep, assigned_to=helper, **given)
        response = client.put(self.at(made.pk), self.body)
        assert response.status_code == 200, response.json()
        replaced = response.json()
        emptied = given.keys() - self.body.keys()
        assert {name: replaced[name] for name in self.body} == self.body
        assert {name: replaced[name] for name in emptied} == {name: plain[name] for name in emptied}
        assert (replaced["owner"], replaced["assigned_to"]) == (rep.pk, helper.pk)

    @pytest.mark.parametrize("method", ["patch", "put", "delete"])
    def test_a_change_to_an_older_version_is_refused(self, api, rep, method):
        made = self.factory(owner=rep)
        client = api(rep)
        read = client.get(self.at(made.pk))["ETag"]
        assert client.patch(self.at(made.pk), self.change).status_code == 200
        before = self.stored(made)
        body = {"patch": dict.fromkeys(self.change, ""), "put": self.body, "delete": None}[method]
        send = getattr(client, method)
        response = send(self.at(made.pk), body, headers={"If-Match": read})
        assert response.status_code == 412
        assert response["ETag"] == f'"{made.pk}-2"'
        assert self.stored(made) == before
        assert send(self.at(made.pk), body, headers={"If-Match": response["ETag"]}).status_code in (200, 204)

    def test_what_is_deleted_is_archived_and_can_be_restored(self, api, rep):
        made = self.factory(owner=rep)
        client = api(rep)
        assert client.delete(self.at(made.pk)).status_code == 204
        assert self.ids(client) == []
        assert client.get(self.at(made.pk)).status_code == 404
        assert self.ids(client, archived="true") == [made.pk]
        assert self.get(client, made.pk, archived="true").json()["archived_at"] is not None
        assert client.patch(self.at(made.pk), self.change).status_code == 404
        restored = client.post(self.at(made.pk, "restore"))
        assert (restored.status_code, restored.json()["archived_at"]) == (200, None)
        assert self.ids(client) == [made.pk]

    def test_only_administrators_delete_for_good(self, api, admin, make_user):
        made = self.factory(owner=make_user("rep"))
        before = self.stored(made)
        for role in ("manager", "rep", "viewer"):
            client = api(made.owner if role == "rep" else make_user(role))
            assert client.delete(f"{self.at(made.pk)}?hard=true").status_code == 403, role
        assert self.stored(made) == before
        assert admin.delete(f"{self.at(made.pk)}?hard=true").status_code == 204
        assert self.stored(made) == []

    # -- Many at once -----------------------------------------------------------------------------

    @pytest.fixture
    def mine_and_hers(self, rep, make_user) -> tuple[list[Any], Any]:
        """Two records of the rep's, and another rep's."""
        return [self.factory(owner=rep) for _ in range(2)], self.factory(owner=make_user("rep"))

    def test_a_bulk_update_answers_for_each_record(self, api, rep, mine_and_hers):
        mine, hers = mine_and_hers
        before = self.stored(hers)
        response = self.bulk(api(rep), [mine[0].pk, hers.pk, mine[1].pk], data=self.change)
        assert response.status_code == 207
        body = response.json()
        assert (body["success"], body["updated"]) == (True, 2)
        assert body["errors"] == [{"id": hers.pk, "code": "not_found", "message": "Not found."}]
        assert [r["status"] for r in body["results"]] == ["updated", "error", "updated"]
        for row in self.stored(*mine):
            assert {name: row[name] for name in self.change} == self.change
        assert self.stored(hers) == before
        changes = Change.objects.filter(entity=self.entity, kind="updated")
        assert set(changes.values_list("actor_id", "source")) == {(rep.pk, "bulk")}

    def test_an_atomic_bulk_update_changes_all_or_nothing(self, api, rep, mine_and_hers):
        mine, hers = mine_and_hers
        before = self.stored(*mine, hers)
        response = self.bulk(api(rep), [mine[0].pk, hers.pk], data=self.change, mode="atomic")
        assert response.status_code == 400
        assert self.stored(*mine, hers) == before
        response = self.bulk(api(rep), [r.pk for r in mine], data=self.change, mode="atomic")
        assert (response.status_code, response.json()["updated"]) == (200, 2)

    def test_a_bulk_update_names_its_records_by_a_filter_as_well(self, api, rep, make_user):
        column, value, other = self.filtered
        one, two = (self.factory(owner=rep, **{column: v}) for v in (value, other))
        hers = self.factory(owner=make_user("rep"), **{column: value})
        before = self.stored(two, hers)
        body = {"filter": {column: value}, "action": "update", "data": self.change}
        response = api(rep).post(f"{self.url}bulk_update/", body)
        assert (response.status_code, [r["id"] for r in response.json()["results"]]) == (200, [one.pk])
        assert self.stored(two, hers) == before

    @pytest.mark.parametrize("verb", ["bulk_update", "assign"])
    def test_records_are_given_to_somebody(self, api, rep, make_user, mine_and_hers, verb):
        mine, hers = mine_and_hers
        helper = make_user("rep")
        action = {"action": "assign", "data": {"assigned_to": helper.pk}}
        body = action if verb == "bulk_update" else {"assigned_to": helper.pk}
        response = api(rep).post(f"{self.url}{verb}/", {"ids": [*(r.pk for r in mine), hers.pk], **body})
        assert (response.status_code, response.json()["updated"]) == (207, 2)
        assert [row["assigned_to_id"] for row in self.stored(*mine, hers)] == [helper.pk, helper.pk, None]

    def test_a_bulk_delete_archives(self, api, rep, mine_and_hers):
        mine, hers = mine_and_hers
        response = self.bulk(api(rep), [*(r.pk for r in mine), hers.pk], "delete")
        assert (response.status_code, response.json()["deleted"]) == (207, 2)
        assert [row["archived_at"] is None for row in self.stored(*mine, hers)] == [False, False, True]

    # -- What happened to a record ----------------------------------------------------------------

    def test_the_history_says_what_changed_and_who_did_it(self, api, rep):
        client = api(rep)
        made = self.created(client)
        client.patch(self.at(made["id"]), self.change)
        [updated, *_, created] = self.get(client, f"{made['id']}/history").json()["results"]
        assert (updated["kind"], created["kind"]) == ("updated", "created")
        assert (updated["actor"]["username"], updated["source"]) == (rep.username, "api")
        summary = {name: updated["changes"][name] for name in self.change}
        assert summary == {name: {"old": made[name], "new": value} for name, value in self.change.items()}

    def test_the_timeline_has_what_was_done_about_it_and_what_changed(self, api, rep):
        client = api(rep)
        made = self.model.objects.get(pk=self.created(client)["id"])
        ActivityFactory(record=made, author=rep, subject="Intro")
        entries = self.get(client, f"{made.pk}/timeline").json()["results"]
        assert [(e["kind"], e["title"]) for e in entries] == [("activity", "Intro"), ("change", "created")]
        assert {e["actor"]["id"] for e in entries} == {rep.pk}

    def test_one_follows_and_leaves_it_again(self, api, make_user, rep):
        made = self.factory(owner=make_user("rep"), assigned_to=rep)
        client, url = api(rep), self.at(made.pk, "follow")
        followed = Follow.objects.filter(user=rep, entity=self.entity, object_id=made.pk)
        for _ in range(2):
            assert client.post(url).json() == {"following": True}
            assert followed.count() == 1
        assert client.delete(url).json() == {"following": False}
        assert not followed.exists()

    def test_statistics_count_what_one_sees_and_the_filters_leave(self, api, rep, make_user):
        column, value, other = self.filtered
        for owner, given in ((rep, value), (rep, other), (make_user("rep"), value)):
            self.factory(owner=owner, **{column: given})
        client = api(rep)
        [viewset] = [v for prefix, v, _ in router.registry if prefix == self.registered.plural]
        found = self.get(client, "statistics").json()
        assert found["total"] == 2
        fields = viewset.statistics_serializer_class().fields
        # Some are left out of answers to roles that a field is hidden from.
        assert found.keys() == fields.keys() - {"groups"}
        assert self.get(client, "statistics", **{column: value}).json()["total"] == 1
        assert self.get(client, "statistics", unheard_of=1).status_code == 400

    # -- Who may do what --------------------------------------------------------------------------

    @pytest.fixture
    def people(self, make_user) -> dict[str, User]:
        """Those of PEOPLE."""
        above = TeamFactory()
        below, elsewhere = TeamFactory(parent=above), TeamFactory()
        team_of = {"owner": below, "colleague": below, "assignee in another team": TeamFactory()}
        return {
            who: make_user(role, team=team_of.get(who, elsewhere if "elsewhere" in who else above))
            for who, (role, _, _) in PEOPLE.items()
        }

    @pytest.fixture
    def theirs(self, people) -> Any:
        return self.factory(owner=people["owner"], assigned_to=people["assignee in another team"])

    @pytest.mark.parametrize("who", PEOPLE)
    def test_who_reads_a_record(self, api, people, theirs, who):
        _, sees, _ = PEOPLE[who]
        client = api(people[who])
        paths = ("", "history", "timeline")
        answers = {path: client.get(self.at(theirs.pk, path)).status_code for path in paths}
        assert set(answers.values()) == {200 if sees else 404}, answers
        assert self.ids(client) == self.ids(client, cursor="") == ([theirs.pk] if sees else [])
        assert self.get(client, "statistics").json()["total"] == sees
        exported = b"".join(client.get(f"/api/v1/export/{self.registered.plural}/").streaming_content)
        assert len(list(csv.reader(io.StringIO(exported.decode())))) == 1 + sees

    def writes(self, client: Any, user: User, pk: int) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Everything that changes a record, by name."""
        yield "patch", lambda: client.patch(self.at(pk), self.change)
        yield "put", lambda: client.put(self.at(pk), self.body)
        yield "delete", lambda: client.delete(self.at(pk))
        yield "bulk update", lambda: self.bulk(client, [pk], data=self.change)
        yield "bulk assign", lambda: self.bulk(client, [pk], "assign", data={"assigned_to": user.pk})
        yield "bulk delete", lambda: self.bulk(client, [pk], "delete")

    @pytest.mark.parametrize("who", PEOPLE)
    def test_who_changes_a_record(self, api, people, theirs, who):
        role, _, changes = PEOPLE[who]
        client = api(people[who])
        before, recorded = self.stored(theirs), Change.objects.count()
        for name, write in self.writes(client, people[who], theirs.pk):
            done, hidden = 204 if name == "delete" else 200, 207 if name.startswith("bulk") else 404
            expected = done if changes else 403 if role == "viewer" else hidden
            with transaction.atomic():
                assert write().status_code == expected, name
                if not changes:
                    assert (self.stored(theirs), Change.objects.count()) == (before, recorded), name
                transaction.set_rollback(True)

    @pytest.mark.parametrize("who", PEOPLE)
    def test_who_restores_a_record(self, api, people, theirs, admin, who):
        role, _, changes = PEOPLE[who]
        admin.delete(self.at(theirs.pk))
        before = self.stored(theirs)
        status = api(people[who]).post(self.at(theirs.pk, "restore")).status_code
        assert status == (200 if changes else 403 if role == "viewer" else 404)
        assert (self.stored(theirs) == before) is not changes

    @pytest.mark.parametrize("role", ["admin", "manager", "rep", "viewer"])
    def test_who_creates_records(self, api, make_user, role):
        client, wanted = api(make_user(role)), role != "viewer"
        assert client.post(self.url, self.body).status_code == (201 if wanted else 403)
        assert self.imported(client, self.body).status_code == (200 if wanted else 403)
        assert self.model.objects.exists() is wanted

    # -- Files ------------------------------------------------------------------------------------

    def imported(self, client: Any, row: dict[str, Any]) -> Any:
        text = io.StringIO()
        writer = csv.DictWriter(text, row)
        writer.writeheader()
        writer.writerow(row)
        return upload(client, text.getvalue(), self.registered.plural)

    def exported(self, client: Any) -> bytes:
        return b"".join(client.get(f"/api/v1/export/{self.registered.plural}/").streaming_content)

    def test_a_file_makes_the_record_that_a_request_makes(self, api, rep):
        client = api(rep)
        body = self.imported(client, self.body).json()
        assert (body["created"], body["failed"]) == (1, 0), body
        [made] = self.get(client).json()["results"]
        assert {name: made[name] for name in self.body} == self.body
        assert (made["owner"], made["created_by"]) == (rep.pk, rep.pk)

    def test_what_was_exported_is_imported_over_what_was_changed_since(self, api, rep):
        client = api(rep)
        kept, changed = (self.factory(owner=rep, **self.change) for _ in range(2))
        text = self.exported(client)
        unchanged = upload(client, text, self.registered.plural, update_existing="true").json()
        figures = ("created", "updated", "unchanged", "failed")
        assert [unchanged[f] for f in figures] == [0, 0, 2, 0], unchanged
        client.patch(self.at(changed.pk), dict.fromkeys(self.change, ""))
        restored = upload(client, text, self.registered.plural, update_existing="true").json()
        assert [restored[f] for f in figures] == [0, 1, 1, 0], restored
        for row in self.stored(kept, changed):
            assert {name: row[name] for name in self.change} == self.change

    # -- What requests cost -----------------------------------------------------------------------

    @pytest.mark.parametrize("name", REQUESTS)
    def test_a_request_sends_as_many_statements_as_are_written_down(self, api, rep, name):
        """The same whether two records are on the page, in the body and in the table or thirty."""
        CustomFieldFactory(entity=self.entity, key="note", searchable=True)
        client = api(rep)
        client.post(self.url, self.body | NOTE)  # the process keeps the scoring rules from here on
        few, many = (self.statements_of(REQUESTS[name], client, rep, n) for n in (2, 30))
        listed = "\n".join([f"{len(few)} of two, {len(many)} of thirty:", *many])
        assert len(few) == len(many) == self.statements[name], listed

    def statements_of(self, ask: Ask, client: Any, user: User, count: int) -> list[str]:
        title, own = self.registered.display_fields[0], {"owner": user, "assigned_to": user}
        own |= {"custom_fields": {"note": "made"}}
        with audit_context(user, source="api"):
            ids = [self.factory(**own, **{title: f"Number {i}"}).pk for i in range(count)]
        with CaptureQueriesContext(connection) as captured:
            response = ask(self, client, user, ids)
        if callable(response):
            with CaptureQueriesContext(connection) as captured:
                response = response()
        assert response.status_code in (200, 201, 204), response.content[:500]
        return [query["sql"][:300] for query in captured]

    def test_the_statements_of_every_request_are_written_down(self):
        assert set(self.statements) == set(REQUESTS)
