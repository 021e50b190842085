"""Why deals are lost: a list per pipeline, what it lets in, and what becomes of the deals that name it."""

import pytest

from core.changes.models import Change
from core.customization.tests.factories import SavedViewFactory
from core.transfer.tests.uploads import upload
from opportunities.models import LostReason, Opportunity
from opportunities.tests.factories import LostReasonFactory, OpportunityFactory, PipelineFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/lost_reasons/"
DEALS = "/api/v1/opportunities/"


@pytest.fixture
def price():
    return LostReasonFactory(name="Price", key="price")


def lose(client, deal, reason):
    """The status of the answer, and the reason that is stored."""
    body = {"stage": "closed_lost", "lost_reason": reason}
    answer = client.patch(f"{DEALS}{deal.pk}/", body)
    deal.refresh_from_db()
    return answer.status_code, deal.lost_reason


def test_a_list_is_made_and_changed_by_administrators(admin, api, rep, pipeline):
    made = admin.post(URL, {"name": "Too dear", "pipeline": pipeline.pk})
    assert (made.status_code, made.json() | {"id": 0}) == (
        201,
        {
            "id": 0,
            "pipeline": pipeline.pk,
            "key": "too_dear",
            "name": "Too dear",
            "position": 0,
            "is_active": True,
        },
    )
    assert admin.post(URL, {"name": "Too dear", "pipeline": pipeline.pk}).status_code == 409
    assert admin.post(URL, {"name": "Too dear"}).status_code == 201
    assert admin.post(URL, {"name": "Too dear"}).status_code == 409
    assert admin.post(URL, {"name": ""}).json()["errors"][0]["field"] == "name"
    assert admin.post(URL, {"name": "x", "pipeline": 999_999_999}).json()["errors"][0]["field"] == "pipeline"
    assert api(rep).get(URL, {"pipeline": pipeline.pk}).json()["count"] == 1
    assert api(rep).post(URL, {"name": "No"}).status_code == 403
    assert LostReason.objects.count() == 2
    assert Change.objects.filter(entity="lost_reason", source="api").count() == 2


def test_without_a_list_every_text_is_a_reason(api, rep, make_deal):
    assert lose(api(rep), make_deal(), "Whatever") == (200, "Whatever")


@pytest.mark.parametrize(
    ("given", "status", "stored"),
    [
        ("price", 200, "Price"),
        ("PRICE", 200, "Price"),
        ("No budget", 400, ""),
        ("Whatever", 400, ""),
        ("Elsewhere", 400, ""),
        ("", 400, ""),
    ],
)
def test_a_deal_is_lost_for_a_reason_of_its_pipeline(api, rep, make_deal, price, given, status, stored):
    LostReasonFactory(name="No budget", is_active=False)
    LostReasonFactory(name="Elsewhere", pipeline=PipelineFactory())
    assert lose(api(rep), make_deal(), given) == (status, stored)


def test_other_lets_in_a_text_of_ones_own_and_asks_for_one(api, rep, make_deal, price):
    LostReasonFactory(name="Something else", key="other")
    assert lose(api(rep), make_deal(), "The dog ate it") == (200, "The dog ate it")
    assert lose(api(rep), make_deal(), "price") == (200, "Price")
    for word in ("other", "something else"):
        assert lose(api(rep), make_deal(), word) == (400, "")


def test_bulk_import_and_creation_are_held_to_the_list(api, rep, admin, make_deal, price):
    deal, client = make_deal(), api(rep)
    data = {"stage": "closed_lost", "lost_reason": "nonsense"}
    refused = client.post(f"{DEALS}bulk_update/", {"ids": [deal.pk], "action": "update", "data": data})
    assert refused.json()["updated"] == 0
    assert client.post(DEALS, {"name": "Deal", **data}).status_code == 400
    file = "name,stage,lost_reason\nA,closed_lost,PRICE\nB,closed_lost,nonsense\n"
    done = upload(client, file, "opportunities").json()
    assert done["created"] == 1
    assert list(Opportunity.objects.exclude(pk=deal.pk).values_list("name", "lost_reason")) == [
        ("A", "Price")
    ]


