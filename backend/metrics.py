"""`/metrics`: what Prometheus reads (docs/operations.md).

Requests are counted by the process that answers them; where one service has several processes on one machine,
`PROMETHEUS_MULTIPROC_DIR` names a folder that they share, and each answers for all (prometheus_client reads
it). Everything else is a row in PostgreSQL or a message in Valkey: the same whichever process is asked, so
alert on `max`, not on `sum`.

Answered with the token METRICS_TOKEN, and to nobody where none is set: behind a proxy every request comes
from this machine.
"""

import hmac
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.http.response import HttpResponseBase
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from backend.celery import QUEUES
from core.lead_scoring.drift_check import last_warnings
from core.workflows import work_turn

PATH = "/metrics"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# What is stored is asked for once in so many seconds, however many ask.
KEPT_S = 5.0
STATEMENT_MS = 3_000

REQUESTS = Counter("crm_http_requests", "Requests answered.", ("method", "route", "status"))
SECONDS = Histogram(
    "crm_http_request_seconds",
    "Time from the first middleware to the answer.",
    ("method", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class MetricsMiddleware:
    """Counts every request, and answers `/metrics` before hosts are checked, as health is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.removesuffix("/") == PATH:
            return answer(request)
        begun = time.perf_counter()
        response = self.get_response(request)
        method, route = _method(request), route_of(request)
        REQUESTS.labels(method, route, str(response.status_code)).inc()
        SECONDS.labels(method, route).observe(time.perf_counter() - begun)
        return response


def _method(request: HttpRequest) -> str:
    return str(request.method) if request.method in METHODS else "other"


def route_of(request: HttpRequest) -> str:
    """The name of the route, never what somebody sent: there are as many as there are routes."""
    match = request.resolver_match
    return (match.view_name or "unnamed") if match else "none"


def answer(request: HttpRequest) -> HttpResponse:
    """All metrics, for who may read them; else as if there were none."""
    if request.method not in ("GET", "HEAD") or not may_read(request):
        return HttpResponseNotFound()
    body = b"".join(generate_latest(registry) for registry in (_requests(), STORED))
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def may_read(request: HttpRequest) -> bool:
    """Whether a token is set, and the request has it."""
    token: str = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "")
    return bool(token) and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


def _requests() -> CollectorRegistry:
    """What the processes of this machine counted."""
    if not settings.METRICS_FOLDER:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=settings.METRICS_FOLDER)
    return registry


# ---- What is stored ----


@dataclass(frozen=True)
class StoredGauge:
    """A gauge whose values one statement gives: the label's value, if it has one, before the value. Each is
    answered from an index that holds what is open alone, however much is done."""

    name: str
    help: str
    sql: str
    label: str = ""


def _by_state(table: str, *states: str) -> str:
    named = ", ".join(f"('{state}')" for state in states)
    return (
        f"SELECT s.state, (SELECT count(*) FROM {table} t WHERE t.status = s.state)"  # noqa: S608
        f" FROM (VALUES {named}) AS s (state)"
    )


def _age(column: str, source: str) -> str:
    age = f"extract(epoch FROM clock_timestamp() - min({column}))"
    return f"SELECT coalesce(greatest(0, {age}), 0) FROM {source}"  # noqa: S608


GAUGES = (
    StoredGauge(
        "crm_outbox_rows",
        "Statements whose changes wait for the consumers.",
        "SELECT count(*) FROM core_outbox",
    ),
    StoredGauge("crm_outbox_age_seconds", "Age of the oldest of them.", _age("at", "core_outbox")),
    StoredGauge(
        "crm_failed_dispatches",
        "Changes that a consumer refused: waiting for another try, or given up.",
        "SELECT s.state, (SELECT count(*) FROM core_faileddispatch f WHERE (f.due_at IS NULL)"
        " = (s.state = 'given_up')) FROM (VALUES ('waiting'), ('given_up')) AS s (state)",
        "state",
    ),
    StoredGauge(
        "crm_workflow_runs",
        "Runs of workflows that are open or in trouble.",
        _by_state(
            "core_workflowexecution",
            "queued",
            "running",
            "waiting",
            "held",
            "failed",
            "dead",
            "stopped_limit",
        ),
        "state",
    ),
    StoredGauge(
        "crm_webhook_deliveries",
        "Webhooks on their way.",
        _by_state("core_webhookdelivery", "queued", "sending"),
        "state",
    ),
    StoredGauge(
        "crm_webhook_delivery_age_seconds",
        "How long the longest overdue webhook has been due.",
        _age("due_at", "core_webhookdelivery WHERE status IN ('queued', 'sending')"),
    ),
    StoredGauge(
        "crm_webhook_failures_last_hour",
        "Webhooks of the last hour that were given up.",
        "SELECT count(*) FROM core_webhookdelivery"
        " WHERE created_at > now() - interval '1 hour' AND status = 'failed'",
    ),
    StoredGauge("crm_mails", "Mail on its way.", _by_state("core_emailmessage", "queued"), "state"),
    StoredGauge(
        "crm_mail_age_seconds",
        "How long the longest overdue mail has been due.",
        _age("due_at", "core_emailmessage WHERE status = 'queued'"),
    ),
    StoredGauge(
        "crm_notification_deliveries",
        "Notifications on their way by e-mail, push or SMS.",
        _by_state("core_delivery", "queued"),
        "state",
    ),
    StoredGauge("crm_imports", "Open imports.", _by_state("core_importjob", "pending", "running"), "state"),
    StoredGauge(
        "crm_import_age_seconds",
        "Age of the oldest open import.",
        _age("created_at", "core_importjob WHERE status IN ('pending', 'running')"),
    ),
    StoredGauge("crm_exports", "Open exports.", _by_state("core_exportjob", "pending", "running"), "state"),
    StoredGauge(
        "crm_privacy_request_age_seconds",
        "Age of the oldest open request of a person.",
        _age("created_at", "core_privacyrequest WHERE status IN ('pending', 'running')"),
    ),
    StoredGauge(
        "crm_sessions",
        "Sessions that are live.",
        "SELECT s.kind, (SELECT count(*) FROM core_session t WHERE t.kind = s.kind"
        " AND t.ended_at IS NULL AND t.expires_at > now()) FROM (VALUES ('api'), ('admin')) AS s (kind)",
        "kind",
    ),
    StoredGauge(
        "crm_scoring_model_age_seconds",
        "Age of the model that scores.",
        "SELECT entity, extract(epoch FROM now() - max(created_at)) FROM core_scoringmodel"
        " WHERE status = 'active' GROUP BY entity",
        "entity",
    ),
)
LAG = {
    "oldest_due_step_s": ("crm_workflow_step_age_seconds", "How long the longest overdue step has been due."),
    "expired_leases": ("crm_workflow_expired_leases", "Runs whose worker is gone."),
}


class StoredCollector(Collector):
    """All that is stored, kept for some seconds; `crm_metrics_complete` is 0 while some of it is missing."""

    def __init__(self) -> None:
        self._lock, self._kept, self._until = Lock(), [], 0.0

    _kept: list[GaugeMetricFamily]

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._kept = list(_collected())
                self._until = time.monotonic() + KEPT_S
            yield from self._kept


def _collected() -> Iterator[GaugeMetricFamily]:
    complete = True
    for probe in (_stored_gauges, _lag_gauges, _valkey_gauges):
        try:
            yield from list(probe())
        except (DatabaseError, redis.RedisError):
            complete = False
    yield GaugeMetricFamily(
        "crm_metrics_complete", "1 where the database and Valkey answered.", value=float(complete)
    )


def _stored_gauges() -> Iterator[GaugeMetricFamily]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(STATEMENT_MS)])
        for gauge in GAUGES:
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=[gauge.label] if gauge.label else [])
            cursor.execute(gauge.sql)
            for *labels, value in cursor.fetchall():
                family.add_metric([str(label) for label in labels], float(value))
            yield family


def _lag_gauges() -> Iterator[GaugeMetricFamily]:
    found: dict[str, Any] = work_turn.lag()
    for key, (name, text) in LAG.items():
        yield GaugeMetricFamily(name, text, value=float(found[key]))


def _valkey_gauges() -> Iterator[GaugeMetricFamily]:
    family = GaugeMetricFamily("crm_queue_messages", "Messages that wait for a worker.", labels=["queue"])
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as client:
        for queue in QUEUES:
            family.add_metric([queue], float(client.llen(queue)))
    yield family
    drift = GaugeMetricFamily(
        "crm_scoring_model_warnings", "What the last check found drifted.", labels=["entity"]
    )
    for entity, count in last_warnings().items():
        drift.add_metric([entity], float(count))
    yield drift


STORED = CollectorRegistry()
STORED.register(StoredCollector())
