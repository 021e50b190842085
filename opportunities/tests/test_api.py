"""Opportunities and pipelines over HTTP: create, read, change, find."""

import pytest

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.changes.models import Change
from opportunities.models import Opportunity, Pipeline
from opportunities.tests.factories import OpportunityFactory, PipelineFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/opportunities/"


def test_a_deal_starts_in_the_first_stage_of_the_default_pipeline(api, rep, pipeline):
    response = api(rep).post(URL, {"name": "Deal"})
    assert response.status_code == 201
    body = response.json()
    assert (body["pipeline"], body["stage"], body["status"]) == (pipeline.pk, "prospecting", "open")
    assert (body["probability"], body["currency"], body["amount"]) == (10, "USD", None)
    assert (body["weighted_amount"], body["days_in_stage"], body["owner"]) == (None, 0, rep.pk)


def test_the_weighted_amount_is_to_the_cent(api, rep, pipeline):
    body = {"name": "Deal", "amount": "333.33", "currency": "eur", "stage": "PROPOSAL", "probability": 33}
    deal = api(rep).post(URL, body).json()
    assert (deal["weighted_amount"], deal["currency"], deal["stage"]) == ("110.00", "EUR", "proposal")


def test_a_deal_bears_its_companys_name(api, rep, pipeline):
    company = CompanyFactory(name="Engines", owner=rep)
    assert api(rep).post(URL, {"name": "Deal", "company": company.pk}).json()["company_name"] == "Engines"


def test_references_are_shown_as_objects_on_request(api, rep, make_deal, pipeline):
    company = CompanyFactory(name="Engines", owner=rep)
    deal = make_deal(company=company, contact=ContactFactory(first_name="Eve"))
    shown = api(rep).get(f"{URL}{deal.pk}/", {"expand": "pipeline,company,contact,owner"}).json()
    assert shown["pipeline"] == {"id": pipeline.pk, "name": pipeline.name}
    assert shown["company"] == {"id": company.pk, "name": "Engines"}
    # Someone else's contact stays its bare id.
    assert (shown["contact"], shown["owner"]["username"]) == (deal.contact_id, rep.username)


def test_the_deals_of_a_company_and_a_contact_are_found(api, rep, make_deal):
    company = CompanyFactory(name="Engines", owner=rep)
    contact = ContactFactory(first_name="Ada", owner=rep)
    one, two = make_deal(company=company), make_deal(contact=contact)
    make_deal()
    ids = lambda **params: [r["id"] for r in api(rep).get(URL, params).json()["results"]]  # noqa: E731
    assert ids(company=company.pk) == [one.pk]
    assert ids(contact=contact.pk) == [two.pk]


@pytest.mark.parametrize(
    "bad",
    [
        {"name": ""},
        {"name": "a\x00b"},
        {"amount": "-0.01"},
        {"amount": "1.001"},
        {"amount": "99999999999999"},
        {"currency": "XXQ"},
        {"currency": ""},
        {"probability": 101},
        {"probability": -1},
        {"probability": 1.5},
        {"stage": "x" * 41},
        {"pipeline": 999_999},
        {"pipeline": 99999999999999999999},
        {"expected_close_date": "2030-02-30"},
        {"forecast_category": "perhaps"},
        {"status": "won"},
        {"weighted_amount": "1"},
        {"company": 999_999},
        {"contact": "Ada"},
        {"surprise": 1},
    ],
)
def test_bad_values_are_refused_at_their_field(api, rep, pipeline, bad):
    response = api(rep).post(URL, {"name": "Deal"} | bad)
    if bad == {"currency": ""}:
        assert response.json()["currency"] == "USD"
        return
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == [next(iter(bad))]
    assert not Opportunity.objects.exists()


@pytest.mark.parametrize(("field", "factory"), [("company", CompanyFactory), ("contact", ContactFactory)])
def test_what_one_does_not_see_cannot_be_pointed_at(api, rep, make_user, pipeline, field, factory):
    hidden = factory(owner=make_user("rep"))
    response = api(rep).post(URL, {"name": "Deal", field: hidden.pk})
    assert response.status_code == 400
    missing = api(rep).post(URL, {"name": "Deal", field: 999_999}).json()["errors"][0]
    assert response.json()["errors"][0] == missing | {
        "message": missing["message"].replace("999999", str(hidden.pk))
    }


# -- pipelines ----------------------------------------------------------------------------------


def test_everyone_reads_pipelines_and_administrators_change_them(api, rep, admin, pipeline):
    assert api(rep).get("/api/v1/pipelines/").json()["results"][0]["id"] == pipeline.pk
    assert api(rep).post("/api/v1/pipelines/", {"name": "Mine"}).status_code == 403
    assert api(rep).patch(f"/api/v1/pipelines/{pipeline.pk}/", {"name": "Mine"}).status_code == 403
    assert not Pipeline.objects.filter(name="Mine").exists()
    response = admin.post("/api/v1/pipelines/", {"name": "Renewals"})
    assert response.status_code == 201
    assert [s["key"] for s in response.json()["stages"]][:2] == ["prospecting", "qualification"]


def test_there_is_one_default_pipeline(admin, pipeline):
    response = admin.post("/api/v1/pipelines/", {"name": "Renewals", "is_default": True})
    assert response.status_code == 201, response.json()
    made = response.json()
    assert list(Pipeline.objects.filter(is_default=True).values_list("pk", flat=True)) == [made["id"]]
    admin.patch(f"/api/v1/pipelines/{pipeline.pk}/", {"is_default": True})
    assert list(Pipeline.objects.filter(is_default=True)) == [pipeline]


