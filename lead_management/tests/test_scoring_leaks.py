"""Features that know the outcome are suspected with evidence, and barred with one call; training when due."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from core import tasks
from core.customization.tests.factories import CustomFieldFactory
from core.lead_scoring import model_lifecycle
from core.lead_scoring.afterwards import suspects
from core.lead_scoring.feature_reader import training_reader
from core.lead_scoring.features import FeatureSpec, Kind, frame_of
from core.lead_scoring.leaks import strengths
from core.lead_scoring.models import BarredFeature, ScoringJob, ScoringModel
from lead_management.models import Lead
from lead_management.scoring import LEADS
from lead_management.tests.making import closed_leads

pytestmark = pytest.mark.django_db
BARRED = "/api/v1/scoring/barred_features/"


def backdate():
    """As if all changes so far had been made long before the leads were closed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('crm.maintenance', 'on', true)")
        cursor.execute("UPDATE core_change SET at = at - interval '3 years'")


def write_grades(leads, value):
    for lead in leads:
        lead.custom_fields = {**lead.custom_fields, "grade": value}
        lead.save()


@pytest.fixture
def grade(db):
    return CustomFieldFactory(entity="lead", key="grade", label="Grade", type="number")


def test_a_strong_feature_that_is_written_after_closing_is_suspected_with_evidence(grade):
    closed_leads(80)
    backdate()
    write_grades(Lead.objects.filter(status="converted"), 5)
    strong = {"custom_fields.grade": (0.86, "its value"), "company_size": (0.9, "its value")}
    found = suspects(LEADS, strong)
    assert set(found) == {"custom_fields.grade"}
    wins = Lead.objects.filter(status="converted").count()
    assert (found["custom_fields.grade"]["auc"], found["custom_fields.grade"]["written"]) == (0.86, wins)
    assert "(AUC 0.86)" in found["custom_fields.grade"]["evidence"]
    assert f"written after closing in {wins}" in found["custom_fields.grade"]["evidence"]
    assert suspects(LEADS, {"custom_fields.grade": (0.79, "its value")}) == {}


def test_a_strong_feature_that_was_written_before_closing_is_none(grade):
    closed_leads(80)
    write_grades(Lead.objects.filter(status="converted"), 5)
    backdate()
    assert suspects(LEADS, {"custom_fields.grade": (0.86, "its value")}) == {}


def test_the_strength_of_a_feature_is_its_auc_alone():
    won = [0.0, 1.0] * 100
    spec = FeatureSpec("grade", "Grade", Kind.NUMBER)
    values = [w if i % 10 else 1 - w for i, w in enumerate(won)]
    found = strengths(frame_of([spec], {"grade": values}, 200), np.array(won))
    assert found["grade"][0] == pytest.approx(0.87, abs=0.01)
    assert found["grade"][1] == "its value"


def test_one_call_bars_a_feature_and_trains_anew(admin, admin_user):
    assert "industry" in {f.spec.key for f in training_reader(LEADS).features}
    response = admin.post(BARRED, {"feature": "industry", "reason": "Filled in by accounting."})
    assert response.status_code == 201, response.content
    assert response.json()["barred_by"] == admin_user.pk
    assert "industry" not in {f.spec.key for f in training_reader(LEADS).features}
    assert ScoringJob.objects.get().kind == "retrain"
    assert admin.post(BARRED, {"feature": "industry"}).status_code in (400, 409)
    assert admin.delete(f"{BARRED}{response.json()['id']}/").status_code == 204
    assert "industry" in {f.spec.key for f in training_reader(LEADS).features}


def test_unknown_features_are_refused_and_others_only_read(admin, api, rep):
    response = admin.post(BARRED, {"feature": "password"})
    assert response.status_code == 400
    assert "feature" in response.content.decode()
    assert api(rep).post(BARRED, {"feature": "industry"}).status_code == 403
    assert api(rep).get(BARRED).status_code == 200
    assert (BarredFeature.objects.count(), ScoringJob.objects.count()) == (0, 0)


@pytest.fixture
def suspected(db):
    evidence = {"custom_fields.grade": {"auc": 0.86, "evidence": "its value alone predicts the outcome"}}
    return ScoringModel.objects.create(
        status="rejected", artefact={}, hash="x", leads=60, wins=9, card={"suspects": evidence}
    )


def test_the_model_card_bars_a_suspect_with_one_click(client, make_user, suspected):
    client.force_login(make_user("admin", is_staff=True))
    page = client.get(f"/admin/core/scoringmodel/{suspected.pk}/card/").content.decode()
    assert "its value alone predicts the outcome" in page
    address = f"/admin/core/scoringmodel/{suspected.pk}/bar-feature/"
    assert address in page
    assert client.post(address, {"feature": "industry"}).status_code == 404
    assert client.post(address, {"feature": "custom_fields.grade"}).status_code == 302
    assert BarredFeature.objects.get().feature == "custom_fields.grade"
    assert ScoringJob.objects.get().kind == "retrain"


def test_only_administrators_bar_suspects(client, make_user, suspected):
    client.force_login(make_user("manager", is_staff=True))
    address = f"/admin/core/scoringmodel/{suspected.pk}/bar-feature/"
    assert client.post(address, {"feature": "custom_fields.grade"}).status_code in (302, 403)
    assert BarredFeature.objects.count() == 0


def test_a_training_is_due_when_enough_outcomes_have_arrived_and_a_day_has_passed(suspected):
    row = suspected
    row.card = {"outcomes": 60}
    row.save()
    closed_leads(109)
    ScoringModel.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert not model_lifecycle.is_due()
    closed_leads(1)
    assert model_lifecycle.is_due()
    tasks.watch_lead_scoring()
    assert ScoringJob.objects.get().kind == "retrain"
    ScoringModel.objects.update(created_at=timezone.now() - timedelta(hours=3))
    assert not model_lifecycle.is_due()


def test_the_first_training_is_due_with_the_first_fifty_outcomes():
    closed_leads(49)
    assert not model_lifecycle.is_due()
    closed_leads(1)
    assert model_lifecycle.is_due()
