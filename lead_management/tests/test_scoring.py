"""Lead scoring end to end: rules first, then a model; over HTTP, in the shell, in the background."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import tasks
from core.activities.tests.factories import ActivityFactory
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from core.lead_scoring import LeadScoringEngine, jobs
from core.lead_scoring.default_rules import DEFAULT_RULES
from core.lead_scoring.engine import current
from core.lead_scoring.features import Kind
from core.lead_scoring.models import LeadScore, ScoringJob, ScoringPending
from lead_management.models import Lead
from lead_management.scoring import LEADS
from lead_management.tests.factories import LeadFactory
from lead_management.tests.making import closed_leads

pytestmark = pytest.mark.django_db

STRONG = {
    "first_name": "Ada", "last_name": "Byron", "email": "ada@engines.example", "company_name": "Engines",
    "lead_source": "referral", "job_title": "CEO", "estimated_value": "90000",
}  # fmt: skip
WEAK = {"first_name": "Bob", "last_name": "Roe", "email": "bob@gmail.com", "lead_source": "other"}


def make(client, **fields):
    response = client.post("/api/v1/leads/", {**WEAK, **fields})
    assert response.status_code == 201, response.content
    return response.json()


def score(client, lead_id):
    return client.post("/api/v1/scoring/", {"action": "score", "lead_id": lead_id})


def test_a_new_lead_is_scored_at_once_by_the_rules(admin):
    lead = make(admin, **STRONG)
    assert lead["lead_score"] == 90
    assert lead["scored_at"] is not None
    assert lead["conversion_probability"] == pytest.approx(0.5532, abs=1e-3)
    assert make(admin, **WEAK)["lead_score"] == 50


def test_scoring_one_lead_gives_reasons_that_add_up(admin):
    lead = make(admin, **STRONG)
    found = score(admin, lead["id"]).json()
    assert found["success"] is True
    assert (found["lead_id"], found["score"], found["base"]) == (lead["id"], 90, 50)
    assert {f["factor"]: f["points"] for f in found["factors"]} == {
        "lead_source": 20, "email_kind": 10, "company_name": 10,
    }  # fmt: skip
    assert found["factors"][0]["text"] == "Source: referral +20"
    assert sum(f["importance"] for f in found["factors"]) == pytest.approx(1, abs=1e-3)
    assert (found["rule_share"], found["model_share"], found["model_version"]) == (1.0, 0.0, None)


def test_the_engine_scores_a_lead_in_a_shell():
    lead = LeadFactory(**{**STRONG, "estimated_value": 10_000})
    points, factors = LeadScoringEngine().score_lead(lead)
    assert points == 90
    assert {"factor", "importance"} <= set(factors[0])
    assert LeadScoringEngine().score_lead(Lead(first_name="Unsaved", lead_source="website"))[0] == 65


def test_a_lead_made_in_a_shell_is_scored_in_the_background():
    lead = LeadFactory(**STRONG)
    assert tasks.score_lead(lead.pk) == 90
    assert tasks.score_lead(0) is None
    dispatch()
    assert ScoringPending.objects.filter(pk=lead.pk).exists()
    assert jobs.score_pending() == 1
    lead.refresh_from_db()
    assert (lead.lead_score, lead.version) == (90, 1)
    assert lead.scored_at is not None
    assert LeadScore.objects.get(pk=lead.pk).score == 90


def test_a_change_of_a_feature_calls_for_a_new_score_and_others_do_not(admin):
    lead = make(admin, **WEAK)
    dispatch()
    jobs.score_pending()
    dispatch()  # what scoring wrote calls for no scoring
    assert ScoringPending.objects.count() == 0
    admin.patch(f"/api/v1/leads/{lead['id']}/", {"notes": "Called twice."})
    dispatch()
    assert ScoringPending.objects.count() == 0
    admin.patch(f"/api/v1/leads/{lead['id']}/", {"lead_source": "referral"})
    dispatch()
    assert jobs.score_pending() == 1
    assert admin.get(f"/api/v1/leads/{lead['id']}/").json()["lead_score"] == 70


def test_scores_of_many_leads_take_the_same_number_of_queries():
    current()  # what scores is loaded once per process

    def queries(n):
        ids = [lead.pk for lead in Lead.objects.bulk_create([Lead(**STRONG) for _ in range(n)])]
        with CaptureQueriesContext(
            connection,
        ) as seen:
            jobs.score_ids(ids)
        return len(seen)

    assert queries(2) == queries(50)


def test_bulk_scoring_is_a_job_that_one_can_follow(admin):
    ids = [lead.pk for lead in Lead.objects.bulk_create([Lead(**STRONG) for _ in range(3)])]
    response = admin.post("/api/v1/scoring/", {"action": "bulk_score", "lead_ids": ids})
    assert response.status_code == 202
    task = response.json()["task_id"]
    assert admin.get(f"/api/v1/scoring/jobs/{task}/").json()["status"] == "pending"
    assert tasks.run_scoring_job(task) == "finished"
    job = admin.get(response.json()["job"]).json()
    assert (job["status"], job["total"], job["done"]) == ("finished", 3, 3)
    assert set(Lead.objects.values_list("lead_score", flat=True)) == {90}
    assert tasks.run_scoring_job(task) == "busy", "what is finished is not done again"


@pytest.mark.parametrize(
    ("selection", "done"), [({"filter": {"lead_source": "referral"}}, 2), ({"all": True}, 3)]
)
def test_bulk_scoring_by_filter_and_of_all(admin, selection, done):
    Lead.objects.bulk_create([Lead(**STRONG), Lead(**STRONG), Lead(**WEAK)])
    response = admin.post("/api/v1/scoring/", {"action": "bulk_score", **selection})
    tasks.run_scoring_job(response.json()["task_id"])
    assert ScoringJob.objects.get().done == done


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"action": "nope"}, {"action": "score"}, {"action": "score", "lead_id": "x"},
        {"action": "bulk_score"}, {"action": "bulk_score", "lead_ids": "x"},
        {"action": "bulk_score", "lead_ids": []},
        {"action": "bulk_score", "lead_ids": [1], "all": True}, {"action": "bulk_score", "filter": {}},
        {"action": "bulk_score", "filter": {"password": "x"}}, {"action": "bulk_score", "all": False},
        {"action": "score", "lead_id": 1, "more": 1},
    ],
)  # fmt: skip
def test_bad_requests_are_refused(admin, body):
    assert admin.post("/api/v1/scoring/", body).status_code == 400
    assert ScoringJob.objects.count() == 0


def test_only_what_one_sees_is_scored(admin, api, rep, make_user):
    hidden = make(admin, **STRONG)
    Lead.objects.filter(pk=hidden["id"]).update(lead_score=1, scored_at=None)
    client = api(rep)
    own = make(client, **WEAK)
    assert score(client, hidden["id"]).status_code == 404
    assert client.get(f"/api/v1/scoring/{hidden['id']}/").status_code == 404
    assert score(client, own["id"]).status_code == 200
    body = {"action": "bulk_score", "lead_ids": [hidden["id"], own["id"]]}
    task = client.post("/api/v1/scoring/", body).json()["task_id"]
    tasks.run_scoring_job(task)
    assert ScoringJob.objects.get().done == 1
    assert Lead.objects.get(pk=hidden["id"]).lead_score == 1
    stranger = api(make_user("rep"))
    assert stranger.get(f"/api/v1/scoring/jobs/{task}/").status_code == 404
    assert client.get("/api/v1/scoring/").json()["total_leads"] == 1


def test_a_viewer_changes_no_score(admin, api, make_user):
    lead = make(admin, **STRONG)
    viewer = api(make_user("viewer"))
    assert score(viewer, lead["id"]).status_code == 403
    assert viewer.get("/api/v1/scoring/").status_code == 200


def test_retraining_is_the_administrators_alone(api, rep):
    assert api(rep).post("/api/v1/scoring/", {"action": "retrain"}).status_code == 403
    assert ScoringJob.objects.count() == 0


def test_statistics_count_what_one_sees(admin):
    for points in (10, 30, 31, 70, 71, 100):
        LeadFactory(first_name="A", lead_score=points)
    assert admin.get("/api/v1/scoring/").json() == {
        "total_leads": 6, "high_score": 2, "medium_score": 2, "low_score": 2, "average_score": 52.0,
    }  # fmt: skip


def test_the_reasons_of_a_lead_are_stored_and_reported(admin):
    lead = make(admin, **STRONG)
    before = admin.get(f"/api/v1/scoring/{lead['id']}/").json()
    jobs.score_ids([lead["id"]])
    after = admin.get(f"/api/v1/scoring/{lead['id']}/").json()
    assert after["factors"] == before["factors"]
    assert after["base"] + sum(f["points"] for f in after["factors"]) == after["score"] == 90


def test_scoring_leaves_the_version_and_shows_the_history_only_of_scores(admin):
    lead = make(admin, **STRONG)
    Lead.objects.filter(pk=lead["id"]).update(lead_score=3)
    last = Change.objects.latest("id").pk
    score(admin, lead["id"])
    changes = [c.changes for c in Change.objects.filter(pk__gt=last)]
    assert changes == [{"lead_score": [3, 90]}]
    assert Lead.objects.get(pk=lead["id"]).version == 1


# -- models ---------------------------------------------------------------------------------------


@pytest.fixture
def trained(admin):
    closed_leads(300)
    task = admin.post("/api/v1/scoring/", {"action": "retrain"}).json()["task_id"]
    assert tasks.run_scoring_job(task) == "finished"
    return ScoringJob.objects.get(task_id=task).result


def test_a_retraining_learns_goes_live_and_scores(admin, trained):
    assert trained["trained"] is True
    assert trained["live"] is True, trained
    lead = make(admin, **STRONG)
    found = score(admin, lead["id"]).json()
    assert found["model_version"] == trained["model_version"]
    assert found["model_share"] > 0.3
    assert found["base"] + sum(f["points"] for f in found["factors"]) == found["score"]
    by_name = {f["factor"]: f for f in found["factors"]}
    assert by_name["lead_source"]["text"].startswith("Source: referral +")
    assert by_name["seniority"]["value"] == "executive"
    assert found["score"] > score(admin, make(admin, **WEAK)["id"]).json()["score"]
    model = admin.get(f"/api/v1/scoring/models/{trained['model_version']}/").json()
    assert model["status"] == "active"
    assert model["metrics"]["auc"] > 0.6
    card = admin.get(f"/api/v1/scoring/models/{trained['model_version']}/card/").json()
    assert card["reliability"]
    assert card["importance"][0]["factor"] == "lead_source"
    job = ScoringJob.objects.get(kind="bulk_score")
    assert tasks.run_scoring_job(str(job.task_id)) == "finished"
    assert LeadScore.objects.filter(model_id=trained["model_version"]).count() == Lead.objects.count()


@pytest.mark.parametrize("count", [0, 1, 30])
def test_too_few_leads_train_nothing(admin, count):
    closed_leads(count)
    assert tasks.retrain_lead_scoring_model() == "finished"
    assert ScoringJob.objects.get().result["trained"] is False
    assert current().model.learned is False


def test_no_column_that_comes_after_the_outcome_is_a_feature(trained):
    keys = {one.feature for one in current().model.inputs}
    assert not keys & {"status", "converted_at", "lost_reason", "lead_score", "updated_at"}
    assert not keys & {"first_name", "last_name", "email", "phone", "notes"}


def test_custom_fields_are_features_unless_they_opt_out(admin):
    kinds = [("seats", "number"), ("fee", "money"), ("trial", "boolean"), ("since", "date")]
    for key, kind in [*kinds, ("secret", "number"), ("words", "text")]:
        CustomFieldFactory(entity="lead", key=key, type=kind, scorable=key != "secret")
    CustomFieldFactory(entity="lead", key="plan", type="choice", choices=["a", "b"])
    CustomFieldFactory(entity="lead", key="uses", type="multi_choice", choices=["x", "y"])
    found = {f.spec.key: f.spec.kind for f in LEADS.custom_features()}
    assert found == {
        "custom_fields.seats": Kind.NUMBER, "custom_fields.fee": Kind.NUMBER,
        "custom_fields.trial": Kind.BOOLEAN,
        "custom_fields.since": Kind.DATE, "custom_fields.plan": Kind.CATEGORY,
        "custom_fields.uses": Kind.MULTI,
    }  # fmt: skip


def test_a_custom_field_that_decides_is_learned(admin):
    CustomFieldFactory(entity="lead", key="plan", type="choice", choices=["a", "b"])
    ids = closed_leads(300)
    won = set(Lead.objects.filter(status="converted").values_list("pk", flat=True))
    for value in ("a", "b"):
        chosen = [pk for i, pk in enumerate(ids) if ((pk in won) != (i % 5 == 0)) == (value == "a")]
        Lead.objects.filter(pk__in=chosen).update(custom_fields={"plan": value})
    # Known from the beginning: nothing of it came later.
    _backdate()
    tasks.retrain_lead_scoring_model()
    lead = Lead(first_name="A", custom_fields={"plan": "a"})
    factors = {f["factor"]: f for f in LeadScoringEngine().score_lead(lead)[1]}
    assert factors["custom_fields.plan"]["text"].startswith("Plan: a +")


def _backdate():
    """As if all changes so far had been made when the leads were."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('crm.maintenance', 'on', true)")
        cursor.execute("UPDATE core_change SET at = at - interval '3 years'")


