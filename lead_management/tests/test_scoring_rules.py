"""Edited rules count at once: where they score alone, and beside what a model learned."""

import pytest
from drf_spectacular.generators import SchemaGenerator

from core import tasks
from core.lead_scoring import LeadScoringEngine, jobs, model_lifecycle
from core.lead_scoring.engine import current
from core.lead_scoring.feature_reader import FeatureReader, ruled_features
from core.lead_scoring.features import Kind
from core.lead_scoring.models import LeadScore, ScoringJob, ScoringModel, ScoringRules
from core.lead_scoring.rule_store import mean_points
from core.lead_scoring.rules import Rule, RuleSet
from lead_management.models import Lead
from lead_management.scoring import LEADS
from lead_management.tests.factories import LeadFactory
from lead_management.tests.making import closed_leads

pytestmark = pytest.mark.django_db
EXECUTIVES = {
    "base": 50,
    "rules": [{"feature": "seniority", "test": "in", "value": ["executive"], "points": 60}],
}
FORM = "/admin/core/scoringrules/add/"
PEOPLE = {"ceo": Lead(first_name="A", job_title="CEO"), "other": Lead(first_name="B", job_title="Buyer")}


@pytest.fixture
def learned():
    """A model of few leads: its rules weigh much."""
    closed_leads(120)
    row = model_lifecycle.retrain_model()
    model_lifecycle.activate(row)  # so few leads do not pass the gate
    assert 0.2 < current().model.rule_share < 0.9
    return row


def logits(lead):
    by = current()
    return float(by.scorer.logits(by.reader.instance(lead))[0])


def test_new_rules_count_at_once_beside_a_learned_model(admin, learned):
    weight, before = current().model.rule_weight, {name: logits(lead) for name, lead in PEOPLE.items()}
    version = admin.put("/api/v1/scoring/rules/", EXECUTIVES).json()["version"]
    after = {name: logits(lead) for name, lead in PEOPLE.items()}
    # The old rules knew nothing of titles: the gap between the two grows by the new rule, at its weight.
    gap = (after["ceo"] - after["other"]) - (before["ceo"] - before["other"])
    assert gap == pytest.approx(weight * 60 / 25, abs=1e-9)
    found = LeadScoringEngine().explain(PEOPLE["ceo"])
    assert (found["model_version"], found["rules_version"]) == (learned.pk, version)
    assert found["base"] + sum(f["points"] for f in found["factors"]) == found["score"]


def test_all_leads_are_scored_anew_in_the_background_under_the_new_version(admin, learned):
    ids = list(Lead.objects.values_list("pk", flat=True))
    jobs.score_ids(ids)
    assert set(LeadScore.objects.values_list("model_id", "rules_id")) == {(learned.pk, None)}
    old = dict(LeadScore.objects.values_list("pk", "score"))
    version = admin.put("/api/v1/scoring/rules/", EXECUTIVES).json()["version"]
    job = ScoringJob.objects.get(kind="bulk_score", status="pending")
    assert tasks.run_scoring_job(str(job.task_id)) == "finished"
    assert set(LeadScore.objects.values_list("model_id", "rules_id")) == {(learned.pk, version)}
    new = dict(LeadScore.objects.values_list("pk", "score"))
    executives = set(Lead.objects.filter(job_title="CEO").values_list("pk", flat=True))
    rose = {pk for pk in ids if new[pk] > old[pk]}
    assert len(rose & executives) > len(executives) * 0.8
    assert all(Lead.objects.get(pk=pk).lead_score == new[pk] for pk in ids[:5])


def test_reasons_stored_under_old_rules_keep_the_words_and_points_they_had(admin, learned):
    lead = Lead.objects.filter(lead_source="referral").first()
    jobs.score_ids([lead.pk])
    before = admin.get(f"/api/v1/scoring/{lead.pk}/").json()
    admin.put("/api/v1/scoring/rules/", EXECUTIVES)
    assert admin.get(f"/api/v1/scoring/{lead.pk}/").json() == before
    jobs.score_ids([lead.pk])
    after = admin.get(f"/api/v1/scoring/{lead.pk}/").json()
    assert after["rules_version"] == ScoringRules.objects.latest("id").pk
    assert after["base"] + sum(f["points"] for f in after["factors"]) == after["score"]


def test_a_typical_lead_stays_at_its_base_whatever_the_rules_give_everyone(admin, learned):
    before = [logits(lead) for lead in Lead.objects.all()]
    for_all = {
        "base": 50,
        "rules": [{"feature": "lead_source", "test": "filled", "value": True, "points": 80}],
    }
    admin.put("/api/v1/scoring/rules/", for_all)
    after = [logits(lead) for lead in Lead.objects.all()]
    assert sum(after) / len(after) == pytest.approx(sum(before) / len(before), abs=0.05)
    assert current().model.rule_means == (80.0,)


