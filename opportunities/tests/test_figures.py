"""Board, forecast, statistics and what is rotting: exact figures in a fixed number of queries."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from opportunities.models import Opportunity
from opportunities.tests.factories import PipelineFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/opportunities/"


@pytest.fixture
def deals(make_deal):
    """Four open deals, one won and one lost."""
    make_deal(name="a", amount="1000.00", stage="prospecting")
    make_deal(name="b", amount="333.33", stage="proposal")
    make_deal(name="c", amount="200.00", stage="proposal", probability=80)
    make_deal(name="d", stage="negotiation")
    make_deal(name="won", amount="500.00", stage="closed_won")
    make_deal(name="lost", amount="70.00", stage="closed_lost")


def board(client, **params):
    response = client.get(f"{URL}pipeline/", params)
    assert response.status_code == 200, response.json()
    return response.json()


def test_the_board_has_every_stage_in_its_order(api, rep, deals, pipeline):
    found = board(api(rep))
    assert found["pipeline"] == {"id": pipeline.pk, "name": pipeline.name}
    assert list(found["by_stage"]) == [
        "prospecting",
        "qualification",
        "proposal",
        "negotiation",
        "closed_won",
        "closed_lost",
    ]
    assert [column["count"] for column in found["by_stage"].values()] == [1, 0, 2, 1, 1, 1]


def test_the_board_sums_and_weighs(api, rep, deals):
    found = board(api(rep))
    proposal = found["by_stage"]["proposal"]
    assert (proposal["total_value"], proposal["total_weighted_value"]) == ("533.33", "326.67")
    assert found["by_stage"]["negotiation"]["total_value"] == "0.00"
    assert found["by_stage"]["closed_won"]["total_weighted_value"] == "500.00"
    assert found["by_stage"]["closed_lost"]["total_weighted_value"] == "0.00"


def test_the_totals_are_those_of_open_deals(api, rep, deals):
    found = board(api(rep))
    assert (found["count"], found["total_value"], found["total_weighted_value"]) == (4, "1533.33", "426.67")
    assert found["mixed_currencies"] is False


def test_the_age_is_the_mean_of_days_since_creation(api, rep, make_deal):
    for days in (10, 20):
        make_deal(created_at=timezone.now() - timedelta(days=days))
    assert board(api(rep))["by_stage"]["prospecting"]["average_age_days"] == 15.0
    assert board(api(rep))["by_stage"]["proposal"]["average_age_days"] is None


def test_different_currencies_are_not_passed_off_as_one(api, rep, make_deal):
    make_deal(amount=100, currency="USD")
    make_deal(amount=50, currency="EUR")
    found = board(api(rep))
    assert found["mixed_currencies"] is True
    assert found["by_currency"]["EUR"]["total_value"] == "50.00"
    assert found["by_currency"]["USD"] == {
        "count": 1,
        "total_value": "100.00",
        "total_weighted_value": "10.00",
    }


def test_the_board_takes_the_lists_filters_and_shows_what_one_sees(api, rep, make_user, deals, make_deal):
    other = make_user("rep")
    make_deal(owner=other, amount=9000)
    assert board(api(rep))["total_value"] == "1533.33"
    assert board(api(other))["total_value"] == "9000.00"
    assert board(api(rep), search="b")["count"] == 1
    assert board(api(rep), amount__gte="1000")["count"] == 1
    assert api(rep).get(f"{URL}pipeline/", {"nonsense": "1"}).status_code == 400


def test_another_pipeline_has_its_own_board(api, rep, deals, make_deal):
    other = PipelineFactory(name="Renewals")
    other.stages.create(key="offer", name="Offer", probability=40)
    make_deal(pipeline=other, stage="offer", amount=10)
    found = board(api(rep), pipeline=other.pk)
    assert (list(found["by_stage"]), found["total_weighted_value"]) == (["offer"], "4.00")
    assert api(rep).get(f"{URL}pipeline/", {"pipeline": 999_999}).status_code == 404
    assert api(rep).get(f"{URL}pipeline/", {"pipeline": "x"}).status_code == 400


def test_archived_deals_count_nowhere(api, rep, deals):
    Opportunity.objects.update(archived_at=timezone.now())
    assert board(api(rep))["count"] == 0
    assert api(rep).get(f"{URL}statistics/").json()["total"] == 0


# -- forecast -----------------------------------------------------------------------------------


def forecast(client, **params):
    response = client.get(f"{URL}forecast/", params)
    assert response.status_code == 200, response.json()
    return response.json()


@pytest.fixture
def expected(make_deal):
    """In January 2030 one of each category, in March one, and one that was won in January."""
    january = date(2030, 1, 31)
    make_deal(amount=100, probability=50, forecast_category="pipeline", expected_close_date=january)
    make_deal(amount=200, probability=50, forecast_category="best_case", expected_close_date=january)
    make_deal(amount=400, probability=50, forecast_category="commit", expected_close_date=january)
    make_deal(amount=8000, probability=50, forecast_category="omitted", expected_close_date=january)
    make_deal(
        amount=800,
        stage="closed_won",
        actual_close_date=date(2030, 1, 5),
        expected_close_date=date(2030, 3, 1),
    )
    make_deal(amount=1600, stage="closed_lost", actual_close_date=date(2030, 1, 5))
    make_deal(amount=3, probability=100, expected_close_date=date(2030, 3, 31))
    make_deal(amount=5, expected_close_date=date(2030, 4, 1))
    make_deal(amount=7)


def test_the_forecast_by_month(api, rep, expected):
    found = forecast(api(rep), start="2030-01-15", months=3)
    assert [m["month"] for m in found["months"]] == ["2030-01", "2030-02", "2030-03"]
    january, february, march = found["months"]
    assert {
        name: january[name]
        for name in january
        if name not in ("by_currency", "mixed_currencies", "converted")
    } == {
        "month": "2030-01",
        "currency": "USD",
        "count": 4,
        "won": "800.00",
        "commit": "1200.00",
        "best_case": "1400.00",
        "pipeline": "1500.00",
        "weighted": "1150.00",
    }
    assert (february["count"], february["weighted"]) == (0, "0.00")
    assert (march["count"], march["pipeline"], march["weighted"], march["commit"]) == (
        1,
        "3.00",
        "3.00",
        "0.00",
    )


def test_the_forecasts_totals(api, rep, expected):
    totals = forecast(api(rep), start="2030-01-01", months=3)["totals"]
    assert totals == {
        "won": "800.00",
        "commit": "1200.00",
        "best_case": "1400.00",
        "pipeline": "1503.00",
        "weighted": "1153.00",
    }


def test_the_forecast_starts_this_month_for_half_a_year(api, rep, make_deal):
    make_deal(amount=10, expected_close_date=timezone.now().date())
    months = forecast(api(rep))["months"]
    assert len(months) == 6
    assert (months[0]["month"], months[0]["count"]) == (f"{timezone.now():%Y-%m}", 1)


def test_each_sees_their_own_forecast(api, make_user, expected):
    assert forecast(api(make_user("rep")), start="2030-01-01")["totals"]["pipeline"] == "0.00"


@pytest.mark.parametrize(
    "bad", [{"months": "0"}, {"months": "37"}, {"months": "x"}, {"start": "2030-13-01"}, {"x": "1"}]
)
def test_bad_questions_are_refused(api, rep, pipeline, bad):
    response = api(rep).get(f"{URL}forecast/", bad)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == next(iter(bad))


# -- statistics, rotting ------------------------------------------------------------------------


def test_statistics_are_exact(api, rep, deals):
    found = api(rep).get(f"{URL}statistics/").json()
    assert (found["total"], found["open"], found["won"], found["lost"]) == (6, 4, 1, 1)
    assert (found["total_value"], found["total_weighted_value"], found["won_value"]) == (
        "1533.33",
        "426.67",
        "500.00",
    )
    assert found["win_rate"] == 0.5
    assert found["average_amount"] == "420.67"
    assert found["by_status"] == {"open": 4, "won": 1, "lost": 1}
    assert found["by_stage"] == {
        "prospecting": 1, "proposal": 2, "negotiation": 1, "closed_won": 1, "closed_lost": 1,
    }  # fmt: skip


def test_statistics_of_nothing(api, rep, pipeline):
    found = api(rep).get(f"{URL}statistics/").json()
    assert (found["total"], found["win_rate"], found["average_amount"], found["total_value"]) == (
        0,
        0,
        "0.00",
        "0.00",
    )


@pytest.mark.parametrize(("path", "limit"), [("pipeline/", 4), ("forecast/", 2), ("statistics/", 4)])
def test_figures_take_a_fixed_number_of_queries(
    api, rep, make_deal, path, limit, django_assert_max_num_queries
):
    for i in range(30):
        make_deal(
            amount=i, expected_close_date=timezone.now().date(), stage=["prospecting", "proposal"][i % 2]
        )
    client = api(rep)
    with django_assert_max_num_queries(limit):
        client.get(f"{URL}{path}")


def test_deals_rot_when_they_rest_for_longer_than_their_stage_allows(api, rep, make_deal):
    stays = {"prospecting": 31, "proposal": 20, "negotiation": 15, "closed_won": 400}
    for stage, days in stays.items():
        deal = make_deal(name=stage, stage=stage)
        Opportunity.objects.filter(pk=deal.pk).update(
            stage_changed_at=timezone.now() - timedelta(days=days, hours=1)
        )
    names = lambda value: {r["name"] for r in api(rep).get(URL, {"rotting": value}).json()["results"]}  # noqa: E731
    assert names("true") == {"prospecting", "negotiation"}
    assert names("false") == {"proposal", "closed_won"}
    shown = api(rep).get(URL, {"search": "negotiation"}).json()["results"][0]
    assert shown["days_in_stage"] == 15