def test_values_are_those_of_the_time_and_not_what_came_later():
    from core.lead_scoring.history import as_of

    created = timezone.now() - timedelta(days=40)
    lead = LeadFactory(first_name="A", created_at=created, estimated_value=100, tags=["early"])
    _backdate()
    lead.estimated_value, lead.tags, lead.company_size = 900, ["early", "late"], 50
    lead.save()
    columns = ("estimated_value", "tags", "company_size", "created_at")
    then = as_of(
        LEADS, columns, [lead.pk, lead.pk], [created + timedelta(days=7), timezone.now() + timedelta(hours=1)]
    )
    assert [float(value) for value in then.columns["estimated_value"]] == [100, 900]
    assert list(then.columns["tags"]) == [["early"], ["early", "late"]]
    assert list(then.columns["company_size"]) == [None, 50]


def test_what_is_filled_in_after_closing_is_named():
    from core.lead_scoring.afterwards import filled_afterwards

    CustomFieldFactory(entity="lead", key="contract", type="number")
    closed_leads(100)
    _backdate()
    for lead in Lead.objects.filter(status="converted"):
        lead.custom_fields = {"contract": lead.pk}
        lead.save()
    found = filled_afterwards(LEADS)
    assert set(found) == {"custom_fields.contract"}
    assert "filled in after closing for 100% of won" in found["custom_fields.contract"]