def test_means_are_taken_as_training_takes_them(learned):
    rules = RuleSet(50, (Rule("ceo", "seniority", "in", ["executive"], 60),))
    share = Lead.objects.filter(job_title="CEO").count() / Lead.objects.count()
    assert mean_points(LEADS, rules) == [pytest.approx(60 * share)]
    assert mean_points(LEADS, RuleSet(50, ())) == []
    (feature,) = ruled_features(LEADS, rules, known=set())
    assert FeatureReader(LEADS, [feature]).columns == ("job_title",)
    assert feature.spec.kind == Kind.CATEGORY


def test_a_version_without_means_is_measured_when_it_is_read(learned):
    ScoringRules.objects.create(content=EXECUTIVES | {"rules": [rule_json()]})
    assert current().model.rule_means == tuple(mean_points(LEADS, current().model.rules))
    assert current().origin.rules_id == ScoringRules.objects.get().pk


def rule_json():
    return {"key": "ceo", "label": "", **EXECUTIVES["rules"][0]}


def test_the_next_training_learns_with_the_new_rules_and_the_champion_is_judged_under_them(admin, learned):
    version = admin.put("/api/v1/scoring/rules/", EXECUTIVES).json()["version"]
    assert model_lifecycle._champion(LEADS).rules.features() == ["seniority"]
    row = model_lifecycle.retrain_model()
    assert [rule["feature"] for rule in row.artefact["rules"]["rules"]] == ["seniority"]
    model_lifecycle.activate(ScoringModel.objects.get(pk=row.pk))
    assert (current().origin.model_id, current().origin.rules_id) == (row.pk, version)
    assert current().model.rule_means == pytest.approx(tuple(row.artefact["rule_means"]))


def test_rolling_back_to_an_older_model_keeps_the_newest_rules(admin, learned):
    version = admin.put("/api/v1/scoring/rules/", EXECUTIVES).json()["version"]
    second = model_lifecycle.retrain_model()
    model_lifecycle.activate(second)
    admin.post("/api/v1/scoring/models/rollback/")
    assert (current().origin.model_id, current().origin.rules_id) == (learned.pk, version)
    assert current().model.rules.features() == ["seniority"]


def test_rules_that_someone_else_has_changed_meanwhile_are_not_overwritten(admin, db):
    seen = admin.get("/api/v1/scoring/rules/")
    changed = admin.put("/api/v1/scoring/rules/", EXECUTIVES, headers={"if-match": seen["ETag"]})
    assert (changed.status_code, changed["ETag"] != seen["ETag"]) == (200, True)
    refused = admin.put(
        "/api/v1/scoring/rules/", {"base": 10, "rules": []}, headers={"if-match": seen["ETag"]}
    )
    assert (refused.status_code, refused["ETag"]) == (412, changed["ETag"])
    assert (ScoringRules.objects.count(), admin.get("/api/v1/scoring/rules/").json()["base"]) == (1, 50)
    assert ScoringJob.objects.count() == 1
    again = admin.put("/api/v1/scoring/rules/", changed.json(), headers={"if-match": changed["ETag"]})
    assert again.status_code == 200, "what was read may come back whole"
    assert again.json()["rules"] == changed.json()["rules"]


