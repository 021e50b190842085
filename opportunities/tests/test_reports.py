"""Reports about deals: exact figures, by currency, within what one may see and where one is."""

from datetime import UTC, date, datetime

import pytest
from django.db import connection

from core.access import scopes
from core.accounts.tests.factories import TeamFactory
from core.customization.tests.factories import CustomFieldFactory
from opportunities.models import Opportunity
from opportunities.tests.factories import PipelineFactory, default_pipeline

pytestmark = pytest.mark.django_db
URL = "/api/v1/reports/"


def moment(month, day, hour=12):
    return datetime(2030, month, day, hour, tzinfo=UTC)


@pytest.fixture
def change_at():
    """change_at(moment, deal, **fields): the deal is changed, as if at that moment."""

    def change(at, deal, **fields):
        with connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(id), 0) FROM core_change")
            [newest] = cursor.fetchone()
            Opportunity.objects.filter(pk=deal.pk).update(**fields)
            cursor.execute("SELECT set_config('crm.maintenance', 'on', true)")
            cursor.execute("UPDATE core_change SET at = %s WHERE id > %s", [at, newest])
            cursor.execute("SELECT set_config('crm.maintenance', 'off', true)")

    return change


def get(client, name, **params):
    response = client.get(f"{URL}{name}/", params)
    assert response.status_code == 200, response.json()
    return response.json()


def refused(client, name, **params):
    """The fields that a 400 names."""
    response = client.get(f"{URL}{name}/", params)
    assert response.status_code == 400, response.content
    return [issue["field"] for issue in response.json()["errors"]]


def values(found, key="value"):
    return {currency: sums[key] for currency, sums in found["by_currency"].items()}


def parts(found):
    """Each part of a waterfall that is not empty: its count and sums."""
    return {row["move"]: (row["count"], values(row)) for row in found["rows"] if row["count"]}


@pytest.fixture
def quarter(make_deal):
    """Won in January and March of 2030, lost in March; made in December and January."""
    made = {"lead_source": "event", "created_at": moment(1, 10)}
    won, lost = {"stage": "closed_won"}, {"stage": "closed_lost", "lost_reason": "Price"}
    make_deal(amount=100, currency="EUR", created_at=datetime(2029, 12, 5, tzinfo=UTC), lead_source="partner",
              actual_close_date=date(2030, 1, 31), **won)  # fmt: skip
    make_deal(amount=50, currency="EUR", actual_close_date=date(2030, 3, 1), **won, **made)
    make_deal(amount=7, actual_close_date=date(2030, 3, 31), **lost, **made)
    make_deal(**made)


