"""What Prometheus reads: who may, what there is, and that dashboard and alerts name nothing else."""

import json
import re

import pytest
import yaml
from django.db import connection
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from backend import metrics
from backend.env import BASE_DIR
from core.changes.models import Outbox
from core.lead_scoring import drift_check
from core.workflows.models import WorkflowExecution
from core.workflows.tests.factories import WorkflowFactory
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
NAMES = re.compile(r"\bcrm_[a-z0-9_]+")
BEARER = {"HTTP_AUTHORIZATION": "Bearer of-prometheus"}


@pytest.fixture(autouse=True)
def not_kept(monkeypatch):
    """Each answer asks anew."""
    monkeypatch.setattr(metrics, "KEPT_S", 0.0)


@pytest.fixture(autouse=True)
def token(settings):
    settings.METRICS_TOKEN = "of-prometheus"


@pytest.fixture
def samples(client):
    """(name, labels) → value, as Prometheus is answered."""

    def read():
        answer = client.get("/metrics", **BEARER)
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.content.decode())
        return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}

    return read


def names_in(text):
    return {name for name in NAMES.findall(text) if not name.endswith("_")}


def test_dashboard_and_alerts_name_metrics_that_are_there(samples, client, settings):
    client.get("/api/v1/")
    drift_check.cache.set("scoring_warnings:lead", 1)
    known = {name for name, *_ in samples()} | {gauge.name for gauge in metrics.GAUGES}
    alerts = yaml.safe_load((BASE_DIR / "deploy/prometheus/alerts.yaml").read_text())
    rules = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    board = json.loads((BASE_DIR / "deploy/grafana/dashboard.json").read_text())
    panels = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = names_in(" ".join([*rules, *panels]))
    assert named - known == set()
    ours = {gauge.name for gauge in metrics.GAUGES} | {name for name, _ in metrics.LAG.values()}
    assert ours - names_in(" ".join(panels)) == set(), "each gauge is on the dashboard"


def test_what_is_stored_is_counted(samples):
    LeadFactory.create_batch(2)
    WorkflowExecution.objects.create(
        workflow=WorkflowFactory(), version_id=1, event_key="x", status=WorkflowExecution.Status.DEAD
    )
    found = samples()
    assert found["crm_outbox_rows",] == Outbox.objects.count() > 0
    assert found["crm_workflow_runs", "dead"] == 1
    assert found["crm_workflow_runs", "queued"] == 0
    assert found["crm_queue_messages", "automation"] >= 0
    assert found["crm_metrics_complete",] == 1


def test_requests_are_counted_by_route_and_not_by_address(samples, client):
    key = ("crm_http_requests_total", "GET", "none", "404")
    before = samples().get(key, 0)
    client.get("/nowhere/secret-of-somebody/")
    client.get("/nowhere/else/")
    found = samples()
    assert found[key] == before + 2
    assert not any("secret-of-somebody" in str(part) for key in found for part in key)


@pytest.mark.parametrize(
    ("token", "given", "status"),
    [
        ("", {}, 404),
        ("", {"REMOTE_ADDR": "127.0.0.1", "HTTP_AUTHORIZATION": "Bearer "}, 404),
        ("", {"HTTP_AUTHORIZATION": "Bearer of-prometheus"}, 404),
        ("of-prometheus", {}, 404),
        ("of-prometheus", {"HTTP_AUTHORIZATION": "Bearer else"}, 404),
        ("of-prometheus", {"HTTP_AUTHORIZATION": "of-prometheus"}, 404),
        ("of-prometheus", BEARER | {"REMOTE_ADDR": "10.0.0.5"}, 200),
    ],
)
def test_who_may_read(client, settings, token, given, status):
    settings.METRICS_TOKEN = token
    with CaptureQueriesContext(connection) as queries:
        answer = client.get("/metrics", **given)
    assert answer.status_code == status
    assert (b"crm_" in answer.content) == (status == 200)
    assert bool(len(queries)) == (status == 200), "who may not read costs nothing"


def test_several_processes_are_answered_for_together(settings, tmp_path, client):
    settings.METRICS_FOLDER = str(tmp_path)
    answer = client.get("/metrics", **BEARER)
    assert answer.status_code == 200
    assert b"crm_outbox_rows" in answer.content
    assert b"crm_http_requests_total{" not in answer.content, "none has written there"


def test_valkey_away_leaves_the_rest(samples, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = samples()
    assert found["crm_metrics_complete",] == 0
    assert ("crm_outbox_rows",) in found
    assert ("crm_queue_messages", "automation") not in found
