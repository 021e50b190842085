"""Walks by cursor: every record once, in the order asked for, however deep, whatever is written meanwhile."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.customization.tests.factories import CustomFieldFactory
from lead_management.models import Lead

pytestmark = pytest.mark.django_db
LEADS = "/api/v1/leads/"
MOMENT = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = ("id", "city", "created_at", "lead_score", "estimated_value", "next_follow_up_at", "owner",
           "conversion_probability", "custom_fields.size")  # fmt: skip
MANY = 30_000


def walk(client, ordering, size, meanwhile=lambda seen: None):
    """The ids of a whole walk, page by page."""
    seen, url = [], f"{LEADS}?cursor=&page_size={size}&ordering={ordering}&fields=id"
    while url:
        body = client.get(url).json()
        assert body["count"] is None
        seen += [row["id"] for row in body["results"]]
        url = body["next"]
        assert url is None or len(body["results"]) == size
        meanwhile(seen)
    return seen


def mixed(i, owner):
    """A lead that is like many others in every column, and without a value in many."""
    return Lead(
        first_name=str(i),
        city=["Turin", "turin", "Åre", "", "a b"][i % 5],
        created_at=MOMENT + timedelta(microseconds=i % 3),
        lead_score=i % 2,
        estimated_value=None if i % 4 == 0 else i % 3,
        next_follow_up_at=None if i % 3 else MOMENT + timedelta(days=i % 2),
        owner=owner if i % 7 else None,
        conversion_probability=None if i % 5 else (i % 3) / 3,
        custom_fields={} if i % 3 == 1 else {"size": i % 4},
    )


@pytest.fixture
def size_field(db):
    return CustomFieldFactory(entity="lead", key="size", type="number")


@pytest.fixture
def forty(size_field, admin_user):
    return Lead.objects.bulk_create(mixed(i, admin_user) for i in range(40))


signed = st.builds(str.__add__, st.sampled_from(("", "-")), st.sampled_from(COLUMNS))
orderings = st.lists(signed, min_size=1, max_size=4, unique_by=lambda name: name.removeprefix("-"))


@given(names=orderings, size=st.integers(1, 13))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_walk_is_the_list_in_any_mixed_ordering_with_ties_and_gaps(admin, forty, names, size):
    ordering = ",".join(names)
    listed = admin.get(f"{LEADS}?page_size=500&ordering={ordering}&fields=id").json()["results"]
    assert walk(admin, ordering, size) == [row["id"] for row in listed]


@pytest.mark.parametrize(
    "ordering",
    ["", "-created_at", "city", "-estimated_value,city", "lead_score", "-lead_score,estimated_value,-city",
     "next_follow_up_at,-owner", "-custom_fields.size,conversion_probability,created_at", "-owner,-id"],
)  # fmt: skip
def test_each_record_is_met_once_while_others_come_and_go(admin, forty, admin_user, ordering):
    there, numbers = {lead.pk for lead in forty}, iter(range(1_000))

    def meanwhile(seen):
        Lead.objects.bulk_create(mixed(next(numbers), admin_user) for _ in range(3))
        gone = min(there - set(seen), default=None)
        Lead.objects.filter(pk=gone).delete()
        there.discard(gone)

    def walked_over(seen):
        if len(seen) < 300:  # what is added behind the walk is met as well
            meanwhile(seen)

    seen = walk(admin, ordering, 5, walked_over)
    assert len(seen) == len(set(seen))
    assert there <= set(seen)


@pytest.fixture
def many(db):
    """Thirty thousand leads: 101 scores, a tenth of them with a date to follow up."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO lead_management_lead"
            " (first_name, last_name, lead_score, created_at, next_follow_up_at)"
            " SELECT 'Lead', (ARRAY['Ask', 'apt', 'Åre'])[n %% 3 + 1] || n / 9,"
            " n %% 101, %s + (n / 3) * interval '1 second',"
            " CASE WHEN n %% 10 = 0 THEN %s + n * interval '1 minute' END FROM generate_series(1, %s) n",
            [MOMENT, MOMENT, MANY],
        )
        cursor.execute("ANALYZE lead_management_lead")


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def deep_page(client, ordering, depth):
    """The plan, with what it really read, of the page that is `depth` rows deep in the walk."""
    url = f"{LEADS}?cursor=&page_size=500&ordering={ordering}&fields=id"
    for _ in range(depth // 500):
        url = client.get(url).json()["next"]
    with CaptureQueriesContext(connection) as queries:
        assert len(client.get(url).json()["results"]) == 500
    [sql] = [q["sql"] for q in queries if "_k0" in q["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        [[[plan]]] = cursor.fetchall()
    return list(nodes(plan["Plan"] if isinstance(plan, dict) else json.loads(plan)["Plan"]))


@pytest.mark.parametrize(
    ("ordering", "index", "depth", "at_most"),
    [
        ("-created_at", "lead_recent", 20_000, 501),
        ("created_at", "lead_recent", 20_000, 501),
        ("-lead_score", "lead_score_order", 20_000, 501),
        ("last_name", "lead_last_name", 20_000, 501),
        ("-last_name", "lead_last_name", 20_000, 501),
        # Ties of the score behind it and before it (300 of each) are read and sorted out.
        ("-lead_score,first_name", "lead_score_order", 20_000, 1_500),
        ("-created_at,id", "lead_recent", 20_000, 520),
        ("next_follow_up_at", "lead_follow_up", 2_000, 510),
        ("-next_follow_up_at", "lead_follow_up", 2_000, 510),
    ],
)
def test_a_deep_page_reads_a_range_of_the_index_and_not_what_lies_before(
    admin, many, ordering, index, depth, at_most
):
    plan = deep_page(admin, ordering, depth)
    [scan] = [node for node in plan if node.get("Index Name") == index]
    assert "Index Cond" in scan, scan
    read = scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)
    assert 500 <= read <= at_most, scan
    assert not [node for node in plan if node["Node Type"] == "Seq Scan"]