class TestTrend:
    def test_periods_have_exact_figures_and_those_of_the_period_before(self, api, rep, quarter):
        found = get(api(rep), "trend", start="2030-01-15", end="2030-03-10", period="month")
        assert (found["start"], found["end"]) == ("2030-01-01", "2030-03-31")
        assert [(r["period"], r["created"], r["won"], r["lost"]) for r in found["rows"]] == [
            ("2030-01-01", 3, 1, 0),
            ("2030-02-01", 0, 0, 0),
            ("2030-03-01", 0, 1, 1),
        ]
        january, february, march = found["rows"]
        assert (january["previous"]["created"], february["previous"]["won"]) == (1, 1)
        assert values(march, "won_value") == {"EUR": "50.00", "USD": "0.00"}
        assert values(march, "lost_value") == {"EUR": "0.00", "USD": "7.00"}
        assert values(found["totals"], "won_value") == {"EUR": "150.00", "USD": "0.00"}
        assert values(found["totals"], "created_value") == {"EUR": "50.00", "USD": "7.00"}
        assert (found["previous"]["start"], found["previous"]["end"]) == ("2029-10-01", "2029-12-31")
        assert (found["previous"]["created"], values(found["previous"], "created_value")) == (
            1,
            {"EUR": "100.00"},
        )

    @pytest.mark.parametrize(
        ("period", "first", "count"),
        [("day", "2030-01-10", 1), ("week", "2030-01-07", 1), ("quarter", "2030-01-01", 1)],
    )
    def test_periods_begin_with_the_day_the_monday_and_the_quarter(
        self, api, rep, quarter, period, first, count
    ):
        found = get(api(rep), "trend", start="2030-01-10", end="2030-01-10", period=period)
        assert [(r["period"], r["created"]) for r in found["rows"]] == [(first, 3)]

    def test_two_groups_with_their_labels(self, api, rep, make_user, make_deal, quarter):
        CustomFieldFactory(entity="opportunity", key="plan", type="choice", choices=["basic", "pro"])
        other = make_user("rep", first_name="Ada", last_name="Byron", team=TeamFactory(name="North"))
        make_deal(
            owner=other, assigned_to=rep, amount=3, created_at=moment(1, 2), custom_fields={"plan": "pro"}
        )
        asked = {"start": "2030-01-01", "end": "2030-01-31", "group_by": "team,custom_fields.plan"}
        found = get(api(rep), "trend", **asked)
        named = [[(g["field"], g["label"]) for g in row["groups"]] for row in found["rows"]]
        assert named == [
            [("team", ""), ("custom_fields.plan", "")],
            [("team", "North"), ("custom_fields.plan", "pro")],
        ]
        assert [row["created"] for row in found["rows"]] == [3, 1]
        by_source = get(api(rep), "trend", **{**asked, "group_by": "source"})
        assert [(r["groups"][0]["value"], r["created"], r["won"]) for r in by_source["rows"]] == [
            (None, 1, 0), ("event", 3, 0), ("partner", 0, 1),
        ]  # fmt: skip

    def test_a_day_is_one_of_the_zone_of_who_asks(self, api, make_user, make_deal):
        tokyo = make_user("rep", time_zone="Asia/Tokyo")
        make_deal(owner=tokyo, created_at=datetime(2030, 1, 31, 15, 30, tzinfo=UTC))
        make_deal(owner=tokyo, created_at=datetime(2030, 1, 31, 14, 30, tzinfo=UTC))
        found = get(api(tokyo), "trend", start="2030-01-01", end="2030-02-01")
        assert found["time_zone"] == "Asia/Tokyo"
        assert [(r["period"], r["created"]) for r in found["rows"]] == [("2030-01-01", 1), ("2030-02-01", 1)]

    def test_each_sees_their_own_a_manager_the_team(self, api, make_user, make_deal):
        team = TeamFactory()
        manager, one, two = (make_user(role, team=team) for role in ("manager", "rep", "rep"))
        for owner in (one, two, make_user("rep")):
            make_deal(owner=owner, created_at=moment(1, 5))
        asked = {"start": "2030-01-01", "end": "2030-01-31"}
        seen = [get(api(user), "trend", **asked)["totals"]["created"] for user in (one, manager)]
        assert seen == [1, 2]

    def test_without_records_there_are_zeros(self, api, rep):
        found = get(api(rep), "trend", start="2030-01-01", end="2030-02-28")
        assert [(r["created"], r["by_currency"]) for r in found["rows"]] == [(0, {}), (0, {})]
        assert get(api(rep), "trend", group_by="owner")["rows"] == []

    def test_filters_of_the_list_narrow(self, api, rep, quarter):
        asked = {"start": "2030-01-01", "end": "2030-01-31"}
        assert get(api(rep), "trend", lost_reason="Price", **asked)["totals"]["created"] == 1
        conditions = '{"field": "amount", "op": "gte", "value": 50}'
        assert get(api(rep), "trend", conditions=conditions, **asked)["totals"]["created"] == 1

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({"start": "yesterday"}, "start"),
            ({"start": "2030-02-01", "end": "2030-01-01"}, "start"),
            ({"end": "9999-12-31"}, "end"),
            ({"period": "year"}, "period"),
            ({"period": "day", "start": "2010-01-01", "end": "2030-01-01"}, "period"),
            ({"group_by": "notes"}, "group_by"),
            ({"group_by": "owner,team,source"}, "group_by"),
            ({"group_by": "owner,owner"}, "group_by"),
            ({"entity": "nothing"}, "entity"),
            ({"format": "xlsx"}, "format"),
            ({"nonsense": "1"}, "nonsense"),
            ({"owner": "x"}, "owner"),
        ],
    )
    def test_what_is_wrong_is_named(self, api, rep, params, field):
        assert refused(api(rep), "trend", **params) == [field]

    def test_as_csv(self, api, rep, quarter):
        asked = {"start": "2030-03-01", "end": "2030-03-31", "group_by": "source", "format": "csv"}
        response = api(rep).get(f"{URL}trend/", asked)
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        header, *lines = [line.split(",") for line in response.content.decode().split()]
        rows = [dict(zip(header, line, strict=True)) for line in lines]
        assert [(r["source"], r["currency"], r["won"], r["won_value"], r["lost_value"]) for r in rows] == [
            ("event", "EUR", "1", "50.00", "0.00"),
            ("event", "USD", "1", "0.00", "7.00"),
        ]


