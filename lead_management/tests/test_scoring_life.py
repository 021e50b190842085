"""The life of scoring models: gate, activation, roll-back, damage, concurrency, files, drift."""

import copy
import json
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from core import tasks
from core.changes.dispatch import dispatch
from core.errors import ConflictError
from core.lead_scoring import LeadScoringEngine, drift_check, jobs, model_lifecycle
from core.lead_scoring.engine import current
from core.lead_scoring.models import LeadScore, ScoringJob, ScoringModel
from core.lead_scoring.rule_store import newest_rules
from core.lead_scoring.scorer import Scorer
from core.lead_scoring.training import RECIPE
from core.notifications.models import Notification
from lead_management.models import Lead
from lead_management.scoring import LEADS
from lead_management.tests.factories import LeadFactory
from lead_management.tests.making import closed_leads

pytestmark = pytest.mark.django_db
STRONG = Lead(first_name="Ada", lead_source="referral", job_title="CEO", company_name="Engines")


@pytest.fixture(scope="module")
def kept():
    """What a training made, kept for the tests of this module: training takes seconds."""
    return {}


@pytest.fixture
def trained(kept, db):
    """An active model that was trained on 400 leads."""
    if not kept:
        closed_leads(400)
        row = model_lifecycle.retrain_model()
        assert row.status == "active", row.verdict
        names = ("artefact", "holdout_model", "card", "verdict", "hash", "leads", "wins")
        kept.update({name: getattr(row, name) for name in names})
        return row
    row = ScoringModel(status="retired", **copy.deepcopy(kept))
    row.save()
    with transaction.atomic():
        model_lifecycle.activate(row)
    return row


def another(row, **changes):
    """A second model, stored and retired."""
    row = ScoringModel.objects.get(pk=row.pk)
    row.pk, row.status, row.activated_at = None, "retired", None
    for name, value in changes.items():
        setattr(row, name, value)
    row.save()
    return row


def test_activating_and_rolling_back(admin, trained):
    second = another(trained)
    assert admin.post(f"/api/v1/scoring/models/{second.pk}/activate/").status_code == 200
    assert current().origin.model_id == second.pk
    assert ScoringModel.objects.get(pk=trained.pk).status == "retired"
    assert admin.post("/api/v1/scoring/models/rollback/").json() == {"success": True, "active": trained.pk}
    assert current().origin.model_id == trained.pk
    assert admin.post("/api/v1/scoring/models/rollback/").json() == {"success": True, "active": None}
    assert current().model.learned is False
    assert admin.post("/api/v1/scoring/models/rollback/").status_code == 409


def test_models_are_the_administrators_to_change_and_everyones_to_read(api, rep, trained):
    client = api(rep)
    assert client.post(f"/api/v1/scoring/models/{trained.pk}/activate/").status_code == 403
    assert client.post("/api/v1/scoring/models/rollback/").status_code == 403
    assert ScoringModel.objects.get(pk=trained.pk).status == "active"
    listed = client.get("/api/v1/scoring/models/").json()["results"]
    assert [(row["id"], row["status"]) for row in listed] == [(trained.pk, "active")]
    assert "artefact" not in listed[0]


@pytest.mark.parametrize(
    "damage",
    [
        {"format": 99},
        {"intercept": 7.5},
        {"inputs": []},
        {"one": "x"},
    ],
)
def test_a_damaged_or_newer_model_means_the_rules_and_says_so(admin, trained, damage):
    ScoringModel.objects.filter(pk=trained.pk).update(artefact=trained.artefact | damage, hash="changed")
    lead = admin.post("/api/v1/leads/", {"first_name": "Ada", "lead_source": "referral"})
    assert lead.status_code == 201
    response = admin.post("/api/v1/scoring/", {"action": "score", "lead_id": lead.json()["id"]})
    assert response.status_code == 200
    assert response.json()["score"] == 70
    assert response.json()["warning"].startswith("Scored by rules: model")
    assert LeadScoringEngine().score_lead(STRONG)[0] == 80


def test_a_damaged_model_is_not_activated(admin, trained):
    broken = another(trained, hash="0" * 64)
    response = admin.post(f"/api/v1/scoring/models/{broken.pk}/activate/")
    assert response.status_code == 409
    assert ScoringModel.objects.get(pk=trained.pk).status == "active"