def test_saving_the_default_pipeline_again_changes_only_what_is_new(admin, pipeline):
    before = Change.objects.count()
    response = admin.patch(f"/api/v1/pipelines/{pipeline.pk}/", {"is_default": True, "name": "Deals"})
    assert response.status_code == 200
    [change] = Change.objects.order_by("id")[before:]
    assert change.changes == {"name": [pipeline.name, "Deals"]}


def test_a_pipeline_with_deals_stays(admin, make_deal, pipeline):
    make_deal()
    assert admin.delete(f"/api/v1/pipelines/{pipeline.pk}/").status_code == 409
    assert Pipeline.objects.filter(pk=pipeline.pk).exists()


def test_two_pipelines_of_one_name_are_a_conflict(admin, pipeline):
    assert admin.post("/api/v1/pipelines/", {"name": pipeline.name}).status_code in (400, 409)


def test_a_retired_pipeline_takes_no_new_deals(api, rep, pipeline):
    other = PipelineFactory(name="Old", is_active=False)
    other.stages.create(key="offer", name="Offer")
    response = api(rep).post(URL, {"name": "Deal", "pipeline": other.pk})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "pipeline"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_make_a_pipeline_the_default_at_once_one_stays(pipeline, at_once, api, admin_user):
    others = [PipelineFactory(name=name) for name in ("A", "B", "C")]
    statuses = at_once(
        *[
            lambda p=p: api(admin_user).patch(f"/api/v1/pipelines/{p.pk}/", {"is_default": True}).status_code
            for p in others
        ]
    )
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    assert Pipeline.objects.filter(is_default=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_to_one_version_one_wins(pipeline, at_once, api, admin_user):
    deal = OpportunityFactory(name="Deal", pipeline=pipeline, stage="prospecting", owner=admin_user)
    tag = {"If-Match": f'"{deal.pk}-1"'}
    patch = lambda stage: api(admin_user).patch(f"{URL}{deal.pk}/", {"stage": stage}, headers=tag).status_code  # noqa: E731
    assert sorted(at_once(*[lambda s=s: patch(s) for s in ("proposal", "negotiation")])) == [200, 412]


@pytest.mark.parametrize("change", [{"is_default": False}, {"is_active": False}])
def test_the_default_pipeline_stays_the_default_and_at_work(admin, pipeline, change):
    url = f"/api/v1/pipelines/{pipeline.pk}/"
    response = admin.patch(url, change)
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == [next(iter(change))]
    assert admin.delete(url).status_code == 409
    pipeline.refresh_from_db()
    assert (pipeline.is_default, pipeline.is_active) == (True, True)


def test_a_retired_pipeline_does_not_become_the_default(admin, pipeline):
    old = PipelineFactory(name="Old", is_active=False)
    assert admin.patch(f"/api/v1/pipelines/{old.pk}/", {"is_default": True}).status_code == 400
    assert list(Pipeline.objects.filter(is_default=True)) == [pipeline]


STAGES = [
    {"name": "Legal review", "probability": 30},
    {"name": "Prüfung"},
    {"name": "契約"},
    {"name": "Signed", "is_won": True},
    {"name": "Gone", "key": "gone_for_good", "is_lost": True},
]


def test_a_pipeline_is_made_whole_in_one_call(api, admin, rep):
    response = admin.post("/api/v1/pipelines/", {"name": "Renewals", "stages": STAGES})
    assert response.status_code == 201, response.json()
    stages = response.json()["stages"]
    assert [(s["key"], s["position"], s["probability"]) for s in stages] == [
        ("legal_review", 0, 30),
        ("prufung", 1, 0),
        ("stage", 2, 0),
        ("signed", 3, 100),
        ("gone_for_good", 4, 0),
    ]
    deal = api(rep).post(URL, {"name": "Deal", "pipeline": response.json()["id"]}).json()
    assert deal["stage"] == "legal_review"


def test_stages_of_one_name_are_numbered(admin):
    twice = [STAGES[0], STAGES[0], *STAGES[3:]]
    stages = admin.post("/api/v1/pipelines/", {"name": "Renewals", "stages": twice}).json()["stages"]
    assert [s["key"] for s in stages][:2] == ["legal_review", "legal_review_2"]


@pytest.mark.parametrize(
    "stages",
    [
        [],
        STAGES[:3],
        STAGES[:4],
        [STAGES[3], STAGES[0], STAGES[4]],
        [*STAGES, {"name": "x", "key": "signed"}],
        [*STAGES, {"name": "x", "probability": 101}],
        [*STAGES, {"name": "x", "surprise": 1}],
        [*STAGES, {"name": ""}],
        "many",
    ],
)
def test_bad_stages_make_no_pipeline(admin, pipeline, stages):
    response = admin.post("/api/v1/pipelines/", {"name": "Renewals", "stages": stages})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"].startswith("stages")
    assert list(Pipeline.objects.all()) == [pipeline]


def test_a_pipeline_that_was_read_can_be_sent_back(admin, pipeline):
    url = f"/api/v1/pipelines/{pipeline.pk}/"
    stages = admin.get(url).json()["stages"]
    response = admin.patch(url, {"name": "Deals", "stages": stages})
    assert (response.status_code, response.json()["stages"]) == (200, stages)
