"""What requests cost: queries that do not grow with the page, searches and walks along indexes."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.entities.finding import search
from lead_management.entity import LEAD
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
LEADS = "/api/v1/leads/"


def leads(count, **fields):
    return Lead.objects.bulk_create([Lead(first_name=f"Lead {i}", **fields) for i in range(count)])


def queries(ask):
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert ask().status_code in (200, 201)
    return len(captured)


@pytest.mark.parametrize("role", ["admin", "manager", "rep"])
@pytest.mark.parametrize("query", ["", "expand=owner,assigned_to", "search=lead", "cursor=", "ordering=city"])
def test_a_list_costs_the_same_whatever_its_size(api, make_user, role, query):
    user = make_user(role)
    leads(30, owner=user)
    client = api(user)
    costs = [queries(lambda n=n: client.get(f"{LEADS}?page_size={n}&{query}")) for n in (2, 25)]
    assert costs[0] == costs[1] <= 6


def test_a_search_goes_along_the_trigram_index(admin):
    leads(300, company_name="Common Company", email="someone@common.example")
    LeadFactory(first_name="Ada", email="ada@rare-engines.example")
    with connection.cursor() as cursor:
        # A table this small is read as a whole; whether the index answers the question is what is asked.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
    for text in ("rare-engines", "ADA@RARE-ENGINES.example"):
        rows = search(LEAD, Lead.objects.order_by(), text)
        assert "Bitmap Index Scan on lead_search" in rows.explain()
        assert [row.first_name for row in rows] == ["Ada"]


def test_a_count_beyond_the_bound_is_an_estimate_and_marked(admin, settings):
    settings.CRM = {"COUNT_LIMIT": 20}
    leads(20)
    exact = admin.get(LEADS, {"page_size": 5}).json()
    assert (exact["count"], "count_estimated" in exact) == (20, False)
    leads(20)
    estimated = admin.get(LEADS, {"page_size": 5}).json()
    assert estimated["count_estimated"] is True
    assert estimated["count"] > 20