def test_a_challenger_taught_by_poisoned_labels_stays_out(trained):
    Lead.objects.all().delete()
    closed_leads(700, seed=2)
    ids = list(Lead.objects.order_by("created_at").values_list("pk", flat=True))
    old, newest = ids[:450], ids[450:]
    won = list(Lead.objects.filter(pk__in=old, status="converted").values_list("pk", flat=True))
    lost = list(Lead.objects.filter(pk__in=old, status="lost").values_list("pk", flat=True))
    Lead.objects.filter(pk__in=won).update(status="lost", converted_at=None)
    for lead in Lead.objects.filter(pk__in=lost):
        Lead.objects.filter(pk=lead.pk).update(status="converted", converted_at=lead.created_at)
    row = model_lifecycle.retrain_model()
    assert len(newest) == 250
    assert row.status == "rejected"
    assert row.verdict["reason"].startswith(("Worse: log loss", "Possibly worse: log loss", "No signal:"))
    assert current().origin.model_id == trained.pk


def test_every_field_empty_and_every_field_hostile(trained):
    hostile = Lead(
        first_name="x", last_name="\u202e" * 90, email="@" * 200, phone="\ud83d",
        company_name="'; DROP TABLE",
        company_size=2**31 - 1, industry="\x00" * 50, job_title="CEO" * 40, country="🏴" * 90,
        lead_source="telepathy", estimated_value="1e300", tags=["", "x" * 60, "NaN"],
        custom_fields={"seats": "many", "since": "soon", "plan": {"a": 1}},
    )  # fmt: skip
    for lead in (Lead(), hostile):
        score, factors = LeadScoringEngine().score_lead(lead)
        assert 0 <= score <= 100
        assert 50 + sum(f["points"] for f in factors) == score


def test_a_model_survives_postgresql_and_gives_the_same_scores(trained):
    again = ScoringModel.objects.get(pk=trained.pk)
    assert current().origin.model_id == again.pk
    assert current().warning == ""
    assert again.artefact["hash"] == again.hash


def test_files_are_written_whole_and_read_back(trained, settings, tmp_path):
    settings.LEAD_SCORING_MODEL_PATH = tmp_path / "models" / "lead_scoring_model.json"
    call_command("lead_scoring_model", "export")
    assert json.loads(settings.LEAD_SCORING_MODEL_PATH.read_text())["hash"] == trained.hash
    assert [path.name for path in settings.LEAD_SCORING_MODEL_PATH.parent.iterdir()] == [
        "lead_scoring_model.json"
    ]
    call_command("lead_scoring_model", "import")
    row = ScoringModel.objects.latest("id")
    assert (row.status, row.hash) == ("retired", trained.hash)
    for content in (b"\x80\x04\x95pickle", b"{", b"[]", b'{"format": 99}'):
        settings.LEAD_SCORING_MODEL_PATH.write_bytes(content)
        with pytest.raises((CommandError, UnicodeDecodeError)):
            call_command("lead_scoring_model", "import")
    assert ScoringModel.objects.count() == 2


def test_commands_retrain_and_score(capsys):
    closed_leads(100)
    call_command("retrain_lead_scoring")
    assert "trained: True" in capsys.readouterr().out
    call_command("score_leads")
    assert "100 leads scored" in capsys.readouterr().out
    assert LeadScore.objects.count() == 100


def test_drift_is_seen_and_reported_to_administrators_once(admin, admin_user, rep, trained):
    Lead.objects.all().delete()
    closed_leads(150, seed=4)
    Lead.objects.update(lead_source="website", company_size=1)
    found = admin.get("/api/v1/scoring/models/drift/").json()
    assert found["inputs"][0]["psi"] > 0.25
    assert {"lead_source", "company_size"} <= {one["feature"] for one in found["inputs"] if one["psi"] > 0.25}
    assert drift_check.watch() == drift_check.watch() == found["warnings"] != []
    assert [n.recipient_id for n in Notification.objects.filter(type="scoring_drift")] == [admin_user.pk]


def test_newest_leads_with_impossible_outcomes_are_left_out_and_administrators_are_reported(admin_user):
    ids = closed_leads(500)
    newest = Lead.objects.filter(pk__in=ids[-40:])
    newest.update(status="converted", lost_reason="", converted_at=timezone.now())
    assert tasks.retrain_lead_scoring_model() == "finished"
    row = ScoringModel.objects.get()
    assert (row.status, row.leads, row.artefact) == ("active", 400, row.holdout_model)
    assert (
        "The newest leads are left out and this model, which did not learn from them, scores"
        in (row.verdict["reason"])
    )
    reported = Notification.objects.get(type="scoring_suspicion")
    assert (reported.recipient_id, reported.body) == (admin_user.pk, row.verdict["suspicion"])


