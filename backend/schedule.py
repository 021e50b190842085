"""What Celery beat rings for, and how often.

Sweeps for what a lost doorbell left; a message that found no worker in its time is not worth keeping.
"""

from datetime import timedelta
from typing import Any

from celery.schedules import crontab
from django.conf import settings


def configured() -> dict[str, Any]:
    """What the settings say when to ring for."""
    return {
        "retrain-lead-scoring": {
            "task": "core.tasks.retrain_lead_scoring_model",
            "schedule": crontab.from_string(settings.LEAD_SCORING_RETRAIN_SCHEDULE),
        },
    }


SCHEDULE = {
    "sweep-transfers": {
        "task": "core.tasks.sweep_transfers",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 10},
    },
    "dispatch-changes": {
        "task": "core.tasks.dispatch_changes",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 10},
    },
    "sweep-notifications": {
        "task": "core.tasks.sweep_notifications",
        "schedule": timedelta(seconds=15),
        "options": {"expires": 30},
    },
    "check-overdue": {
        "task": "core.tasks.check_overdue",
        "schedule": crontab(minute="*/30"),
    },
    # Every five minutes it is eight o'clock in some zone; each user's local day is marked.
    "send-digests": {
        "task": "core.tasks.send_digests",
        "schedule": crontab(minute="*/5"),
        "options": {"expires": 240},
    },
    "sweep-automation": {
        "task": "core.tasks.sweep_automation",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 10},
    },
    "prune-automation": {
        "task": "core.tasks.prune_automation",
        "schedule": timedelta(hours=6),
    },
    "forget-idempotency-keys": {
        "task": "core.tasks.forget_idempotency_keys",
        "schedule": timedelta(hours=1),
    },
    "forget-notifications": {
        "task": "core.tasks.forget_notifications",
        "schedule": timedelta(days=1),
    },
    "forget-import-rows": {
        "task": "core.tasks.forget_import_rows",
        "schedule": timedelta(days=1),
    },
    "forget-sessions": {
        "task": "core.tasks.forget_sessions",
        "schedule": timedelta(days=1),
    },
    "sweep-scoring": {
        "task": "core.tasks.sweep_scoring",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 30},
    },
    # Leads grow older by themselves: what depends on time is scored anew every night.
    "score-all-leads": {
        "task": "core.tasks.bulk_score_leads",
        "schedule": crontab(hour=3, minute=15),
    },
    "watch-lead-scoring": {
        "task": "core.tasks.watch_lead_scoring",
        "schedule": crontab(hour=4, minute=30),
    },
}
