"""What the demo shows of lead scoring: a model at work, some hot leads, none of them closed."""

import pytest
from django.core.management import call_command

from core.lead_scoring.engine import current
from core.lead_scoring.models import LeadScore, ScoringModel
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Opportunity
from opportunities.scoring import DEALS

pytestmark = pytest.mark.django_db


def test_the_demo_has_a_trained_model_and_a_tenth_of_its_leads_are_hot(settings, admin):
    settings.DEBUG = True
    call_command("seed_demo", seed=1)
    model = ScoringModel.objects.get(entity="lead")
    assert (model.status, current().origin.model_id) == ("active", model.pk), model.verdict
    assert model.verdict["reason"].startswith("Better: log loss ")
    assert model.card["metrics"]["auc"] > 0.65
    assert LeadScore.objects.filter(model_id=model.pk).count() == Lead.objects.count() == 600
    hot = admin.get("/api/v1/leads/?hot=true&page_size=500").json()["results"]
    assert 0.06 < len(hot) / 600 < 0.18
    assert not {lead["status"] for lead in hot} & {"converted", "lost", "unqualified"}
    deals = ScoringModel.objects.get(entity="opportunity")
    assert (deals.status, current(DEALS).origin.model_id) == ("active", deals.pk), deals.verdict
    still_open = Opportunity.objects.filter(status="open")
    assert still_open.filter(win_probability__isnull=False).count() == still_open.count() > 50
    assert deals.backtest["model"]["log_loss"] < deals.backtest["stage"]["log_loss"]


def test_a_closed_lead_is_not_hot_whatever_its_score(admin):
    LeadFactory(first_name="Open", lead_score=90)
    LeadFactory(first_name="Closed", lead_score=90, status="lost", lost_reason="No budget")
    found = {hot: admin.get(f"/api/v1/leads/?hot={hot}").json()["results"] for hot in ("true", "false")}
    assert [lead["first_name"] for lead in found["true"]] == ["Open"]
    assert [lead["first_name"] for lead in found["false"]] == ["Closed"]
    assert admin.get("/api/v1/leads/?is_hot=true").json()["results"] == found["true"]
    assert admin.get("/api/v1/leads/statistics/").json()["hot"] == 1
