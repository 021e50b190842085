"""Which rows a page's statement reads, by role and filters, and how many rows it says there are."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.accounts.tests.factories import TeamFactory
from core.api import counting
from core.sharing.tests.factories import ShareFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/leads/"
TEAM, LEADS, BOUND = 5, 1_000, 20
# Of the statements that find a page: those of narrowed lists, and of whole ones by id or by another column.
BEGINNINGS = ("WITH page", "WITH found", "SELECT ARRAY(", "SELECT coalesce((SELECT ids")
# A filter that every lead passes.
ALL_LEADS = {"lead_score__gte": 0}


@pytest.fixture
def bound(settings):
    settings.CRM = getattr(settings, "CRM", {}) | {"COUNT_LIMIT": BOUND}


@pytest.fixture
def people(make_user):
    """A manager, whose team owns every second lead, a rep of theirs, a viewer of theirs and somebody else."""
    team = TeamFactory(name="West")
    reps = [make_user("rep", team=team) for _ in range(TEAM)]
    other = make_user("rep")
    Lead.objects.bulk_create(
        Lead(
            first_name=str(n),
            owner=reps[n // 2 % TEAM] if n % 2 else other,
            assigned_to=reps[n // 3 % TEAM] if n % 2 and n % 3 else None,
            city="Bergen" if n < 30 else "Oslo",
            estimated_value=n if n % 5 == 0 else None,
        )
        for n in range(LEADS)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE lead_management_lead")
    return {
        "manager": make_user("manager", team=team),
        "viewer": make_user("viewer", team=team),
        "rep": reps[0],
    }


def page_of(client, **params):
    """A page, and the statement that found its ids."""
    with CaptureQueriesContext(connection) as queries:
        page = client.get(URL, {"page_size": 10, **params}).json()
    [sql] = [q["sql"] for q in queries if q["sql"].startswith(BEGINNINGS)]
    return page, sql


def most_read(sql):
    """The most rows that one node of the statement's plan really gave."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        [[[plan]]] = cursor.fetchall()

    def nodes(node):
        # A bitmap of an index counts entries of rows that other tests rolled back, its heap scan does not.
        if node["Node Type"] != "Bitmap Index Scan":
            yield node["Actual Rows"] * node["Actual Loops"]
        for below in node.get("Plans", []):
            yield from nodes(below)

    return max(nodes((plan if isinstance(plan, dict) else json.loads(plan)[0])["Plan"]))


@pytest.mark.parametrize("role", ["manager", "viewer"])
def test_a_list_of_a_team_is_no_union_of_all_that_it_has(api, people, bound, role):
    visible = Lead.objects.visible_to(people[role])
    first = [lead.pk for lead in visible.order_by("-pk")[:10]]
    page, sql = page_of(api(people[role]), **ALL_LEADS)
    assert [row["id"] for row in page["results"]] == first
    assert page["count_estimated"] is True
    assert abs(page["count"] - visible.count()) < visible.count() / 2
    assert "count(*)" not in sql
    assert most_read(sql) <= 50
    page, sql = page_of(api(people[role]))
    assert [row["id"] for row in page["results"]] == first
    assert (page["count"], "count_estimated" in page) == (visible.count(), False)
    assert most_read(sql) <= 50


def test_what_is_counted_of_a_branch_ends_at_the_bound(api, people, bound, monkeypatch):
    monkeypatch.setattr(counting, "FAR_BEYOND", 1_000)
    page, sql = page_of(api(people["manager"]), **ALL_LEADS)
    assert page["count_estimated"] is True
    assert "count(*)" in sql
    assert most_read(sql) <= 3 * (BOUND + 1)


def test_a_share_is_a_part_of_the_list_and_counted_once(api, people, bound, make_user):
    stranger = make_user("rep")
    own = LeadFactory(first_name="Own", owner=stranger, assigned_to=stranger)
    given = Lead.objects.order_by("pk")[0]
    ShareFactory(record=given, user=stranger)
    ShareFactory(record=own, user=stranger)
    page, _ = page_of(api(stranger))
    assert ([row["id"] for row in page["results"]], page["count"]) == ([own.pk, given.pk], 2)


@pytest.mark.parametrize("role", ["admin", "manager", "rep"])
def test_rare_rows_at_the_far_end_of_the_order_are_found_and_not_walked_to(
    api, admin_user, people, settings, role
):
    settings.CRM = getattr(settings, "CRM", {}) | {"COUNT_LIMIT": 40}
    user = admin_user if role == "admin" else people[role]
    wanted = Lead.objects.visible_to(user).filter(city="Bergen").order_by("-pk")
    page, sql = page_of(api(user), city="Bergen", page_size=5)
    assert [row["id"] for row in page["results"]] == [lead.pk for lead in wanted[:5]]
    assert (page["count"], "count_estimated" in page) == (wanted.count(), False)
    assert sql.startswith("WITH found (id, _k0) AS MATERIALIZED")
    last, _ = page_of(api(user), city="Bergen", page_size=4, page=-(-wanted.count() // 4))
    assert last["results"][-1]["id"] == wanted.last().pk
    assert last["next"] is None


@pytest.mark.parametrize("found_whole", [0, 1_000])
@pytest.mark.parametrize(
    "ordering", ["-id", "estimated_value", "-estimated_value", "-estimated_value,first_name", "city,-id"]
)
def test_found_and_walked_pages_are_the_same_list(api, people, monkeypatch, ordering, found_whole):
    monkeypatch.setattr(counting, "FOUND_WHOLE", found_whole)
    user = people["manager"]
    rows = list(Lead.objects.visible_to(user).filter(pk__lte=Lead.objects.order_by("pk")[80].pk))
    keys = {
        "-id": lambda one: -one.pk,
        "estimated_value": lambda one: (one.estimated_value is None, one.estimated_value or 0, one.pk),
        "-estimated_value": lambda one: (one.estimated_value is None, -(one.estimated_value or 0), -one.pk),
        "-estimated_value,first_name": lambda one: (
            one.estimated_value is None, -(one.estimated_value or 0), one.first_name, -one.pk,
        ),
        "city,-id": lambda one: (one.city.upper(), -one.pk),
    }  # fmt: skip
    expected = [lead.pk for lead in sorted(rows, key=keys[ordering])]
    client, found, place = api(user), [], 1
    last = max(lead.pk for lead in rows)
    while True:
        page, _ = page_of(client, id__lte=last, ordering=ordering, page_size=7, page=place)
        found += [row["id"] for row in page["results"]]
        if not page["next"]:
            break
        place += 1
    assert found == expected


def test_an_order_by_value_is_read_from_its_index_in_both_directions(admin, people, bound):
    for ordering in ("estimated_value", "-estimated_value"):
        _, sql = page_of(admin, ordering=ordering)
        with connection.cursor() as cursor:
            # So small a table is read as a whole and sorted; whether the index gives the order is asked.
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "lead_estimated_value" in plan, plan
        assert most_read(sql) <= 20, ordering
