"""`GET /api/v1/changes/`: a reader by cursor misses nothing and sees only what is theirs."""

import random
import threading

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from core.accounts.tests.factories import TeamFactory
from core.changes import audit_context, feed, seals
from core.changes.models import Change
from core.jobs import Turn
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/changes/"


def in_threads(count, work):
    """Run work(i) in `count` threads, each with its own connection; their exceptions come out here."""
    errors = []

    def run(i):
        try:
            work(i)
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[i]) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def walk(client, **params):
    """All changes from here to the end, page by page, and the cursor to go on with."""
    found = []
    while True:
        body = client.get(URL, params).json()
        found += body["results"]
        params["cursor"] = body["cursor"]
        if body["next"] is None:
            return found, body["cursor"]


def lead(**fields):
    return LeadFactory(**{"first_name": "Ada", **fields})


@pytest.fixture
def boss(make_user):
    return make_user("admin")


def test_changes_come_in_order_with_who_and_what(api, boss):
    start = feed.encode((feed.horizon(), 0))
    with audit_context(boss, source="bulk", request_id="r1"):
        record = lead()
        Lead.objects.filter(pk=record.pk).update(assigned_to=boss, city="Turin")
    body = api(boss).get(URL, {"cursor": start}).json()
    assert (body["count"], body["next"], body["previous"]) == (None, None, None)
    created, updated = body["results"]
    assert (created["kind"], created["entity"], created["object_id"]) == ("created", "lead", record.pk)
    assert updated["changes"] == {
        "assigned_to": {"old": None, "new": boss.pk},
        "city": {"old": "", "new": "Turin"},
    }
    assert updated["actor"] == {"id": boss.pk, "username": boss.username, "full_name": boss.username}
    assert (updated["source"], updated["request_id"]) == ("bulk", "r1")
    assert updated["at"].endswith("Z")


def test_pages_by_cursor_give_each_change_once(api, boss):
    start = feed.encode((feed.horizon(), 0))
    Lead.objects.bulk_create([Lead(first_name=str(i)) for i in range(7)])
    lead()
    pages, cursor = [], start
    for _ in range(4):
        body = api(boss).get(URL, {"cursor": cursor, "page_size": 3}).json()
        pages.append([c["id"] for c in body["results"]])
        assert (body["next"] is None) == (len(pages) >= 3)
        cursor = body["cursor"]
    assert [len(page) for page in pages] == [3, 3, 2, 0]
    assert [pk for page in pages for pk in page] == list(
        Change.objects.filter(entity="lead").values_list("pk", flat=True)
    )


def test_the_next_address_leads_on(api, boss):
    Lead.objects.bulk_create([Lead(first_name=str(i)) for i in range(3)])
    client = api(boss)
    first = client.get(URL, {"entity": "lead", "page_size": 2}).json()
    second = client.get(first["next"]).json()
    assert [len(first["results"]), len(second["results"])] == [2, 1]
    assert second["next"] is None


def test_the_cursor_of_a_quiet_filter_moves_on(api, boss):
    lead()
    client = api(boss)
    first = client.get(URL, {"kind": "restored"}).json()
    assert first["results"] == []
    assert feed.decode(first["cursor"])[0] == feed.horizon()


def test_a_change_is_not_shown_while_an_earlier_transaction_runs(api, boss):
    """What commits late comes after what was given out, never before."""
    start = feed.encode((feed.horizon(), 0))
    client = api(boss)
    begun, go_on = threading.Event(), threading.Event()

    def slow(_):
        with transaction.atomic():
            lead(first_name="early")
            begun.set()
            assert go_on.wait(20)

    thread = threading.Thread(target=in_threads, args=[1, slow])
    thread.start()
    assert begun.wait(20)
    late = lead(first_name="late, but committed first")
    results, cursor = walk(client, cursor=start)
    assert results == []
    go_on.set()
    thread.join()
    results, _ = walk(client, cursor=cursor)
    assert [c["object_id"] for c in results] == [Lead.objects.get(first_name="early").pk, late.pk]


def test_a_reader_misses_nothing_while_transactions_commit_out_of_order(boss):
    """Writers of random length against a reader that only ever follows its cursor."""
    start = feed.encode((feed.horizon(), 0))
    seed, done = 20_261_121, threading.Event()
    seen = []

    def write(i):
        chance = random.Random(seed + i)  # noqa: S311
        for _ in range(12):
            with transaction.atomic():
                record = lead()
                connection.cursor().execute("SELECT pg_sleep(%s)", [chance.random() / 100])
                Lead.objects.filter(pk=record.pk).update(city=str(i))
                if chance.random() < 0.2:
                    transaction.set_rollback(True)

    def read():
        client, cursor = APIClient(), start
        client.force_authenticate(boss)
        last = False
        while not last:
            last = done.is_set()
            results, cursor = walk(client, cursor=cursor, page_size=5)
            seen.extend(results)
        connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    in_threads(5, write)
    done.set()
    reader.join()
    expected = Change.objects.filter(entity="lead").order_by("xid", "id")
    assert [c["id"] for c in seen] == list(expected.values_list("pk", flat=True))
    assert len(seen) > 60


