"""Goals, who may write them, and the forecast beside them."""

from datetime import date

import pytest

from core.accounts.tests.factories import TeamFactory
from core.reports.models import Goal

pytestmark = pytest.mark.django_db
URL = "/api/v1/goals/"
MONTH = {"period": "month", "start": "2030-02-01", "metric": "amount", "target": "1000.00", "currency": "EUR"}


@pytest.fixture
def team(db):
    return TeamFactory(name="North")


@pytest.fixture
def people(make_user, team):
    """A manager, a rep of the team, and a rep of none."""
    return make_user("manager", team=team), make_user("rep", team=team), make_user("rep")


def test_a_manager_sets_goals_for_the_team_and_those_in_it(api, people, team):
    manager, rep, stranger = people
    made = api(manager).post(URL, {"user": rep.pk, **MONTH})
    assert (made.status_code, made.json()["target"], made.json()["currency"]) == (201, "1000.00", "EUR")
    assert api(manager).post(URL, {"team": team.pk, **MONTH}).status_code == 201
    refused = api(manager).post(URL, {"user": stranger.pk, **MONTH})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "user")
    goal = f"{URL}{made.json()['id']}/"
    assert api(manager).patch(goal, {"user": stranger.pk}).status_code == 400
    assert api(manager).patch(goal, {"target": "1200.00"}).json()["target"] == "1200.00"
    assert Goal.objects.get(user=rep).target == 1200
    assert api(manager).delete(goal).status_code == 204


def test_others_read_their_own(api, make_user, people, team):
    manager, rep, stranger = people
    viewer = make_user("viewer", team=team)
    Goal.objects.create(user=rep, period="month", start=date(2030, 2, 1), target=5, currency="EUR")
    Goal.objects.create(team=team, period="month", start=date(2030, 2, 1), target=9, currency="EUR")
    counts = [api(user).get(URL).json()["count"] for user in (manager, viewer, rep, stranger)]
    assert counts == [2, 2, 1, 0]
    own = f"{URL}{Goal.objects.get(user=rep).pk}/"
    statuses = [api(user).patch(own, {"target": "1"}).status_code for user in (rep, viewer, stranger)] + [
        api(rep).post(URL, {"user": rep.pk, **MONTH}).status_code,
        api(stranger).get(own).status_code,
    ]
    assert statuses == [403, 403, 403, 403, 404]
    assert Goal.objects.filter(target__in=(5, 9)).count() == 2


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"start": "2030-02-02"}, "start"),
        ({"period": "quarter"}, "start"),
        ({"period": "year"}, "period"),
        ({"target": "0"}, "target"),
        ({"target": "10.001"}, "target"),
        ({"metric": "count"}, "currency"),
        ({"metric": "count", "currency": "", "target": "1.5"}, "target"),
        ({"currency": ""}, "currency"),
        ({"currency": "XXY"}, "currency"),
        ({"user": None}, "user"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_is_no_goal_is_refused(admin, rep, given, field):
    response = admin.post(URL, {"user": rep.pk, **MONTH, **given}, format="json")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)
    assert Goal.objects.count() == 0


def test_there_is_one_goal_of_a_kind(admin, rep):
    assert admin.post(URL, {"user": rep.pk, **MONTH}).status_code == 201
    assert admin.post(URL, {"user": rep.pk, **MONTH}).status_code == 409
    assert admin.post(URL, {"user": rep.pk, **MONTH, "currency": "USD"}).status_code == 201


@pytest.fixture
def february(make_deal, people):
    """Of the team's rep: 600 euros won, 200 committed, 50 hoped for, 7 more, 10 dollars; all in February."""
    _, rep, _ = people
    when = {"owner": rep, "expected_close_date": date(2030, 2, 10)}
    make_deal(amount=600, currency="EUR", stage="closed_won", actual_close_date=date(2030, 2, 28), **when)
    make_deal(amount=200, currency="EUR", forecast_category="commit", **when)
    make_deal(amount=50, currency="EUR", forecast_category="best_case", **when)
    make_deal(amount=7, currency="EUR", **when)
    make_deal(amount=10, **when)
    make_deal(amount=999, forecast_category="omitted", **when)
    make_deal(amount=999, owner=rep, expected_close_date=date(2030, 3, 1))


def forecast(client, **params):
    response = client.get("/api/v1/reports/forecast/", {"start": "2030-02-15", **params})
    assert response.status_code == 200, response.json()
    return response.json()


def test_the_forecast_of_each_rep_and_team_beside_their_goals(api, people, team, february):
    manager, rep, _ = people
    start = date(2030, 2, 1)
    amount = Goal.objects.create(user=rep, start=start, target=1000, currency="EUR")
    Goal.objects.create(team=team, start=start, metric="count", target=4)
    found = forecast(api(manager))
    assert (found["start"], found["end"]) == ("2030-02-01", "2030-02-28")
    assert [(r["user"], r["team"], r["won_count"]) for r in found["rows"]] == [
        (rep.pk, None, 1), (None, team.pk, 1),
    ]  # fmt: skip
    assert [r["by_currency"] for r in found["rows"]] == [
        {
            "EUR": {"won": "600.00", "commit": "800.00", "best_case": "850.00", "pipeline": "857.00"},
            "USD": {"won": "0.00", "commit": "0.00", "best_case": "0.00", "pipeline": "10.00"},
        }
    ] * 2
    assert found["rows"][0]["goals"] == [
        {
            "id": amount.pk,
            "metric": "amount",
            "currency": "EUR",
            "target": "1000.00",
            "attained": "600.00",
            "share": 0.6,
        }
    ]
    [count] = found["rows"][1]["goals"]
    assert (count["target"], count["attained"], count["share"]) == ("4", "1", 0.25)


def test_a_rep_sees_their_own_forecast_alone(api, people, team, february):
    _, rep, stranger = people
    Goal.objects.create(team=team, start=date(2030, 2, 1), target=1000, currency="EUR")
    assert [(r["user"], r["team"]) for r in forecast(api(rep))["rows"]] == [(rep.pk, None)]
    assert forecast(api(stranger))["rows"] == []
    quarter = forecast(api(rep), period="quarter")
    assert (quarter["end"], quarter["rows"][0]["by_currency"]["USD"]["pipeline"]) == ("2030-03-31", "1009.00")
    refused = api(rep).get("/api/v1/reports/forecast/", {"period": "week"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "period")
