"""Pages of what one owns and what one is assigned: whole, in order, without repetition, by index."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.accounts.tests.factories import TeamFactory
from lead_management.models import Lead

pytestmark = pytest.mark.django_db
URL = "/api/v1/leads/"


@pytest.fixture
def mixed(rep, make_user):
    """Thirty leads: owned by the rep, assigned to them, both, or neither."""
    other = make_user("rep")
    whose = [(rep, None), (other, rep), (rep, rep), (other, None), (other, other)]
    Lead.objects.bulk_create(
        Lead(first_name=str(i), owner=whose[i % 5][0], assigned_to=whose[i % 5][1]) for i in range(30)
    )
    return [lead.pk for lead in Lead.objects.order_by("-pk") if rep in (lead.owner, lead.assigned_to)]


def walked(client, **params):
    page = client.get(URL, {"page_size": 4, **params}).json()
    ids = []
    while True:
        assert page["count"] == 18
        ids += [row["id"] for row in page["results"]]
        if not page["next"]:
            return ids
        page = client.get(page["next"]).json()


def test_the_pages_together_are_the_list(api, rep, mixed):
    assert walked(api(rep)) == mixed
    assert walked(api(rep), ordering="id") == mixed[::-1]
    assert walked(api(rep), ordering="-created_at,-id") == mixed


def test_filters_hold_on_every_page(api, rep, mixed):
    Lead.objects.filter(pk__in=mixed[:3]).update(status="contacted")
    rows = api(rep).get(URL, {"status": "contacted", "page_size": 2}).json()
    assert (rows["count"], [r["id"] for r in rows["results"]]) == (3, mixed[:2])
    rows = api(rep).get(URL, {"status": "contacted", "page_size": 2, "page": 2}).json()
    assert [r["id"] for r in rows["results"]] == mixed[2:3]
    assert api(rep).get(URL, {"page_size": 4, "page": 6}).status_code == 404


def test_a_manager_sees_the_same_as_their_team(api, rep, make_user, mixed):
    team = TeamFactory(name="West")
    rep.team = team
    rep.save(update_fields=["team"])
    assert walked(api(make_user("manager", team=team))) == mixed


def test_a_page_takes_two_queries_whatever_is_on_it(api, rep, mixed):
    client = api(rep)
    counts = set()
    for size in (2, 10, 100):
        with CaptureQueriesContext(connection) as queries:
            client.get(URL, {"page_size": size})
        counts.add(len(queries))
    # Which rows of how many, and what is in them; who asks is known here.
    assert counts == {2}


def test_a_number_far_beyond_what_is_counted_is_the_planners_and_says_so(admin, settings):
    settings.CRM = getattr(settings, "CRM", {}) | {"COUNT_LIMIT": 10}
    Lead.objects.bulk_create(Lead(first_name=str(i), status="new" if i else "lost") for i in range(200))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE lead_management_lead")
    with CaptureQueriesContext(connection) as queries:
        page = admin.get(URL, {"page_size": 5, "lead_score__gte": 0}).json()
    assert (page["count"], page["count_estimated"]) == (200, True)
    assert not any("count(*)" in q["sql"] for q in queries)
    found = admin.get(URL, {"page_size": 5, "status": "lost"}).json()
    assert (found["count"], "count_estimated" in found) == (1, False)


def test_what_one_owns_is_found_by_index_among_everybody_elses(api, rep, make_user):
    other = make_user("rep")
    Lead.objects.bulk_create(
        Lead(first_name=str(i), owner=rep if i % 100 == 0 else other) for i in range(5_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE lead_management_lead")
    with CaptureQueriesContext(connection) as queries:
        api(rep).get(URL, {"page_size": 10})
    page = next(q["sql"] for q in queries if "UNION" in q["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {page}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "lead_by_owner" in plan, plan
    assert "Seq Scan" not in plan, plan
