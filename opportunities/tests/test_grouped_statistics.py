"""Statistics by group: what may be named, exact figures, and what is not shown."""

from datetime import UTC, datetime

import pytest

from contacts.tests.factories import CompanyFactory
from core.accounts.tests.factories import TeamFactory
from core.customization.tests.factories import CustomFieldFactory
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/opportunities/statistics/"


@pytest.fixture
def deals(make_deal):
    make_deal(stage="proposal", amount="100.00", currency="USD", probability=50)
    make_deal(stage="proposal", amount="50.00", currency="EUR", probability=20)
    make_deal(stage="prospecting", probability=5)


def groups(client, url=URL, **params):
    response = client.get(url, params)
    assert response.status_code == 200, response.json()
    return response.json()["groups"]


def refused(client, url=URL, **params):
    response = client.get(url, params)
    assert response.status_code == 400, response.json()
    return response.json()["errors"]


def test_there_are_no_groups_where_none_are_asked_for(api, rep, deals):
    assert "groups" not in api(rep).get(URL).json()


def test_money_is_summed_by_currency_and_other_numbers_over_all(api, rep, deals):
    found = groups(api(rep), group_by="stage", metrics="sum_amount,avg_probability,max_probability")
    assert found == [
        {
            "groups": [{"field": "stage", "value": "proposal", "label": "proposal"}],
            "count": 2,
            "metrics": {"avg_probability": 35.0, "max_probability": 50},
            "by_currency": {"EUR": {"sum_amount": "50.00"}, "USD": {"sum_amount": "100.00"}},
        },
        {
            "groups": [{"field": "stage", "value": "prospecting", "label": "prospecting"}],
            "count": 1,
            "metrics": {"avg_probability": 5.0, "max_probability": 5},
            "by_currency": {},
        },
    ]


def test_metrics_alone_are_those_of_all(api, rep, deals):
    (found,) = groups(api(rep), metrics="min_probability,min_amount", currency="USD")
    assert (found["groups"], found["metrics"]) == ([], {"min_probability": 5})
    assert found["by_currency"] == {"USD": {"min_amount": "100.00"}}


def test_of_no_records_there_is_nothing(api, rep, pipeline):
    assert groups(api(rep), group_by="stage", metrics="sum_amount") == []
    (found,) = groups(api(rep), metrics="avg_probability,sum_amount")
    assert (found["count"], found["metrics"], found["by_currency"]) == (0, {"avg_probability": None}, {})


def test_two_levels_with_the_largest_first(api, rep, deals, make_deal):
    make_deal(stage="prospecting", currency="EUR")
    make_deal(stage="prospecting", currency="EUR")
    found = groups(api(rep), group_by="stage,currency")
    assert [([value["value"] for value in one["groups"]], one["count"]) for one in found] == [
        (["prospecting", "EUR"], 2),
        (["proposal", "EUR"], 1),
        (["proposal", "USD"], 1),
        (["prospecting", "USD"], 1),
    ]


def test_people_and_teams_are_called_by_their_names(api, make_user, admin_user, make_deal):
    team = TeamFactory(name="North")
    ann = make_user(role="rep", team=team, first_name="Ann", last_name="Lee")
    make_deal(owner=ann, assigned_to=ann)
    make_deal(owner=None, assigned_to=ann)
    by_owner = groups(api(admin_user), group_by="owner")
    assert {(one["groups"][0]["value"], one["groups"][0]["label"]) for one in by_owner} == {
        (str(ann.pk), "Ann Lee"),
        (None, ""),
    }
    by_team = groups(api(admin_user), group_by="team", owner=ann.pk)
    assert by_team[0]["groups"] == [{"field": "team", "value": str(team.pk), "label": "North"}]


def test_a_company_that_one_does_not_see_has_no_name(api, rep, make_user, make_deal):
    hidden = CompanyFactory(name="Secret Ltd", owner=make_user(role="rep"))
    make_deal(company=hidden)
    (found,) = groups(api(rep), group_by="company")
    assert found["groups"] == [{"field": "company", "value": str(hidden.pk), "label": ""}]