def test_a_key_needs_the_scopes_of_what_is_reported(api, rep):
    def status(held, **params):
        scopes.limit_to(rep, held)
        return api(rep).get(f"{URL}trend/", params).status_code

    assert status(["reports:read"]) == 403
    assert status(["opportunities:read"]) == 403
    both = ["reports:read", "opportunities:read"]
    assert (status(both), status(both, group_by="owner"), status(["read"], group_by="owner")) == (
        200,
        403,
        200,
    )


@pytest.mark.parametrize("name", ["page", "cursor", "ordering", "fields", "no_such_filter"])
def test_what_has_no_meaning_for_a_report_is_refused_by_name(api, rep, name):
    refused = api(rep).get(f"{URL}trend/", {name: "1"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, name)


def test_the_list_names_each_report_with_its_parameters(api, rep):
    found = api(rep).get(URL).json()["results"]
    assert [one["name"] for one in found][:4] == ["trend", "funnel", "velocity", "win_loss"]
    assert found[0]["entities"] == ["lead", "opportunity"]
    assert found[0]["parameters"] == ["start", "end", "format", "entity", "period", "group_by"]


@pytest.fixture
def ways(make_deal, change_at):
    """Three deals of January: one won after 4 and 6 days, one lost from the second stage, which it came into
    after 2 days, and one that rests in the first."""
    won, lost, _ = (make_deal(created_at=moment(1, 1), amount=10) for _ in range(3))
    change_at(moment(1, 5), won, stage="qualification")
    change_at(moment(1, 11), won, stage="closed_won", actual_close_date=date(2030, 1, 11))
    change_at(moment(1, 3), lost, stage="qualification")
    change_at(
        moment(2, 2), lost, stage="closed_lost", lost_reason="Price", actual_close_date=date(2030, 2, 2)
    )


def test_the_funnel_counts_how_far_deals_came_and_how_long_it_took(api, rep, ways):
    found = get(api(rep), "funnel", start="2030-01-01", end="2030-01-31")
    assert [
        (r["step"], r["count"], r["conversion"], r["conversion_from_start"], r["median_days"])
        for r in found["rows"]
    ] == [
        ("prospecting", 3, 1.0, 1.0, None),
        ("qualification", 2, 0.6667, 0.6667, 3.0),
        ("proposal", 1, 0.5, 0.3333, None),
        ("negotiation", 1, 1.0, 0.3333, None),
        ("closed_won", 1, 1.0, 0.3333, 6.0),
    ]
    assert (found["total"], found["open"], found["won"], found["lost"]) == (3, 1, 1, 1)
    empty = get(api(rep), "funnel", start="2031-01-01", end="2031-01-31")
    assert (empty["total"], empty["rows"][0]["conversion"]) == (0, None)


def test_a_funnel_is_of_one_pipeline(api, rep, ways, make_deal):
    other = PipelineFactory(usual_stages=True)
    make_deal(pipeline=other, created_at=moment(1, 2))
    asked = {"start": "2030-01-01", "end": "2030-01-31"}
    assert get(api(rep), "funnel", **asked)["total"] == 3
    assert get(api(rep), "funnel", pipeline=other.pk, **asked)["total"] == 1
    assert refused(api(rep), "funnel", pipeline="x", **asked) == ["pipeline"]


def test_velocity_is_the_time_in_each_stage_that_was_left_meanwhile(api, rep, ways):
    found = get(api(rep), "velocity", start="2030-01-01", end="2030-01-31")
    assert [(r["step"], r["left"], r["mean_days"], r["present"]) for r in found["rows"]] == [
        ("prospecting", 2, 3.0, 1),
        ("qualification", 1, 6.0, 0),
        ("proposal", 0, None, 0),
        ("negotiation", 0, None, 0),
    ]


def test_wins_and_losses_by_reason_and_source(api, rep, ways, quarter):
    asked = {"start": "2030-01-01", "end": "2030-03-31"}
    reasons = get(api(rep), "win_loss", **asked)
    assert [(r["value"], r["won"], r["lost"], values(r, "lost_value")) for r in reasons["rows"]] == [
        ("Price", 0, 2, {"USD": "17.00"})
    ]
    assert (reasons["totals"]["won"], reasons["totals"]["win_rate"]) == (3, 0.6)
    sources = get(api(rep), "win_loss", by="source", **asked)
    assert [(r["value"], r["won"], r["lost"], r["win_rate"]) for r in sources["rows"]] == [
        ("", 1, 1, 0.5), ("event", 1, 1, 0.5), ("partner", 1, 0, 1.0),
    ]  # fmt: skip
    assert values(sources["totals"], "won_value") == {"EUR": "150.00", "USD": "10.00"}


class TestPast:
    """One deal of each kind between January 31 and February 28."""

    @pytest.fixture
    def moved(self, make_deal, change_at):
        old = {"created_at": moment(1, 1), "amount": 100, "expected_close_date": date(2030, 2, 20)}
        raised, lowered, late, won, lost, other = (make_deal(**old) for _ in range(6))
        change_at(moment(1, 20), raised, amount=110)
        change_at(moment(2, 3), raised, amount="150.50")
        change_at(moment(2, 3), lowered, amount="99.99", stage="proposal")
        change_at(moment(2, 4), late, expected_close_date=date(2030, 3, 5))
        change_at(moment(2, 5), won, amount=120)
        change_at(moment(2, 6), won, stage="closed_won", actual_close_date=date(2030, 2, 6))
        change_at(
            moment(2, 7), lost, stage="closed_lost", lost_reason="x", actual_close_date=date(2030, 2, 7)
        )
        change_at(moment(2, 8), other, currency="JPY", amount=9000)
        back = make_deal(**old, stage="closed_lost", lost_reason="x", actual_close_date=date(2030, 1, 5))
        change_at(moment(2, 9), back, stage="proposal")
        gone = make_deal(**old)
        change_at(moment(2, 10), gone, archived_at=moment(2, 10))
        new = {"created_at": moment(2, 11), "amount": 30}
        make_deal(**new, expected_close_date=date(2030, 2, 25))
        quick = make_deal(**new, expected_close_date=date(2030, 2, 25))
        change_at(moment(2, 12), quick, stage="closed_won", actual_close_date=date(2030, 2, 12))
        # What happens later changes nothing of it.
        change_at(moment(3, 3), raised, amount=1, stage="negotiation")
        make_deal(created_at=moment(3, 3), amount=5)

    def test_the_pipeline_of_a_past_day(self, api, rep, moved):
        january = get(api(rep), "pipeline", date="2030-01-31")
        assert [(r["step"], r["count"], values(r)) for r in january["rows"]] == [
            ("prospecting", 7, {"USD": "710.00"})
        ]
        assert values(january["totals"], "weighted_value") == {"USD": "71.00"}
        february = get(api(rep), "pipeline", date="2030-02-28")
        assert [(r["step"], r["count"], values(r)) for r in february["rows"]] == [
            ("prospecting", 4, {"JPY": "9000", "USD": "280.50"}),
            ("proposal", 2, {"USD": "199.99"}),
        ]
        assert get(api(rep), "pipeline", date="2029-12-31")["totals"] == {"count": 0, "by_currency": {}}

    def test_the_waterfall_adds_up_to_the_cent(self, api, rep, moved):
        found = get(api(rep), "waterfall", start="2030-02-01", end="2030-02-28")
        assert (found["pipeline_start"]["count"], values(found["pipeline_start"])) == (7, {"USD": "710.00"})
        assert parts(found) == {
            "new": (2, {"USD": "60.00"}),
            "reopened": (1, {"USD": "100.00"}),
            "raised": (2, {"USD": "60.50"}),
            "lowered": (1, {"USD": "-0.01"}),
            "currency_changed": (1, {"JPY": "9000", "USD": "-100.00"}),
            "won": (2, {"USD": "-150.00"}),
            "lost": (1, {"USD": "-100.00"}),
            "archived": (1, {"USD": "-100.00"}),
        }
        assert values(found["pipeline_end"]) == {"JPY": "9000", "USD": "480.49"}
        assert (found["postponed"]["count"], values(found["postponed"])) == (1, {"USD": "100.00"})

    def test_what_is_expected_within_some_days_slips_out_of_them(self, api, rep, moved):
        asked = {"start": "2030-02-01", "end": "2030-02-28", "due_until": "2030-02-28"}
        found = get(api(rep), "waterfall", **asked)
        assert parts(found)["slipped"] == (1, {"USD": "-100.00"})
        assert values(found["pipeline_end"]) == {"JPY": "9000", "USD": "380.49"}

    def test_deals_of_another_pipeline_move_in_and_out(self, api, rep, make_deal, change_at):
        other = PipelineFactory(usual_stages=True)
        deal = make_deal(created_at=moment(1, 1), amount=10)
        change_at(moment(2, 2), deal, pipeline=other)
        asked = {"start": "2030-02-01", "end": "2030-02-28"}
        assert parts(get(api(rep), "waterfall", **asked)) == {}
        assert parts(get(api(rep), "waterfall", pipeline=other.pk, **asked)) == {
            "moved_in": (1, {"USD": "10.00"})
        }
        own = default_pipeline()
        found = get(api(rep), "waterfall", pipeline=own.pk, **asked)
        assert parts(found) == {"moved_out": (1, {"USD": "-10.00"})}
        assert get(api(rep), "pipeline", date="2030-01-31", pipeline=own.pk)["totals"]["count"] == 1

    def test_the_past_is_seen_by_who_sees_the_deal(self, api, make_user, moved):
        team = TeamFactory()
        assert (
            get(api(make_user("manager", team=team)), "pipeline", date="2030-01-31")["totals"]["count"] == 0
        )
        assert get(api(make_user("admin")), "pipeline", date="2030-01-31")["totals"]["count"] == 7

    def test_a_day_ends_where_the_user_is(self, api, make_user, make_deal):
        auckland = make_user("rep", time_zone="Pacific/Auckland")
        make_deal(owner=auckland, amount=1, created_at=datetime(2030, 1, 31, 10, 59, tzinfo=UTC))
        make_deal(owner=auckland, amount=1, created_at=datetime(2030, 1, 31, 11, 1, tzinfo=UTC))
        counts = [
            get(api(auckland), "pipeline", date=day)["totals"]["count"]
            for day in ("2030-01-31", "2030-02-01")
        ]
        assert counts == [1, 2]

    def test_only_what_has_a_pipeline_has_a_past(self, api, rep):
        assert refused(api(rep), "pipeline", entity="lead") == ["entity"]
        assert refused(api(rep), "waterfall", start="2030-02-01", end="2030-01-01") == ["start"]