def test_activities_count_as_of_the_moment():
    from lead_management.scoring import _activities

    lead = LeadFactory(first_name="A", created_at=timezone.now() - timedelta(days=10))
    ActivityFactory(record=lead, type="email", subject="Hello")
    ActivityFactory(record=lead, type="meeting", subject="Lunch", direction="inbound")
    lead.refresh_from_db()
    reader = current().reader.__class__(
        LEADS, [f for f in _features() if f.spec.key in ("emails", "meetings", "inbound", "response_hours")]
    )
    columns = reader.instance(lead).columns
    assert columns["emails"].tolist() == [1]
    assert columns["meetings"].tolist() == [1]
    assert columns["inbound"].tolist() == [1]
    assert columns["response_hours"][0] == pytest.approx(240, abs=0.1)
    assert _activities.__doc__


def _features():
    return list(LEADS.features)


def test_the_first_rules_are_the_default_ones(admin):
    found = admin.get("/api/v1/scoring/rules/").json()
    assert found["version"] is None
    assert found["base"] == 50
    assert len(found["rules"]) == len(DEFAULT_RULES.rules)


def test_rules_are_edited_by_administrators_and_count_at_once(admin, api, rep):
    rules = {
        "base": 40,
        "rules": [{"feature": "seniority", "test": "in", "value": ["executive"], "points": 33}],
    }
    assert api(rep).put("/api/v1/scoring/rules/", rules).status_code == 403
    assert admin.put("/api/v1/scoring/rules/", rules).status_code == 200
    assert make(admin, **STRONG)["lead_score"] == 73
    bad = {"base": 40, "rules": [{"feature": "password", "test": "filled", "value": True, "points": 3}]}
    response = admin.put("/api/v1/scoring/rules/", bad)
    assert response.status_code == 400
    assert "rules[0].feature" in response.content.decode()
    assert make(admin, **STRONG)["lead_score"] == 73


@pytest.mark.parametrize("word", ["-" * 36, "a" * 36, "0" * 32, "x"])
def test_a_job_that_cannot_be_is_not_found(admin, word):
    assert admin.get(f"/api/v1/scoring/jobs/{word}/").status_code == 404


@pytest.mark.parametrize("bound", [1e20, -1e20, 1.7e308, 2**64 - 1, 0.1])
def test_a_rule_with_a_very_large_number_is_kept_reported_and_scored_with(admin, bound):
    rule = {"feature": "company_size", "test": "at_most", "value": bound, "points": 5}
    assert admin.put("/api/v1/scoring/rules/", {"base": 50, "rules": [rule]}).status_code == 200
    (kept,) = admin.get("/api/v1/scoring/rules/").json()["rules"]
    assert kept["value"] == bound
    lead = LeadFactory(first_name="Ada", company_size=5)
    found = admin.post("/api/v1/scoring/", {"action": "score", "lead_id": lead.pk}).json()
    assert found["score"] == (55 if bound > 5 else 50)