def test_only_what_one_sees_is_counted_and_the_filters_hold(api, rep, make_user, deals, make_deal):
    make_deal(owner=make_user(role="rep"), stage="proposal")
    assert [one["count"] for one in groups(api(rep), group_by="stage")] == [2, 1]
    assert [one["count"] for one in groups(api(rep), group_by="stage", probability__gt=10)] == [2]


def test_a_moment_falls_into_the_month_of_the_users_zone(api, make_user, make_deal):
    east = make_user(role="rep", time_zone="Pacific/Kiritimati")
    make_deal(owner=east, created_at=datetime(2026, 1, 31, 12, tzinfo=UTC))
    make_deal(owner=east, created_at=datetime(2026, 1, 31, 8, tzinfo=UTC))
    found = groups(api(east), group_by="created_at__month")
    assert [(one["groups"][0]["value"], one["count"]) for one in found] == [
        ("2026-01-01", 1),
        ("2026-02-01", 1),
    ]
    days = groups(api(east), group_by="created_at__day")
    assert [one["groups"][0]["value"] for one in days] == ["2026-01-31", "2026-02-01"]


def test_custom_fields_are_named_like_columns(api, rep, make_deal):
    CustomFieldFactory(entity="opportunity", key="plan", type="choice", choices=["basic", "pro"])
    CustomFieldFactory(entity="opportunity", key="seats", type="number")
    CustomFieldFactory(entity="opportunity", key="plan__b", type="choice", choices=["x"])
    make_deal(custom_fields={"plan": "pro", "seats": "3"})
    make_deal(custom_fields={"plan": "pro", "seats": "4.5"})
    make_deal()
    found = groups(api(rep), group_by="custom_fields.plan", metrics="sum_custom_fields.seats")
    assert [(one["groups"][0]["value"], one["metrics"]) for one in found] == [
        ("pro", {"sum_custom_fields.seats": 7.5}),
        (None, {"sum_custom_fields.seats": None}),
    ]
    [nothing] = groups(api(rep), group_by="custom_fields.plan__b")
    assert (nothing["groups"][0]["value"], nothing["count"]) == (None, 3)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"group_by": "nothing"}, "group_by"),
        ({"group_by": "name__month"}, "group_by"),
        ({"group_by": "created_at"}, "group_by"),
        ({"group_by": "created_at__century"}, "group_by"),
        ({"group_by": "notes"}, "group_by"),
        ({"group_by": "stage,owner,currency"}, "group_by"),
        ({"group_by": "stage,stage"}, "group_by"),
        ({"metrics": "sum_name"}, "metrics"),
        ({"metrics": "median_amount"}, "metrics"),
        ({"metrics": "sum_id"}, "metrics"),
        ({"metrics": "amount"}, "metrics"),
    ],
)
def test_what_cannot_be_grouped_or_measured_is_said(api, rep, deals, params, field):
    (error,) = refused(api(rep), **params)
    assert error["field"] == field


def test_more_groups_than_can_be_read_are_refused(api, rep, monkeypatch):
    monkeypatch.setattr("core.entities.grouping.MOST_GROUPS", 2)
    for city in ("Bern", "Rome", "Oslo"):
        LeadFactory(owner=rep, city=city)
    (error,) = refused(api(rep), "/api/v1/leads/statistics/", group_by="city")
    assert (error["field"], error["code"]) == ("group_by", "too_many")
    assert len(groups(api(rep), "/api/v1/leads/statistics/", group_by="city", city__ne="Rome")) == 2


def test_a_trend_of_more_figures_than_can_be_read_is_refused(api, rep, deals, monkeypatch):
    monkeypatch.setattr("core.reports.trend.MOST_FIGURES", 2)
    answer = api(rep).get("/api/v1/reports/trend/", {"group_by": "name,currency"})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"]) == (400, "group_by", "too_many")


@pytest.mark.parametrize("entity", ["leads", "contacts", "companies", "tasks"])
def test_every_entity_can_be_grouped(api, rep, entity):
    assert groups(api(rep), f"/api/v1/{entity}/statistics/", group_by="owner,created_at__year") == []