def test_a_training_that_fails_is_recorded_and_reported_and_leaves_the_live_model(
    admin_user, trained, monkeypatch
):
    def fail(*args, **kwargs):
        raise ValueError("window shape cannot be larger than input array shape")

    closed_leads(RECIPE.least_leads)
    monkeypatch.setattr(model_lifecycle, "retrain", fail)
    assert tasks.retrain_lead_scoring_model() == "failed"
    job = ScoringJob.objects.get(kind="retrain")
    assert job.message == "ValueError: window shape cannot be larger than input array shape"
    assert job.finished_at is not None
    reported = Notification.objects.get(type="scoring_failed")
    assert (reported.recipient_id, job.message in reported.body) == (admin_user.pk, True)
    assert current().origin.model_id == trained.pk
    assert ScoringModel.objects.count() == 1


def test_a_job_that_kills_its_workers_is_given_up():
    job = jobs.start(ScoringJob.Kind.BULK)
    ScoringJob.objects.update(attempts=4, status="running")
    assert tasks.run_scoring_job(str(job.task_id)) == "failed"
    job.refresh_from_db()
    assert (job.status, job.message != "") == ("failed", True)


def test_the_sweep_finds_what_lost_its_message():
    jobs.start(ScoringJob.Kind.BULK)
    assert jobs.sweep() == 1


def test_administrators_read_the_card_and_activate_models_on_pages(client, make_user, trained):
    client.force_login(make_user("admin", is_staff=True))
    second = another(trained)
    page = client.get(f"/admin/core/scoringmodel/{trained.pk}/card/")
    assert page.status_code == 200
    assert "Reliability" in page.content.decode()
    assert "lead_source" in page.content.decode()
    assert client.get("/admin/core/scoringmodel/").status_code == 200
    assert client.get(f"/admin/core/scoringmodel/{second.pk}/change/").status_code == 200
    address = f"/admin/core/scoringmodel/{second.pk}/activate/"
    assert "The gate said" in client.get(address).content.decode()
    assert ScoringModel.objects.get(pk=second.pk).status == "retired"
    assert client.post(address).status_code == 302
    assert ScoringModel.objects.get(pk=second.pk).status == "active"


def test_others_do_not_see_models_in_the_admin_site(client, make_user, trained):
    client.force_login(make_user("manager", is_staff=True))
    assert client.get(f"/admin/core/scoringmodel/{trained.pk}/card/").status_code in (302, 403, 404)
    assert client.post(f"/admin/core/scoringmodel/{another(trained).pk}/activate/").status_code in (
        302,
        403,
    )
    assert ScoringModel.objects.get(pk=trained.pk).status == "active"


def test_a_leads_page_says_why(client, make_user):
    lead = LeadFactory(first_name="Ada", lead_source="referral")
    jobs.score_ids([lead.pk])
    client.force_login(make_user("admin", is_staff=True))
    page = client.get(f"/admin/lead_management/lead/{lead.pk}/change/").content.decode()
    assert "from 50, " in page
    assert "<span>Source: Referral +20</span>" in page


# -- at the same time ------------------------------------------------------------------------------


def at_once(*calls):
    """Run the calls in threads; the exceptions they ended with."""
    errors = []
    barrier = threading.Barrier(len(calls))

    def run(call):
        try:
            barrier.wait(20)
            call()
        except Exception as error:  # noqa: BLE001  told to the test
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    return errors


@pytest.mark.django_db(transaction=True)
def test_of_concurrent_retrainings_one_runs():
    closed_leads(80)
    assert at_once(*[tasks.retrain_lead_scoring_model] * 4) == []
    finished = ScoringJob.objects.filter(kind="retrain")
    assert {(job.status, job.message) for job in finished} == {("finished", "")}
    assert ScoringModel.objects.filter(status="active").count() <= 1
    assert ScoringModel.objects.count() == finished.count()


@pytest.mark.django_db(transaction=True)
def test_workers_that_come_while_one_works_are_no_attempts(monkeypatch):
    job = jobs.start(ScoringJob.Kind.RETRAIN)
    begun, may_end = threading.Event(), threading.Event()

    def work(job):
        begun.set()
        may_end.wait(20)
        jobs.finish(job, {})

    monkeypatch.setitem(jobs._WORK, ScoringJob.Kind.RETRAIN, work)
    worker = threading.Thread(target=at_once, args=(lambda: jobs.run_job(str(job.task_id)),))
    worker.start()
    assert begun.wait(20)
    assert [jobs.run_job(str(job.task_id)) for _ in range(5)] == [jobs.BUSY] * 5
    assert ScoringJob.objects.get().attempts == 1, "counted at once, whatever becomes of the work"
    may_end.set()
    worker.join(20)
    assert list(ScoringJob.objects.values_list("status", "attempts")) == [("finished", 0)]


