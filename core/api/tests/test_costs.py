"""What requests cost: queries that do not grow with the page, searches and walks along indexes."""

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from core.api.filtersets import filterset_of_fields
from core.entities.finding import search
from lead_management.entity import LEAD
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Pipeline

pytestmark = pytest.mark.django_db
LEADS = "/api/v1/leads/"
# A filter that every lead passes.
ALL = {"lead_score__gte": 0}


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


def test_the_planner_is_asked_once_how_many_rows_a_narrowed_list_has(admin, settings):
    settings.CRM = {"COUNT_LIMIT": 20}
    leads(100)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE lead_management_lead")
    with CaptureQueriesContext(connection) as captured:
        assert admin.get(LEADS, {"page_size": 5, **ALL}).json()["count_estimated"] is True
    assert [query["sql"].startswith("EXPLAIN") for query in captured] == [True, False, False]
    with CaptureQueriesContext(connection) as captured:
        assert admin.get(LEADS, {"page_size": 5}).json()["count"] == 100
    assert [query["sql"].startswith("EXPLAIN") for query in captured] == [False, False]


def test_who_sees_everything_has_no_union_of_rows(admin_user, rep):
    assert len(Lead.objects.visible_to(rep).parts) == 3  # owned, assigned, shared
    everything = Lead.objects.visible_to(admin_user)
    assert everything.parts == [everything]


def test_a_filter_set_of_fields_is_made_once_and_its_form_has_what_is_asked_for(admin_user):
    made = filterset_of_fields(Pipeline, ("is_active", "is_default"))
    assert made is filterset_of_fields(Pipeline, ("is_active", "is_default"))
    asked = made(QueryDict("is_default=true"), queryset=Pipeline.objects.all())
    assert list(asked.form.fields) == ["is_default"]
    assert [pipeline.is_default for pipeline in asked.checked] == [True]
    assert asked.filters["is_default"].parent is asked
    assert not hasattr(made.base_filters["is_default"], "parent")


def test_addresses_are_found_by_their_first_word():
    assert resolve("/api/v1/saved-views/7").url_name == "saved_views-hyphenated-detail"
    assert resolve("/api/v1/leads/bulk_update/").url_name == "leads-bulk-update"
    assert reverse("leads-detail", kwargs={"pk": 7}) == "/api/v1/leads/7"
    # Beside a viewset of the same first word, and before its records.
    assert resolve("/api/v1/notifications/unsubscribe/").url_name == "unsubscribe"
    assert resolve("/api/v1/nothing/7/").func.__name__ == "not_found"


def test_a_count_beyond_the_bound_is_an_estimate_and_marked(admin, settings):
    settings.CRM = {"COUNT_LIMIT": 20}
    leads(20)
    exact = admin.get(LEADS, {"page_size": 5, **ALL}).json()
    assert (exact["count"], "count_estimated" in exact) == (20, False)
    leads(80)
    estimated = admin.get(LEADS, {"page_size": 5, **ALL}).json()
    assert estimated["count_estimated"] is True
    assert estimated["count"] > 20