def test_answers_of_scoring_are_described_by_type():
    schema = SchemaGenerator().get_schema(request=None, public=True)
    for path, method in (
        ("/api/v1/scoring/", "get"),
        ("/api/v1/scoring/", "post"),
        ("/api/v1/scoring/{id}/", "get"),
        ("/api/v1/scoring/rules/", "put"),
        ("/api/v1/scoring/models/{id}/card/", "get"),
        ("/api/v1/scoring/models/drift/", "get"),
    ):
        found = schema["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
        named = schema["components"]["schemas"][found["$ref"].rsplit("/", 1)[-1]]
        assert named["properties"], (path, method)


def test_what_rules_would_do_is_shown_before_they_are_saved(admin, admin_user):
    plain = {"email": "", "company_name": ""}
    ada = LeadFactory(first_name="Ada", last_name="", lead_source="referral", **plain)
    bob = LeadFactory(first_name="Bob", last_name="", lead_source="website", **plain)
    LeadFactory(first_name="Cyd", lead_source="referral", status="lost", **plain)
    wanted = {
        "base": 50,
        "rules": [{"feature": "lead_source", "test": "in", "value": ["referral"], "points": 40}],
    }
    found = admin.post("/api/v1/scoring/rules/preview/", wanted).json()
    histogram = {
        (bar["lowest"], bar["highest"]): (bar["before"], bar["after"]) for bar in found.pop("histogram")
    }
    assert {bar: moved for bar, moved in histogram.items() if moved != (0, 0)} == {
        (50, 59): (0, 1),
        (60, 69): (1, 0),
        (70, 79): (1, 0),
        (90, 100): (0, 1),
    }
    assert found == {
        "leads": 2,
        "is_sample": False,
        "up": 1,
        "down": 1,
        "becoming_hot": 1,
        "no_longer_hot": 0,
        "average_before": 67.5,
        "average_after": 70.0,
        "bands": [
            {"name": "high", "before": 0, "after": 1},
            {"name": "medium", "before": 2, "after": 1},
            {"name": "low", "before": 0, "after": 0},
        ],
        "examples": [
            {"id": ada.pk, "name": "Ada", "before": 70, "after": 90},
            {"id": bob.pk, "name": "Bob", "before": 65, "after": 50},
        ],
    }
    assert (ScoringRules.objects.count(), ScoringJob.objects.count()) == (0, 0)
    refused = admin.post("/api/v1/scoring/rules/preview/", {"base": 50, "rules": [{"feature": "luck"}]})
    assert refused.status_code == 400


def test_what_unchanged_rules_would_do_is_nothing(admin, learned):
    LeadFactory(lead_source="referral")
    found = admin.post("/api/v1/scoring/rules/preview/", admin.get("/api/v1/scoring/rules/").json()).json()
    assert (found["leads"], found["up"], found["down"], found["examples"]) == (1, 0, 0, [])


VALUES = (50_000, 1_000, 1_234_567.5, 0.125, 1.125, -3)


def typed(client, **parts):
    """One rule over the estimated value, sent as the form does; the page, or None once it is saved."""
    version = ScoringRules.objects.order_by("-id").values_list("id", flat=True).first()
    rule = {"feature": "estimated_value", "question": "at_least", "points": "5", **parts}
    sent = {"line": "r0", "base": "50", "seen": version or "", "do": "save"}
    answer = client.post(FORM, sent | {f"r0.{part}": value for part, value in rule.items()})
    return answer if answer.status_code == 200 else None


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_rules_that_are_opened_and_saved_stay_as_they_are(client, make_user, language):
    boss = make_user("admin", is_staff=True, is_superuser=True, language=language)
    client.force_login(boss)
    rules = [
        {"feature": "estimated_value", "test": "at_least", "value": value, "points": 5, "label": str(value)}
        for value in VALUES
    ]
    ScoringRules.objects.create(content={"base": 50, "rules": rules}, means=[0.0] * len(rules))
    page = client.get(FORM)
    sent = {"seen": page.context["form"].seen, "base": "50", "do": "save"}
    for i, line in enumerate(page.context["form"].lines):
        parts = ("feature", "question", "value", "points", "label", "key")
        sent |= {f"r{i}.{part}": getattr(line, part) for part in parts}
    assert client.post(FORM, sent | {"line": [f"r{i}" for i in range(len(VALUES))]}).status_code == 302
    kept = ScoringRules.objects.latest("id").content["rules"]
    assert [rule["value"] for rule in kept] == list(VALUES)


@pytest.mark.parametrize(
    ("language", "text", "number"),
    [
        ("en", "10,000", 10_000),
        ("en", "1,5", None),
        ("de", "10.000", 10_000),
        ("de", "1.234,5", 1_234.5),
        ("de", "2.5", 2.5),
        ("fr", "10 000", 10_000),
        ("fr", "10.000", None),
        ("fr", "1 2", None),
    ],
)
def test_a_number_is_read_as_the_reader_writes_it(client, make_user, language, text, number):
    client.force_login(make_user("admin", is_staff=True, is_superuser=True, language=language))
    page = typed(client, value=text)
    if number is None:
        assert page.context["form"].lines[0].faults
        assert not ScoringRules.objects.exists()
    else:
        assert page is None
        assert ScoringRules.objects.get().content["rules"][0]["value"] == number


def test_a_condition_that_was_never_seen_is_not_saved(client, make_user):
    client.force_login(make_user("admin", is_staff=True, is_superuser=True))
    page = typed(client, feature="lead_source", value="")
    assert page.context["form"].lines[0].faults == ["Choose the condition."]
    assert not ScoringRules.objects.exists()
