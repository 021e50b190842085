"""Amounts in several currencies: decimal places of each, and never one sum over two."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection

from contacts.models import Company
from lead_management.models import Lead
from opportunities.models import Opportunity

pytestmark = pytest.mark.django_db
URL = "/api/v1/opportunities/"
MARCH = date(2030, 3, 15)


@pytest.fixture
def mixed(make_deal):
    """In March 2030: 1000 euros and 500,000 yen that are won, 200 dollars that are not."""
    for amount, currency in ((1000, "EUR"), (500_000, "JPY")):
        make_deal(amount=amount, currency=currency, stage="closed_won", actual_close_date=MARCH)
    make_deal(amount=200, stage="proposal", expected_close_date=MARCH)


def get(client, path, **params):
    response = client.get(f"{URL}{path}", params)
    assert response.status_code == 200, response.json()
    return response.json()


def test_the_forecast_adds_up_each_currency_by_itself(api, rep, mixed):
    found = get(api(rep), "forecast/", start="2030-03-01", months=1)
    [march] = found["months"]
    assert (found["mixed_currencies"], march["count"], march["currency"]) == (True, 3, "USD")
    assert (march["won"], march["pipeline"], march["weighted"]) == ("0.00", "200.00", "100.00")
    assert {c: (f["count"], f["won"], f["pipeline"]) for c, f in march["by_currency"].items()} == {
        "EUR": (1, "1000.00", "1000.00"),
        "JPY": (1, "500000", "500000"),
        "USD": (1, "0.00", "200.00"),
    }
    assert found["totals"]["pipeline"] == "200.00"
    assert found["by_currency"]["JPY"]["weighted"] == "500000"


def test_a_month_with_closed_deals_of_two_currencies_says_so(api, rep, make_deal):
    for amount, currency in ((1000, "EUR"), (500_000, "JPY")):
        make_deal(amount=amount, currency=currency, stage="closed_won", actual_close_date=MARCH)
    found = get(api(rep), "forecast/", start="2030-03-01", months=1)
    assert (found["mixed_currencies"], found["currency"]) == (True, "EUR")
    assert found["totals"]["won"] == "1000.00"
    # Open deals of another currency in other months are no matter here.
    assert get(api(rep), "forecast/", start="2030-04-01", months=1)["mixed_currencies"] is False


def test_the_board_adds_up_each_currency_by_itself(api, rep, mixed, make_deal):
    make_deal(amount=300, currency="EUR", stage="proposal")
    found = get(api(rep), "pipeline/")
    proposal = found["by_stage"]["proposal"]
    assert (proposal["count"], proposal["total_value"], proposal["currency"]) == (2, "200.00", "USD")
    assert proposal["by_currency"]["EUR"]["total_weighted_value"] == "150.00"
    won = found["by_stage"]["closed_won"]
    assert (won["count"], won["total_value"]) == (2, "0.00")
    assert {c: f["total_value"] for c, f in won["by_currency"].items()} == {"EUR": "1000.00", "JPY": "500000"}
    assert (found["count"], found["total_value"], found["mixed_currencies"]) == (2, "200.00", True)


def test_statistics_add_up_each_currency_by_itself(api, rep, mixed):
    found = get(api(rep), "statistics/")
    assert (found["total"], found["won"], found["currency"], found["mixed_currencies"]) == (3, 2, "USD", True)
    assert (found["total_value"], found["won_value"], found["average_amount"]) == ("200.00", "0.00", "200.00")
    assert found["by_currency"]["JPY"] == {
        "count": 1,
        "total_value": "0",
        "total_weighted_value": "0",
        "won_value": "500000",
        "average_amount": "500000",
    }


def test_a_deal_without_an_amount_is_of_no_currency(api, rep, make_deal):
    make_deal(amount=10, currency="EUR")
    make_deal()
    found = get(api(rep), "pipeline/")
    assert (found["count"], found["currency"], found["total_value"]) == (2, "EUR", "10.00")
    assert found["mixed_currencies"] is False


@pytest.mark.parametrize(
    ("currency", "given", "shown"),
    [("JPY", "1000", "1000"), ("KWD", "1.234", "1.234"), ("KWD", 5, "5.000"), ("USD", "7.5", "7.50")],
)
def test_amounts_have_the_places_of_their_currency(api, rep, admin, pipeline, currency, given, shown):
    deal = api(rep).post(URL, {"name": "Deal", "amount": given, "currency": currency}).json()
    assert deal["amount"] == shown
    lead = api(rep).post(
        "/api/v1/leads/", {"first_name": "A", "estimated_value": given, "currency": currency}
    )
    assert lead.json()["estimated_value"] == shown
    company = {"name": "A", "annual_revenue": given, "currency": currency}
    assert admin.post("/api/v1/companies/", company).json()["annual_revenue"] == shown


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "10.5"), ("USD", "1.005"), ("KWD", "1.0005")])
def test_more_places_than_the_currency_has_are_refused(api, rep, admin, pipeline, currency, amount):
    bodies = {
        URL: {"name": "Deal", "amount": amount},
        "/api/v1/leads/": {"first_name": "A", "estimated_value": amount},
        "/api/v1/companies/": {"name": "A", "annual_revenue": amount},
    }
    for url, body in bodies.items():
        response = admin.post(url, body | {"currency": currency})
        assert response.status_code == 400
        [error] = response.json()["errors"]
        assert (error["field"], error["code"]) == (list(body)[1], "max_decimal_places")
        assert currency in error["message"]
    assert not Opportunity.objects.exists()
    assert not Lead.objects.exists()
    assert not Company.objects.exists()


def test_another_currency_for_an_amount_that_does_not_fit_it_is_refused(api, rep, make_deal):
    deal = make_deal(amount=Decimal("10.50"))
    assert api(rep).patch(f"{URL}{deal.pk}/", {"currency": "JPY"}).status_code == 400
    body = {"ids": [deal.pk], "action": "update", "data": {"currency": "JPY"}}
    assert api(rep).post(f"{URL}bulk_update/", body).json()["updated"] == 0
    changed = api(rep).patch(f"{URL}{deal.pk}/", {"currency": "JPY", "amount": "1500"}).json()
    assert (changed["amount"], changed["weighted_amount"]) == ("1500", "150")


def test_plain_sql_gets_the_places_too(make_deal):
    deal = make_deal(amount=Decimal("10.50"))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE opportunities_opportunity SET amount = 7, currency = 'KWD'")
    deal.refresh_from_db()
    assert str(deal.amount) == "7.000"


@pytest.mark.parametrize(("start", "months"), [("9999-12-01", 6), ("9999-08-01", 6), ("9999-12-31", 2)])
def test_a_forecast_beyond_the_calendar_is_refused(api, rep, pipeline, start, months):
    response = api(rep).get(f"{URL}forecast/", {"start": start, "months": months})
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == ["start"]


@pytest.mark.parametrize(("start", "months"), [("9999-12-31", 1), ("9999-07-01", 6), ("0001-01-01", 36)])
def test_a_forecast_to_the_ends_of_the_calendar(api, rep, pipeline, start, months):
    assert len(get(api(rep), "forecast/", start=start, months=months)["months"]) == months
