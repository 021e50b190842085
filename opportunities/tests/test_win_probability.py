"""Deals scored as leads are: win probability with reasons, the forecast by it, its back-test."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from core import tasks
from core.changes.dispatch import dispatch
from core.lead_scoring import LeadScoringEngine, jobs, model_lifecycle
from core.lead_scoring.engine import current
from core.lead_scoring.feature_reader import training_reader
from core.lead_scoring.history import training_snapshots
from core.lead_scoring.models import BarredFeature, ScoringJob, ScoringModel
from opportunities.models import Opportunity, OpportunityPending, OpportunityScore
from opportunities.scoring import DEALS
from opportunities.tests.factories import OpportunityFactory, default_pipeline

pytestmark = pytest.mark.django_db
URL = "/api/v1/opportunities/"
SOURCES = {"referral": 1.6, "website": 0.0, "cold_call": -1.6}


def closed_deals(n, seed=1):
    """n deals of the last year that were open in "proposal" for 40 days: whether they were won depends on
    their source and amount, and not on their stage."""
    random = np.random.default_rng(seed)
    now, pipeline = timezone.now(), default_pipeline()
    rows, outcomes = [], []
    for i in range(n):
        source, amount = str(random.choice(list(SOURCES))), int(10 ** random.uniform(2, 5))
        chance = 1 / (1 + np.exp(-(SOURCES[source] - 0.9 * (np.log10(amount) - 3.5))))
        outcomes.append(random.random() < chance)
        created = now - timedelta(days=400 * (1 - i / n) + 40)
        rows.append(
            Opportunity(
                name=f"Deal {i}",
                pipeline=pipeline,
                stage="proposal",
                amount=amount,
                lead_source=source,
                created_at=created,
                expected_close_date=(created + timedelta(days=60)).date(),
            )
        )
    deals = Opportunity.objects.bulk_create(rows)
    for won, stage in ((True, "closed_won"), (False, "closed_lost")):
        ids = [deal.pk for deal, outcome in zip(deals, outcomes, strict=True) if outcome == won]
        Opportunity.objects.filter(pk__in=ids).update(stage=stage, lost_reason="" if won else "Price")
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('crm.maintenance', 'on', true)")
        cursor.execute(
            "UPDATE core_change c SET at = o.created_at + interval '40 days' FROM opportunities_opportunity o"
            " WHERE c.entity = 'opportunity' AND c.object_id = o.id AND c.kind = 'updated'"
        )
    return deals


# The values of a trained model's row: learned once, for a training takes its time.
KEPT = (
    "entity",
    "status",
    "artefact",
    "holdout_model",
    "card",
    "verdict",
    "backtest",
    "hash",
    "leads",
    "wins",
)
_trained = {}


@pytest.fixture
def learned():
    """An active model that was trained on 400 closed deals, which are there no more."""
    if not _trained:
        closed_deals(400)
        row = model_lifecycle.retrain_model(DEALS)
        assert row.status == "active", row.verdict
        _trained.update({name: getattr(row, name) for name in KEPT})
        ScoringModel.objects.all().delete()
        Opportunity.objects.all().delete()
    return ScoringModel.objects.create(**_trained, activated_at=timezone.now())


def deal(**fields):
    values = {"stage": "proposal", "lead_source": "referral", "amount": 400} | fields
    row = OpportunityFactory(**values)
    row.refresh_from_db()  # the stage decides about its probability, by a trigger
    return row


def test_snapshots_of_deals_are_of_the_time_when_they_were_open():
    deals = closed_deals(20)
    closed_from_the_start = deal(stage="closed_won")
    seen = training_snapshots(training_reader(DEALS))
    assert seen.leads == 20
    assert len(seen.won) == 60, "on the day, after 7 and after 30 days"
    assert set(seen.frame.columns["stage"]) == {"proposal"}
    assert set(seen.frame.columns["probability"].tolist()) == {50.0}
    assert set(seen.frame.columns["forecast_category"]) == {"pipeline"}
    assert Opportunity.objects.filter(status="open").count() == 0
    assert closed_from_the_start.pk > deals[-1].pk


def test_nothing_scores_deals_before_there_is_a_model(admin):
    row = deal()
    assert tasks.bulk_score_leads() == 0
    assert set(ScoringJob.objects.values_list("entity", flat=True)) == {"lead"}
    jobs.score_ids([row.pk], target=DEALS)
    row.refresh_from_db()
    assert (row.win_probability, row.win_score, row.scored_at) == (None, None, None)
    found = admin.get(f"{URL}{row.pk}/win_probability/").json()
    assert (found["probability"], found["stage_probability"], found["factors"]) == (None, 50, [])


def test_a_model_of_deals_gives_a_probability_with_reasons_that_add_up(admin, learned):
    assert (learned.entity, current().origin.model_id) == ("opportunity", None), "leads keep their rules"
    good, bad = deal(), deal(lead_source="cold_call", amount=90_000)
    jobs.score_ids([good.pk, bad.pk], target=DEALS)
    found = {row.pk: admin.get(f"{URL}{row.pk}/win_probability/").json() for row in (good, bad)}
    assert found[good.pk]["probability"] > 0.7 > 0.3 > found[bad.pk]["probability"]
    for one in found.values():
        assert one["base"] + sum(factor["points"] for factor in one["factors"]) == one["score"]
        assert (one["stage_probability"], one["model_version"]) == (50, learned.pk)
    assert "Source: referral +" in " ".join(factor["text"] for factor in found[good.pk]["factors"])
    shown = admin.get(f"{URL}{good.pk}/").json()
    assert shown["win_probability"] == found[good.pk]["probability"]
    assert shown["version"] == 1, "scoring is no edit"
    assert LeadScoringEngine("opportunity").explain(good)["score"] == found[good.pk]["score"]


def test_the_model_names_no_feature_that_follows_the_outcome(learned):
    keys = {one["feature"] for one in learned.artefact["inputs"]}
    assert {"amount", "lead_source"} <= keys
    assert not keys & {"status", "actual_close_date", "lost_reason", "win_probability", "name", "notes"}


def test_a_deal_that_changes_is_scored_anew_and_a_closed_one_keeps_its_last_probability(learned):
    row = deal()
    dispatch()
    assert OpportunityPending.objects.count() == 1
    tasks.score_pending_leads()
    row.refresh_from_db()
    before = row.win_probability
    row.lead_source = "cold_call"
    row.save()
    dispatch()
    tasks.score_pending_leads()
    row.refresh_from_db()
    assert row.win_probability < before
    last = row.win_probability
    row.stage = "closed_won"
    row.save()
    dispatch()
    tasks.score_pending_leads()
    row.refresh_from_db()
    assert (row.status, row.win_probability) == ("won", last)
    row.delete()
    dispatch()
    assert not OpportunityScore.objects.exists()


def test_rolling_back_the_only_model_takes_the_probabilities_away(admin, learned):
    row = deal()
    jobs.score_ids([row.pk], target=DEALS)
    assert admin.post("/api/v1/scoring/models/rollback/").status_code == 409, "no model of leads is active"
    back = admin.post("/api/v1/scoring/models/rollback/?entity=opportunity")
    assert back.json() == {"success": True, "active": None}
    job = ScoringJob.objects.get(kind="bulk_score")
    assert (job.entity, tasks.run_scoring_job(str(job.task_id))) == ("opportunity", "finished")
    row.refresh_from_db()
    assert (row.win_probability, row.win_score, row.scored_at) == (None, None, None)
    assert not OpportunityScore.objects.exists()


def test_the_forecast_weighs_by_stage_or_by_model(admin, learned, settings):
    closing = timezone.localdate() + timedelta(days=40)
    scored, unscored = (
        deal(amount=1_000, expected_close_date=closing),
        deal(amount=2_000, expected_close_date=closing),
    )
    Opportunity.objects.filter(pk=scored.pk).update(win_probability=0.123456, scored_at=timezone.now())
    params = {"start": closing.isoformat(), "months": 1}
    by = {w: admin.get(f"{URL}forecast/", params | {"weights": w}).json() for w in ("stage", "model")}
    assert {w: one["weights"] for w, one in by.items()} == {"stage": "stage", "model": "model"}
    assert Decimal(by["stage"]["totals"]["weighted"]) == Decimal("1500.00")
    assert Decimal(by["model"]["totals"]["weighted"]) == Decimal("1123.46"), (
        "the stage's where there is no other"
    )
    assert by["stage"]["totals"]["pipeline"] == by["model"]["totals"]["pipeline"]
    assert admin.get(f"{URL}forecast/", params).json() == by["stage"]
    settings.CRM = {"FORECAST_WEIGHTS": "model"}
    assert admin.get(f"{URL}forecast/", params).json() == by["model"]
    refused = admin.get(f"{URL}forecast/", params | {"weights": "gut"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "weights")
    assert unscored.win_probability is None


def test_won_deals_count_whole_in_a_forecast_by_the_model(admin, learned):
    today = timezone.localdate()
    row = deal(amount=1_000, stage="closed_won", actual_close_date=today)
    Opportunity.objects.filter(pk=row.pk).update(win_probability=0.1)
    params = {"start": today.isoformat(), "months": 1, "weights": "model"}
    assert Decimal(admin.get(f"{URL}forecast/", params).json()["totals"]["weighted"]) == Decimal("1000.00")


def test_both_weights_are_tried_on_closed_deals(admin, api, rep, learned):
    found = admin.get(f"{URL}forecast_backtest/").json()
    assert (found["model_version"], len(found["blocks"])) == (learned.pk, 5)
    assert found["model"]["log_loss"] < found["stage"]["log_loss"] == pytest.approx(0.6931, abs=1e-3)
    assert found["model"]["money_error"]["USD"] < found["stage"]["money_error"]["USD"]
    assert sum(block["deals"] for block in found["blocks"]) == pytest.approx(200, abs=4)
    assert api(rep).get(f"{URL}forecast_backtest/").status_code == 403
    card = api(rep).get(f"/api/v1/scoring/models/{learned.pk}/card/").json()
    assert "backtest" not in card, "sums of deals that a rep does not see"


def test_the_command_prints_the_back_test(capsys):
    with pytest.raises(CommandError, match="Too few closed deals"):
        call_command("backtest_forecast")
    closed_deals(120)
    call_command("backtest_forecast")
    printed = capsys.readouterr().out
    assert "| block | deals | won | log loss by stage | log loss by model |" in printed
    assert "by stage: log loss 0.69" in printed


def test_retraining_and_bulk_scoring_of_deals_are_asked_for_by_entity(admin, api, rep):
    body = {"action": "retrain", "entity": "opportunity"}
    assert api(rep).post("/api/v1/scoring/", body).status_code == 403
    assert admin.post("/api/v1/scoring/", body).status_code == 202
    assert admin.post("/api/v1/scoring/", {"action": "retrain"}).status_code == 202, "one of each entity"
    assert set(ScoringJob.objects.values_list("entity", "kind")) == {
        ("opportunity", "retrain"), ("lead", "retrain"),
    }  # fmt: skip
    refused = admin.post("/api/v1/scoring/", {"action": "bulk_score", "entity": "task", "all": True})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "entity")
    by_stage = {"action": "bulk_score", "entity": "opportunity", "filter": {"stage": "proposal"}}
    assert admin.post("/api/v1/scoring/", by_stage).status_code == 202
    assert ScoringJob.objects.filter(kind="bulk_score", entity="opportunity").count() == 1


def test_one_model_of_each_entity_is_active(learned):
    other = ScoringModel.objects.create(
        status="rejected", artefact=learned.artefact, hash=learned.hash, leads=1, wins=1, entity="lead"
    )
    model_lifecycle.activate(other)
    assert set(ScoringModel.objects.filter(status="active").values_list("entity", flat=True)) == {
        "lead", "opportunity",
    }  # fmt: skip


def test_a_feature_is_barred_for_deals_alone(admin):
    barred = {"entity": "opportunity", "feature": "lead_source"}
    assert admin.post("/api/v1/scoring/barred_features/", barred).status_code == 201
    assert "lead_source" not in {f.spec.key for f in training_reader(DEALS).features}
    assert BarredFeature.objects.get().entity == "opportunity"
    assert ScoringJob.objects.get().entity == "opportunity"
    unknown = admin.post(
        "/api/v1/scoring/barred_features/", {"entity": "opportunity", "feature": "company_size"}
    )
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (400, "feature")


def test_a_rep_sees_the_probability_of_their_own_deals_only(api, rep, make_user, learned):
    own, other = deal(owner=rep), deal(owner=make_user("rep"))
    assert api(rep).get(f"{URL}{own.pk}/win_probability/").status_code == 200
    assert api(rep).get(f"{URL}{other.pk}/win_probability/").status_code == 404


def test_the_page_of_a_deal_says_why(client, make_user, learned):
    client.force_login(make_user("admin", is_staff=True))
    row = deal()
    jobs.score_ids([row.pk], target=DEALS)
    page = client.get(f"/admin/opportunities/opportunity/{row.pk}/change/").content.decode()
    assert "Source: referral +" in page


def test_the_model_card_of_deals_shows_the_back_test(client, make_user, learned):
    client.force_login(make_user("admin", is_staff=True))
    page = client.get(f"/admin/core/scoringmodel/{learned.pk}/card/").content.decode()
    assert "Forecasts of closed deals" in page
    assert f"USD {learned.backtest['model']['money_error']['USD']:.2f}" in page
