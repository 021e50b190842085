"""What Celery beat rings for, and how often.

Sweeps for what a lost doorbell left; a message that found no worker in its time is not worth keeping.
"""

from datetime import timedelta

from celery.schedules import crontab

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
    "forget-sessions": {
        "task": "core.tasks.forget_sessions",
        "schedule": timedelta(days=1),
    },
}
