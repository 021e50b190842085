"""What Celery beat rings for, and how often.

Sweeps for what a lost doorbell left; a message that found no worker in its time is not worth keeping.
"""

from datetime import timedelta

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
    "forget-idempotency-keys": {
        "task": "core.tasks.forget_idempotency_keys",
        "schedule": timedelta(hours=1),
    },
    "forget-sessions": {
        "task": "core.tasks.forget_sessions",
        "schedule": timedelta(days=1),
    },
}
