"""The stage decides about probability, status and closing date, whoever writes the row, and how."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.changes.models import Change
from opportunities.models import Opportunity, Pipeline, Stage
from opportunities.tests.factories import OpportunityFactory, PipelineFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/opportunities/"


def through_the_api(client, deal, values):
    body = {k: v for k, v in values.items() if k != "pipeline_id"}
    response = client.patch(f"{URL}{deal.pk}/", body)
    assert response.status_code == 200, response.json()


def through_bulk(client, deal, values):
    response = client.post(f"{URL}bulk_update/", {"ids": [deal.pk], "action": "update", "data": values})
    assert response.status_code == 200, response.json()


def through_the_orm(client, deal, values):
    Opportunity.objects.filter(pk=deal.pk).update(**values)


def through_save(client, deal, values):
    for name, value in values.items():
        setattr(deal, name, value)
    deal.save()


def through_sql(client, deal, values):
    parts = ", ".join(f"{name} = %s" for name in values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE opportunities_opportunity SET {parts} WHERE id = %s",  # noqa: S608
            [*values.values(), deal.pk],
        )


ENDPOINTS = [through_the_api, through_bulk, through_the_orm, through_save, through_sql]
door = pytest.mark.parametrize("write", ENDPOINTS)


def outcome(deal):
    deal.refresh_from_db()
    return (deal.status, deal.probability, deal.actual_close_date)


@door
def test_moving_takes_the_probability_of_the_stage(api, rep, make_deal, write):
    deal = make_deal()
    write(api(rep), deal, {"stage": "negotiation"})
    assert outcome(deal) == ("open", 75, None)


@door
def test_winning_closes_today_with_certainty(api, rep, make_deal, write):
    deal = make_deal()
    write(api(rep), deal, {"stage": "closed_won"})
    assert outcome(deal) == ("won", 100, timezone.now().date())


@door
def test_losing_closes_with_nothing(api, rep, make_deal, write):
    deal = make_deal(probability=60)
    write(api(rep), deal, {"stage": "closed_lost", "lost_reason": "Price"})
    assert outcome(deal) == ("lost", 0, timezone.now().date())


@door
def test_reopening_takes_the_closing_date_away(api, rep, make_deal, write):
    deal = make_deal(stage="closed_won")
    assert outcome(deal)[0] == "won"
    write(api(rep), deal, {"stage": "proposal"})
    assert outcome(deal) == ("open", 50, None)


@door
def test_a_probability_given_with_the_stage_is_kept(api, rep, make_deal, write):
    deal = make_deal()
    write(api(rep), deal, {"stage": "proposal", "probability": 65})
    assert outcome(deal) == ("open", 65, None)


@door
def test_a_closed_deal_has_no_probability_of_its_own(api, rep, make_deal, write):
    deal = make_deal(stage="closed_won")
    write(api(rep), deal, {"probability": 30})
    assert outcome(deal)[:2] == ("won", 100)


@door
def test_an_open_deal_has_no_closing_date(api, rep, make_deal, write):
    deal = make_deal()
    write(api(rep), deal, {"actual_close_date": date(2030, 1, 1)})
    assert outcome(deal) == ("open", 10, None)


@door
def test_a_closing_date_given_with_the_win_is_kept(api, rep, make_deal, write):
    deal = make_deal()
    write(api(rep), deal, {"stage": "closed_won", "actual_close_date": date(2024, 2, 29)})
    assert outcome(deal) == ("won", 100, date(2024, 2, 29))


@pytest.mark.parametrize("write", [through_the_orm, through_sql])
def test_status_is_never_anybodys_to_write(api, rep, make_deal, write):
    deal = make_deal()
    write(None, deal, {"status": "won"})
    assert outcome(deal) == ("open", 10, None)


def test_inserted_rows_follow_their_stage_too(pipeline, rep):
    common = {"pipeline": pipeline, "owner": rep}
    Opportunity.objects.bulk_create(
        [
            Opportunity(name="a", stage="proposal", **common),
            Opportunity(name="b", stage="proposal", probability=5, **common),
            Opportunity(name="c", stage="closed_won", probability=5, **common),
        ]
    )
    rows = list(Opportunity.objects.order_by("name").values_list("status", "probability"))
    assert rows == [("open", 50), ("open", 5), ("won", 100)]


@door
def test_the_time_in_a_stage_begins_with_the_move_and_not_with_other_changes(api, rep, make_deal, write):
    deal = make_deal()
    long_ago = timezone.now() - timedelta(days=50)
    Opportunity.objects.filter(pk=deal.pk).update(stage_changed_at=long_ago)
    deal.refresh_from_db()
    write(api(rep), deal, {"next_step": "Call", "probability": 20})
    deal.refresh_from_db()
    assert deal.stage_changed_at == long_ago
    write(api(rep), deal, {"stage": "proposal"})
    deal.refresh_from_db()
    assert timezone.now() - deal.stage_changed_at < timedelta(minutes=1)


# -- stage and pipeline belong together ---------------------------------------------------------


@pytest.mark.parametrize("write", [through_the_orm, through_save, through_sql])
def test_no_door_lets_a_stage_of_another_pipeline_in(make_deal, write):
    deal = make_deal()
    with pytest.raises(IntegrityError), transaction.atomic():
        write(None, deal, {"stage": "nowhere"})
    assert outcome(deal) == ("open", 10, None)


def test_the_api_names_the_stages_there_are(api, rep, make_deal):
    response = api(rep).patch(f"{URL}{make_deal().pk}/", {"stage": "nowhere"})
    assert response.status_code == 400
    error = response.json()["errors"][0]
    assert (error["field"], error["code"]) == ("stage", "invalid_choice")
    assert "negotiation" in error["message"]


def test_moving_to_another_pipeline_starts_at_its_first_stage(api, rep, make_deal):
    other = PipelineFactory(name="Renewals")
    other.stages.create(key="second", name="Second", position=2, probability=70)
    other.stages.create(key="first", name="First", position=1, probability=30)
    deal = make_deal(stage="proposal")
    body = api(rep).patch(f"{URL}{deal.pk}/", {"pipeline": other.pk}).json()
    assert (body["pipeline"], body["stage"], body["probability"]) == (other.pk, "first", 30)
    assert api(rep).patch(f"{URL}{deal.pk}/", {"stage": "proposal"}).status_code == 400


def test_a_put_without_a_stage_leaves_the_deal_where_it_is(api, rep, make_deal):
    deal = make_deal(stage="proposal")
    body = api(rep).put(f"{URL}{deal.pk}/", {"name": "Renamed"}).json()
    assert (body["stage"], body["name"]) == ("proposal", "Renamed")


# -- losing needs a reason ----------------------------------------------------------------------


def test_losing_needs_a_reason_that_stays(api, rep, make_deal):
    deal = make_deal()
    url = f"{URL}{deal.pk}/"
    refused = api(rep).patch(url, {"stage": "closed_lost"})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "lost_reason"
    assert outcome(deal)[0] == "open"
    assert api(rep).patch(url, {"stage": "closed_lost", "lost_reason": "Price"}).status_code == 200
    assert api(rep).patch(url, {"lost_reason": ""}).status_code == 400
    assert api(rep).patch(url, {"lost_reason": "Competitor"}).status_code == 200


def test_in_a_bulk_change_each_deal_needs_its_reason(api, rep, make_deal):
    with_reason, without = make_deal(lost_reason="Price"), make_deal()
    body = {"ids": [with_reason.pk, without.pk], "action": "update", "data": {"stage": "closed_lost"}}
    response = api(rep).post(f"{URL}bulk_update/", body)
    assert response.status_code == 207
    assert response.json()["updated"] == 1
    assert [e["id"] for e in response.json()["errors"]] == [without.pk]
    assert (outcome(with_reason)[0], outcome(without)[0]) == ("lost", "open")


def test_an_imported_lost_deal_without_a_reason_can_be_edited(api, rep, make_deal):
    deal = make_deal(stage="closed_lost")
    assert api(rep).patch(f"{URL}{deal.pk}/", {"next_step": "None"}).status_code == 200


# -- where a deal has been ----------------------------------------------------------------------


def test_the_stages_a_deal_went_through_with_the_days_in_each(api, rep, make_deal):
    start = timezone.now() - timedelta(days=10)
    deal = make_deal(created_at=start, created_by=rep)
    url = f"{URL}{deal.pk}/"
    api(rep).patch(url, {"stage": "proposal", "next_step": "Call"})
    Opportunity.objects.filter(pk=deal.pk).update(amount=5)
    Opportunity.objects.filter(pk=deal.pk).update(stage="closed_won")
    stays = api(rep).get(f"{url}stages/").json()["results"]
    assert [s["stage"] for s in stays] == ["prospecting", "proposal", "closed_won"]
    assert [s["days"] for s in stays] == [10.0, 0.0, None]
    assert [s["moved_by"] for s in stays] == [rep.pk, rep.pk, None]
    assert stays[0]["left_at"] == stays[1]["entered_at"]


def test_the_stages_of_anothers_deal_are_not_there(api, make_user, make_deal):
    assert api(make_user("rep")).get(f"{URL}{make_deal().pk}/stages/").status_code == 404


# -- many at once -------------------------------------------------------------------------------


def test_moving_thousands_costs_the_same_queries_as_moving_ten(admin, admin_user, pipeline):
    common = {"pipeline": pipeline, "stage": "prospecting", "owner": admin_user}
    Opportunity.objects.bulk_create(Opportunity(name=str(i), **common) for i in range(2_010))
    ids = list(Opportunity.objects.order_by("pk").values_list("pk", flat=True))
    counts = []
    for part in (ids[:10], ids[10:]):
        body = {"ids": part, "action": "update", "data": {"stage": "closed_won"}}
        with CaptureQueriesContext(connection) as queries:
            response = admin.post(f"{URL}bulk_update/", body)
        assert response.json()["updated"] == len(part)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert set(Opportunity.objects.values_list("status", "probability")) == {("won", 100)}
    moved = Change.objects.filter(entity="opportunity", changes__status=["open", "won"])
    assert moved.count() == 2_010


# -- stages themselves --------------------------------------------------------------------------


def test_what_a_stage_means_stays_while_deals_are_in_it(admin, make_deal, pipeline):
    make_deal(stage="proposal")
    stage = Stage.objects.get(key="proposal")
    url = f"/api/v1/stages/{stage.pk}/"
    for change in ({"key": "offer"}, {"is_won": True}, {"is_lost": True}):
        response = admin.patch(url, change)
        assert response.status_code == 400, change
        assert response.json()["errors"][0]["field"] == next(iter(change))
    assert admin.delete(url).status_code == 409
    assert admin.patch(url, {"name": "Offer", "probability": 55, "rotting_days": 9}).status_code == 200
    empty = Stage.objects.get(key="negotiation")
    assert admin.patch(f"/api/v1/stages/{empty.pk}/", {"key": "haggling"}).status_code == 200


def test_a_stage_is_not_won_and_lost(admin, pipeline):
    body = {"pipeline": pipeline.pk, "key": "both", "name": "Both", "is_won": True, "is_lost": True}
    assert admin.post("/api/v1/stages/", body).status_code == 400


@pytest.mark.parametrize(
    "bad", [{"key": "Not a key"}, {"probability": 101}, {"pipeline": 99999}, {"rotting_days": 0}]
)
def test_bad_stages_are_refused(admin, pipeline, bad):
    body = {"pipeline": pipeline.pk, "key": "new", "name": "New"} | bad
    response = admin.post("/api/v1/stages/", body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == next(iter(bad))


# -- what the stage decides about besides ----------------------------------------------------------


@door
def test_reopening_forgets_why_it_was_lost(api, rep, make_deal, write):
    deal = make_deal(stage="closed_lost", lost_reason="Price")
    write(api(rep), deal, {"stage": "proposal"})
    deal.refresh_from_db()
    assert (deal.status, deal.lost_reason, deal.forecast_category) == ("open", "", "pipeline")
    change = Change.objects.filter(entity="opportunity", kind="updated").latest("id").changes
    assert (change["lost_reason"], change["forecast_category"]) == (["Price", ""], ["omitted", "pipeline"])
    # The next loss needs a reason of its own.
    assert api(rep).patch(f"{URL}{deal.pk}/", {"stage": "closed_lost"}).status_code == 400


@door
def test_closing_sets_the_forecast_category(api, rep, make_deal, write):
    won, lost = make_deal(forecast_category="best_case"), make_deal(forecast_category="commit")
    write(api(rep), won, {"stage": "closed_won"})
    write(api(rep), lost, {"stage": "closed_lost", "lost_reason": "Price"})
    won.refresh_from_db()
    lost.refresh_from_db()
    assert (won.forecast_category, lost.forecast_category) == ("closed", "omitted")
    change = Change.objects.filter(entity="opportunity", object_id=won.pk, kind="updated").get().changes
    assert change["forecast_category"] == ["best_case", "closed"]


@door
def test_a_lost_deal_that_is_won_after_all_counts(api, rep, make_deal, write):
    deal = make_deal(stage="closed_lost", lost_reason="Price")
    write(api(rep), deal, {"stage": "closed_won"})
    deal.refresh_from_db()
    assert (deal.forecast_category, deal.lost_reason) == ("closed", "")


def test_a_deal_left_out_of_the_forecast_is_left_out_when_won(api, rep, make_deal):
    deal = make_deal(forecast_category="omitted")
    assert through_the_api(api(rep), deal, {"stage": "closed_won"}) is None
    deal.refresh_from_db()
    assert deal.forecast_category == "omitted"


def test_an_open_deal_is_not_in_the_closed_category(api, rep, make_deal):
    deal = make_deal()
    through_the_api(api(rep), deal, {"forecast_category": "closed"})
    deal.refresh_from_db()
    assert deal.forecast_category == "pipeline"


# -- the day on which it was closed ----------------------------------------------------------------


@pytest.fixture
def on_kiritimati(rep):
    rep.time_zone = "Pacific/Kiritimati"
    rep.save()


def day_there():
    return timezone.now().astimezone(ZoneInfo("Pacific/Kiritimati")).date()


@door
def test_a_deal_is_closed_on_the_day_that_it_is_where_its_closer_is(
    api, rep, make_deal, on_kiritimati, write
):
    deal = make_deal(expected_close_date=date(2020, 1, 1))
    write(api(rep), deal, {"stage": "closed_won"})
    assert outcome(deal) == ("won", 100, day_there())


def test_the_zone_is_the_closers_and_not_the_owners(api, make_user, rep, make_deal, on_kiritimati):
    helper = make_user("rep", time_zone="Pacific/Pago_Pago")
    deal = make_deal(assigned_to=helper)
    through_the_api(api(helper), deal, {"stage": "closed_won"})
    assert outcome(deal)[2] == timezone.now().astimezone(ZoneInfo("Pacific/Pago_Pago")).date()


def test_without_anybody_acting_it_is_the_assignees_day(make_user, make_deal):
    helper = make_user("rep", time_zone="Pacific/Kiritimati")
    deal = make_deal(assigned_to=helper)
    through_the_orm(None, deal, {"stage": "closed_won"})
    assert outcome(deal)[2] == day_there()


def test_a_deal_that_comes_closed_was_closed_when_it_was_to_be(api, rep, pipeline):
    body = {"name": "Old", "stage": "closed_won", "expected_close_date": "2005-05-31"}
    made = api(rep).post(URL, body).json()
    assert (made["status"], made["actual_close_date"]) == ("won", "2005-05-31")
    lost = OpportunityFactory(
        name="Old", pipeline=pipeline, stage="closed_lost", expected_close_date=date(2005, 6, 1)
    )
    assert outcome(lost)[2] == date(2005, 6, 1)


def test_a_deal_that_comes_closed_was_not_closed_in_the_future(api, rep, pipeline):
    body = {"name": "New", "stage": "closed_won", "expected_close_date": "2999-01-01"}
    assert api(rep).post(URL, body).json()["actual_close_date"] == str(timezone.now().date())


def test_sending_a_closed_deal_back_without_its_day_keeps_the_day(api, rep, make_deal):
    deal = make_deal(stage="closed_won", actual_close_date=date(2005, 5, 31))
    assert api(rep).put(f"{URL}{deal.pk}/", {"name": "Deal"}).json()["actual_close_date"] == "2005-05-31"
    through_sql(None, deal, {"actual_close_date": None})
    assert outcome(deal)[2] == date(2005, 5, 31)


# -- what a pipeline cannot do without --------------------------------------------------------------


@pytest.mark.parametrize("key", ["closed_won", "closed_lost"])
def test_the_last_won_or_lost_stage_stays(admin, pipeline, key):
    stage = Stage.objects.get(pipeline=pipeline, key=key)
    url = f"/api/v1/stages/{stage.pk}/"
    assert admin.delete(url).status_code == 409
    response = admin.patch(url, {"is_won": False, "is_lost": False})
    assert response.status_code == 400
    assert {e["field"] for e in response.json()["errors"]} <= {"is_won", "is_lost"}
    assert Stage.objects.filter(pk=stage.pk, key=key, is_won=stage.is_won, is_lost=stage.is_lost).exists()


def test_one_of_two_won_stages_may_go(admin, pipeline):
    pipeline.stages.create(key="renewed", name="Renewed", position=9, is_won=True, probability=100)
    stage = Stage.objects.get(pipeline=pipeline, key="closed_won")
    assert admin.delete(f"/api/v1/stages/{stage.pk}/").status_code == 204


@pytest.mark.parametrize(("flag", "certain"), [("is_won", 100), ("is_lost", 0)])
def test_a_closed_stage_is_certain(admin, pipeline, flag, certain):
    body = {"pipeline": pipeline.pk, "name": "The end", flag: True}
    refused = admin.post("/api/v1/stages/", body | {"probability": 5})
    assert refused.status_code == 400
    assert [e["field"] for e in refused.json()["errors"]] == ["probability"]
    made = admin.post("/api/v1/stages/", body).json()
    assert (made["key"], made["probability"]) == ("the_end", certain)
    assert admin.patch(f"/api/v1/stages/{made['id']}/", {"probability": 5}).status_code == 400
    with pytest.raises(IntegrityError), transaction.atomic():
        Stage.objects.filter(pk=made["id"]).update(probability=5)


def test_a_stage_with_deals_is_deleted_with_a_stage_to_move_them_to(admin):
    pipeline = Pipeline.objects.get(is_default=True)
    stage = pipeline.stages.get(key="proposal")
    deal = OpportunityFactory(name="Big", pipeline=pipeline, stage="proposal")
    address = f"/api/v1/stages/{stage.pk}/"
    for query in ("", "?force=true"):
        assert admin.delete(address + query).status_code == 409
    for wrong in ("closed_won", "proposal", "nowhere", ""):
        answer = admin.delete(f"{address}?move_to={wrong}")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "move_to")
    deal.refresh_from_db()
    assert deal.stage == "proposal"
    assert admin.delete(f"{address}?move_to=negotiation").status_code == 204
    deal.refresh_from_db()
    assert (deal.stage, deal.status, deal.probability) == ("negotiation", "open", 75)
    assert not Stage.objects.filter(pk=stage.pk).exists()
    change = Change.objects.filter(entity="opportunity", object_id=deal.pk).latest("id")
    assert change.changes["stage"] == ["proposal", "negotiation"]


def test_deals_begin_in_the_first_open_stage_wherever_closed_ones_stand(admin):
    Stage.objects.filter(key="closed_won").update(position=0)
    Stage.objects.exclude(key="closed_won").update(position=F("position") + 1)
    made = admin.post(URL, {"name": "Deal"}).json()
    assert (made["stage"], made["status"]) == ("prospecting", "open")