def test_filters_name_what_is_wanted(api, boss, make_user):
    rep = make_user("rep")
    with audit_context(rep, source="api"):
        one = lead()
    two = lead()
    with audit_context(boss, source="bulk"):
        Lead.objects.filter(pk=two.pk).update(city="Turin")
        Lead.objects.filter(pk=two.pk).update(archived_at="2030-01-01T00:00Z")
    client = api(boss)

    def ids(**params):
        found = client.get(URL, {"entity": "lead", **params}).json()["results"]
        return [(c["object_id"], c["kind"]) for c in found]

    assert ids(object_id=one.pk) == [(one.pk, "created")]
    assert ids(object_id=f"{one.pk},{two.pk}", kind="created") == [(one.pk, "created"), (two.pk, "created")]
    assert ids(kind="updated,archived") == [(two.pk, "updated"), (two.pk, "archived")]
    assert ids(actor=rep.pk) == [(one.pk, "created")]
    assert ids(source="BULK") == [(two.pk, "updated"), (two.pk, "archived")]
    assert ids(since="2999-01-01") == []
    assert len(ids(since="2020-01-01T00:00:00Z")) == 4
    assert [c["entity"] for c in client.get(URL, {"entity": "user"}).json()["results"]] == ["user", "user"]


def test_since_a_moment_begins_behind_the_last_seal_before_it(api, boss):
    for name in ("Ada", "Bob", "Cleo"):
        lead(first_name=name)
        seals.seal(Turn())
        lead(first_name=name)
    moments = list(Change.objects.order_by("pk").values_list("at", flat=True))
    for moment in moments:
        asked = feed.since(feed.settled(), moment)
        assert list(asked) == list(feed.settled().filter(at__gte=moment))
    assert "xid >" in str(asked.query)
    found = api(boss).get(URL, {"since": moments[-1].isoformat()}).json()["results"]
    assert [change["id"] for change in found] == [Change.objects.latest("pk").pk]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"cursor": "never given out"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkuMQ"}, "cursor"),
        ({"cursor": "LTEuMQ"}, "cursor"),
        ({"entity": "unicorn"}, "entity"),
        ({"entity": ""}, "entity"),
        ({"kind": "born"}, "kind"),
        ({"object_id": "1;2"}, "object_id"),
        ({"object_id": "99999999999999999999"}, "object_id"),
        ({"actor": "me"}, "actor"),
        ({"since": "yesterday-ish"}, "since"),
        ({"page_size": "0"}, "page_size"),
        ({"colour": "red"}, "colour"),
        ({"page": "2"}, "page"),
    ],
)
def test_what_is_wrong_with_a_query_is_named(admin, params, field):
    response = admin.get(URL, params)
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == [field]


def test_each_role_reads_the_changes_of_what_it_sees(api, boss, make_user):
    north, south = (TeamFactory(name=name) for name in ("North", "South"))
    rep, other = make_user("rep", team=north), make_user("rep", team=south)
    manager, viewer = make_user("manager", team=north), make_user("viewer", team=south)
    mine, theirs, nobodys = lead(owner=rep), lead(assigned_to=other), lead()
    gone = lead(owner=rep)
    gone.delete()

    def seen(user):
        return {c["object_id"] for c in walk(api(user), entity="lead")[0]}

    assert seen(boss) >= {mine.pk, theirs.pk, nobodys.pk}
    assert len(seen(boss)) == 4
    assert seen(rep) == {mine.pk}
    assert seen(manager) == {mine.pk}
    assert seen(viewer) == {theirs.pk}
    assert seen(other) == {theirs.pk}
    assert {c["entity"] for c in walk(api(rep))[0]} == {"lead"}


def test_without_signing_in_nothing_is_read():
    assert APIClient().get(URL).status_code in (401, 403)


def test_the_feed_is_read_along_its_index(boss):
    Lead.objects.bulk_create([Lead(first_name=str(i)) for i in range(3_000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE core_change")
    rows = feed.after(feed.settled(), feed.encode(Change.objects.order_by("-id")[100]))[:10]
    plan = rows.explain()
    assert "Index Scan using change_feed" in plan
    assert "ROW(xid, id) > ROW(" in plan.partition("Index Cond:")[2]
    assert "Sort" not in plan


def test_a_page_looks_up_the_records_of_the_changes_it_reads_alone(make_user):
    rep = make_user("rep")
    Lead.objects.bulk_create([Lead(first_name=str(i), owner=rep) for i in range(3_000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE core_change; ANALYZE lead_management_lead")
    plan = feed.visible(feed.settled(), rep)[:51].explain()
    assert "Index Scan using change_feed" in plan
    assert "Index Scan using lead_management_lead_pkey" in plan
    assert "hashed SubPlan" not in plan