def test_what_deals_were_lost_for_before_stays(api, rep, make_deal):
    deal = make_deal(stage="closed_lost", lost_reason="Old words")
    LostReasonFactory(name="Price", key="price")
    body = {"lost_reason": "Old words", "next_step": "Ask again"}
    assert api(rep).patch(f"{DEALS}{deal.pk}/", body).status_code == 200


def test_a_reason_is_renamed_with_its_deals_and_deleted_only_without(admin, make_deal, price):
    own = LostReasonFactory(name="Price", key="price", pipeline=PipelineFactory(usual_stages=True))
    deal = make_deal(stage="closed_lost", lost_reason="Price")
    other = OpportunityFactory(pipeline=own.pipeline, stage="closed_lost", lost_reason="Price")
    assert admin.patch(f"{URL}{own.pk}/", {"name": "Costs"}).status_code == 200
    for one in (deal, other):
        one.refresh_from_db()
    assert (deal.lost_reason, other.lost_reason) == ("Price", "Costs")
    assert admin.delete(f"{URL}{own.pk}/").status_code == 409
    assert admin.delete(f"{URL}{price.pk}/").status_code == 409
    deal.delete()
    assert admin.delete(f"{URL}{price.pk}/").status_code == 204
    assert list(LostReason.objects.values_list("name", flat=True)) == ["Costs"]


def test_of_two_reasons_of_one_name_only_ones_own_deals_are_renamed(admin, make_deal, price):
    own = LostReasonFactory(name="Price", key="price", pipeline=PipelineFactory(usual_stages=True))
    deal = make_deal(stage="closed_lost", lost_reason="Price")
    other = OpportunityFactory(pipeline=own.pipeline, stage="closed_lost", lost_reason="Price")
    assert admin.patch(f"{URL}{price.pk}/", {"name": "Too dear"}).status_code == 200
    for one in (deal, other):
        one.refresh_from_db()
    assert (deal.lost_reason, other.lost_reason) == ("Too dear", "Price")


def test_a_reason_that_deals_were_lost_for_stays_with_its_pipeline(admin, make_deal, pipeline):
    own = LostReasonFactory(name="Price", key="price", pipeline=pipeline)
    elsewhere = PipelineFactory(usual_stages=True)
    deal = make_deal(stage="closed_lost", lost_reason="Price")
    for body in ({"pipeline": elsewhere.pk}, {"pipeline": None}, {"pipeline": elsewhere.pk, "name": "X"}):
        answer = admin.patch(f"{URL}{own.pk}/", body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "pipeline"), body
    deal.delete()
    assert admin.patch(f"{URL}{own.pk}/", {"pipeline": elsewhere.pk}).status_code == 200


def test_a_reason_that_a_saved_view_names_is_neither_renamed_nor_deleted_in_silence(admin, rep, price):
    SavedViewFactory(owner=rep, entity="opportunity", name="dear", conditions={"lost_reason": "Price"})
    answers = [admin.patch(f"{URL}{price.pk}/", {"name": "Costs"}), admin.delete(f"{URL}{price.pk}/")]
    assert [answer.json()["type"] for answer in answers] == ["/problems/in-use"] * 2
    assert admin.patch(f"{URL}{price.pk}/", {"position": 3}).status_code == 200
    assert admin.delete(f"{URL}{price.pk}/?force=true").status_code == 204


def test_wins_and_losses_count_by_the_list(admin, make_deal, price):
    for reason in ("Price", "Price", "The dog ate it", "The cat too", ""):
        make_deal(stage="closed_lost", lost_reason=reason, actual_close_date="2030-01-10")
    query = {"start": "2030-01-01", "end": "2030-01-31"}
    counts = lambda: {  # noqa: E731
        row["value"]: row["lost"] for row in admin.get("/api/v1/reports/win_loss/", query).json()["rows"]
    }
    assert counts() == {"Price": 2, "The dog ate it": 1, "The cat too": 1, "": 1}
    LostReasonFactory(name="Other", key="other")
    assert counts() == {"Price": 2, "Other": 2, "": 1}
