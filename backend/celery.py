"""The Celery application: `celery -A backend worker`, `celery -A backend beat`."""

import os
from typing import Any

from celery import Celery, signals
from django.utils import translation

from backend.env import problems_as_a_sentence
from backend.launch import ensure_services, refuse_unsafe_start
from backend.schedule import SCHEDULE
from core import jobs
from core.labels import MACHINE_LANGUAGE

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")

QUEUES = ("default", "automation", "delivery", "scoring", "transfer")
AUTOMATION = (
    "dispatch_changes",
    "run_workflows",
    "execute_workflow",
    "sweep_automation",
)
# What speaks to servers of others, which may be slow or away.
DELIVERY = ("send_mail", "send_notifications", "deliver_webhooks")
VISIBILITY_SECONDS = 300  # nothing is scheduled further ahead, and no task may run as long

SCORING = (
    "score_lead",
    "bulk_score_leads",
    "retrain_lead_scoring_model",
    "run_scoring_job",
    "score_pending_leads",
)
TRANSFER = ("run_import", "run_export", "run_privacy_request")
BY_QUEUE = {"automation": AUTOMATION, "delivery": DELIVERY, "scoring": SCORING, "transfer": TRANSFER}
ROUTES = {f"core.tasks.{name}": {"queue": queue} for queue, names in BY_QUEUE.items() for name in names}

# A message, never the state (docs/architecture.md): what is due is a row in PostgreSQL.
HABITS = {
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_publish_retry": False,
    "task_default_queue": "default",
    "task_queues": {name: {"exchange": name, "routing_key": name} for name in QUEUES},
    "task_create_missing_queues": False,
    "task_routes": ROUTES,
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "worker_soft_shutdown_timeout": 20,
    "worker_enable_soft_shutdown_on_idle": True,
    "worker_eta_task_limit": 100,  # we send none: reaching it is an alarm
    "worker_max_tasks_per_child": 1000,
    "worker_hijack_root_logger": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "visibility_timeout": VISIBILITY_SECONDS,
        "socket_connect_timeout": 1,
        "max_retries": 0,  # of a connection: a request that enqueues waits for no broker
        "socket_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "global_keyprefix": "crm:",
    },
    "visibility_timeout": VISIBILITY_SECONDS,
    "beat_scheduler": "backend.scheduler:Scheduler",
    "beat_schedule": SCHEDULE,
    "beat_max_loop_interval": 5,
    "timezone": "UTC",
    "enable_utc": True,
}

app = Celery("backend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(HABITS)
app.autodiscover_tasks()


@signals.celeryd_init.connect
def prepare_process(**kwargs: Any) -> None:
    """Before a worker takes up work, or beat (backend.scheduler): servers running, configuration fit."""
    with problems_as_a_sentence():
        ensure_services()
        refuse_unsafe_start()
    limit_statements()


def limit_statements() -> None:
    from backend.postgresql import time_limits  # reads the settings, which must be named first

    time_limits.for_jobs()


@signals.task_prerun.connect
def work_in_english(**kwargs: Any) -> None:
    """What tasks store is the same whatever LANGUAGE_CODE is; what they send is in its reader's language."""
    translation.activate(MACHINE_LANGUAGE)


@signals.worker_shutting_down.connect
def end_soon(**kwargs: Any) -> None:
    """SIGTERM: a task that works off rows ends after the one at hand and leaves the rest to others."""
    jobs.request_shutdown()