@pytest.mark.django_db(transaction=True)
def test_a_model_is_swapped_under_load_and_every_answer_is_whole(kept, trained):
    second = another(trained, hash=trained.hash)
    new_leads = [Lead(first_name="A", lead_source="event") for _ in range(50)]
    ids = [lead.pk for lead in Lead.objects.bulk_create(new_leads)]
    seen = set()

    def score():
        for _ in range(15):
            found = LeadScoringEngine().explain(STRONG)
            assert found["base"] + sum(f["points"] for f in found["factors"]) == found["score"]
            assert found["warning"] == ""
            seen.add(found["model_version"])
            jobs.score_ids(ids)

    def swap():
        for i in range(10):
            with transaction.atomic():
                model_lifecycle.activate(ScoringModel.objects.get(pk=(second, trained)[i % 2].pk))

    assert at_once(score, score, swap) == []
    assert seen <= {trained.pk, second.pk}
    assert ScoringModel.objects.filter(status="active").count() == 1
    assert LeadScore.objects.filter(pk__in=ids, model_id__in=seen | {trained.pk, second.pk}).count() == 50


def test_two_models_are_never_active(trained):
    with pytest.raises(Exception, match="scoring_model_one_active"), transaction.atomic():
        another(trained, status="active")
    assert connection.in_atomic_block
    with pytest.raises(ConflictError):
        model_lifecycle.activate(another(trained, hash="x"))


def slowly(monkeypatch, work_slowly, meanwhile):
    """Run `work_slowly`, and `meanwhile` from when it has read the leads; it goes on once that has ended, or
    after a second in which that waits for it."""
    read, done = threading.Event(), threading.Event()
    score = Scorer.score

    def paused(self, frame):
        if threading.current_thread().name == "slow" and not read.is_set():
            read.set()
            done.wait(1)
        return score(self, frame)

    monkeypatch.setattr(Scorer, "score", paused)

    def first():
        threading.current_thread().name = "slow"
        work_slowly()

    def second():
        assert read.wait(10)
        meanwhile()
        done.set()

    assert at_once(first, second) == []


SIZES = {"base": 50, "rules": [{"feature": "company_size", "test": "at_least", "value": 100, "points": 20}]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("door", ["job", "task", "request"])
def test_a_lead_that_changes_while_it_is_scored_ends_with_its_newest_score(admin, monkeypatch, door):
    admin.put("/api/v1/scoring/rules/", SIZES)
    ScoringJob.objects.all().delete()
    lead = LeadFactory(first_name="Ada", lead_score=3, company_size=5)
    dispatch()
    jobs.score_pending()
    Lead.objects.filter(pk=lead.pk).update(scored_at=None)
    job = jobs.start("bulk_score")
    endpoints = {
        "job": lambda: jobs.run_job(str(job.task_id)),
        "task": lambda: jobs.score_ids([lead.pk]),
        "request": lambda: admin.post("/api/v1/scoring/", {"action": "score", "lead_id": lead.pk}),
    }

    def grow():
        Lead.objects.filter(pk=lead.pk).update(company_size=500)
        dispatch()
        jobs.score_pending()

    slowly(monkeypatch, endpoints[door], grow)
    lead.refresh_from_db()
    assert (lead.company_size, lead.lead_score) == (500, 70)
    assert LeadScore.objects.get(pk=lead.pk).score == 70


@pytest.mark.django_db(transaction=True)
def test_rules_edited_while_a_job_runs_have_the_last_word(admin, monkeypatch):
    lead = LeadFactory(first_name="Ada", company_size=500)
    job = jobs.start("bulk_score")

    def edit():
        admin.put("/api/v1/scoring/rules/", SIZES)
        newest = ScoringJob.objects.first()
        assert newest.pk != job.pk
        jobs.run_job(str(newest.task_id))

    slowly(monkeypatch, lambda: jobs.run_job(str(job.task_id)), edit)
    lead.refresh_from_db()
    assert lead.lead_score == 70
    assert LeadScore.objects.get(pk=lead.pk).rules_id == newest_rules(LEADS)
