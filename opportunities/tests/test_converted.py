"""Totals in one currency: at the rate of the close date, by the rates named, and never one to one."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from core.currencies.models import ExchangeRate
from core.currencies.tests.factories import ExchangeRateFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/opportunities/"
TODAY = timezone.now().date()
CLOSED_ON = date(2026, 3, 10)


@pytest.fixture
def deals(make_deal):
    """Open: 100 dollars, 200 euros, 50 pounds, 1000 yen. Won on a day in March: 300 euros; lost then: 40."""
    for amount, currency in ((100, "USD"), (200, "EUR"), (50, "GBP"), (1000, "JPY")):
        make_deal(
            amount=amount, currency=currency, stage="prospecting", expected_close_date=date(2030, 1, 31)
        )
    closed = {"currency": "EUR", "actual_close_date": CLOSED_ON}
    make_deal(amount=300, stage="closed_won", **closed)
    make_deal(amount=40, stage="closed_lost", lost_reason="Price", **closed)


@pytest.fixture
def rates():
    """A euro was 1.10 dollars in March and is 1.20 today; a pound 1.50; of yen there is no rate."""
    return [
        ExchangeRateFactory(date=CLOSED_ON - timedelta(days=3), rate="1.10"),
        ExchangeRateFactory(date=TODAY - timedelta(days=1), rate="1.20"),
        ExchangeRateFactory(currency="GBP", date=TODAY, rate="1.50"),
    ]


def converted(client, path, **params):
    response = client.get(f"{URL}{path}/", {"in_currency": "USD", **params})
    assert response.status_code == 200, response.json()
    return response.json()["converted"]


def test_statistics_give_one_total_beside_those_of_each_currency(api, rep, deals, rates):
    found = converted(api(rep), "statistics")
    assert (found["currency"], found["count"]) == ("USD", 5)
    # 100 + 200 * 1.20 + 50 * 1.50; won 300 * 1.10; all of them and 40 * 1.10, by five.
    assert (found["total_value"], found["total_weighted_value"]) == ("415.00", "41.50")
    assert (found["won_value"], found["average_amount"]) == ("330.00", "157.80")
    assert found["without_rate"] == {
        "JPY": {
            "count": 1,
            "total_value": "1000",
            "total_weighted_value": "100",
            "won_value": "0",
            "average_amount": "1000",
        }
    }
    by_currency = api(rep).get(f"{URL}statistics/", {"in_currency": "USD"}).json()["by_currency"]
    assert by_currency["EUR"]["average_amount"] == "180.00"
    assert by_currency == api(rep).get(f"{URL}statistics/").json()["by_currency"]


def test_the_rates_used_are_named(api, rep, deals, rates):
    found = converted(api(rep), "statistics")
    assert found["rates_count"] == 3
    assert found["rates"] == [
        {"currency": "GBP", "date": str(TODAY), "rate": "1.5", "closed": False},
        {"currency": "EUR", "date": str(TODAY - timedelta(days=1)), "rate": "1.2", "closed": False},
        {"currency": "EUR", "date": "2026-03-07", "rate": "1.1", "closed": True},
    ]


def test_a_currency_that_is_not_the_organisations_goes_by_way_of_it(api, rep, deals, rates):
    found = converted(api(rep), "statistics", in_currency="gbp")
    # (100 + 200 * 1.20 + 75) / 1.50; what was closed in March has no rate in pounds yet.
    assert (found["currency"], found["total_value"], found["won_value"]) == ("GBP", "276.67", "0.00")
    assert found["without_rate"]["EUR"]["won_value"] == "300.00"
    assert found["rates"][0] == {
        "currency": "USD",
        "date": str(TODAY),
        "rate": "0.666666666667",
        "closed": False,
    }


def test_the_board_converts_each_stage_and_what_is_open(api, rep, deals, rates):
    found = api(rep).get(f"{URL}pipeline/", {"in_currency": "USD"}).json()
    assert (found["converted"]["total_value"], found["converted"]["count"]) == ("415.00", 3)
    assert list(found["converted"]["without_rate"]) == ["JPY"]
    won = found["by_stage"]["closed_won"]["converted"]
    assert (won["total_value"], won["count"], won["without_rate"]) == ("330.00", 1, {})
    assert found["by_stage"]["proposal"]["converted"]["total_value"] == "0.00"
    assert api(rep).get(f"{URL}pipeline/").json()["converted"] is None


def test_the_forecast_converts_each_month_and_all_of_them(api, rep, deals, rates):
    found = api(rep).get(f"{URL}forecast/", {"start": "2026-03-01", "months": 1, "in_currency": "USD"}).json()
    assert found["months"][0]["converted"]["won"] == found["converted"]["won"] == "330.00"
    assert [rate["rate"] for rate in found["converted"]["rates"]] == ["1.1"]
    coming = converted(api(rep), "forecast", start="2030-01-01", months=1)
    assert (coming["pipeline"], coming["weighted"], coming["count"]) == ("415.00", "41.50", 3)


@pytest.mark.parametrize("path", ["statistics", "pipeline", "forecast"])
def test_without_any_rate_nothing_is_taken_one_to_one(api, rep, deals, path):
    found = converted(api(rep), path, **({"start": "2030-01-01"} if path == "forecast" else {}))
    assert found["count"] == 1
    assert {"EUR", "GBP", "JPY"} == set(found["without_rate"])
    assert (found["rates"], found["rates_count"]) == ([], 0)


def test_changing_a_rate_restates_what_is_open_and_nothing_closed(api, rep, admin, deals, rates):
    for rate in ExchangeRate.objects.filter(currency="EUR"):
        assert admin.patch(f"/api/v1/exchange_rates/{rate.pk}/", {"rate": "2"}).status_code == 200
    late = {"currency": "EUR", "date": str(CLOSED_ON), "rate": "3"}
    assert admin.post("/api/v1/exchange_rates/", late).status_code == 201
    found = converted(api(rep), "statistics")
    assert (found["total_value"], found["won_value"]) == ("575.00", "330.00")


def test_a_rate_before_the_first_one_is_none(api, rep, make_deal):
    ExchangeRateFactory(date=CLOSED_ON)
    make_deal(amount=10, currency="EUR", stage="closed_won", actual_close_date=CLOSED_ON - timedelta(days=1))
    found = converted(api(rep), "statistics")
    assert (found["won_value"], found["without_rate"]["EUR"]["won_value"]) == ("0.00", "10.00")


def test_the_list_s_filter_by_currency_stays_one(api, rep, deals, rates):
    found = converted(api(rep), "statistics", currency="GBP")
    assert (found["count"], found["total_value"]) == (1, "75.00")


@pytest.mark.parametrize("path", ["statistics", "pipeline", "forecast"])
def test_what_is_no_currency_is_refused(api, rep, path):
    response = api(rep).get(f"{URL}{path}/", {"in_currency": "XYZ"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "in_currency"


@pytest.mark.parametrize("path", ["statistics", "pipeline", "forecast"])
def test_the_rates_take_one_statement(api, rep, deals, rates, path, django_assert_max_num_queries):
    client = api(rep)
    params = {"start": "2030-01-01"} if path == "forecast" else {}

    def statements(**more):
        with django_assert_max_num_queries(30) as counted:
            assert client.get(f"{URL}{path}/", {**params, **more}).status_code == 200
        return len(counted)

    statements()
    assert statements(in_currency="USD") == statements() + 1
