"""Celery beat's schedule: which task is enqueued how often.

Sweeps find what was left over when a message was lost. A message that no worker takes in time expires.
"""

from datetime import timedelta
from typing import Any

from celery.schedules import crontab
from django.conf import settings


def every(task: str, schedule: Any, *, expires_s: int = 0) -> dict[str, Any]:
    """An entry of beat's schedule: a task of core's, when, and after how many seconds its message expires
    (0: never)."""
    entry = {"task": f"core.tasks.{task}", "schedule": schedule}
    return entry | ({"options": {"expires": expires_s}} if expires_s else {})


def configured() -> dict[str, Any]:
    """The entries whose times are settings."""
    schedule = crontab.from_string(settings.LEAD_SCORING_RETRAIN_SCHEDULE)
    return {"retrain-lead-scoring": every("retrain_lead_scoring_model", schedule)}


SECONDS = timedelta(seconds=1)
DAY = timedelta(days=1)
SCHEDULE = {
    "sweep-transfers": every("sweep_transfers", 5 * SECONDS, expires_s=10),
    "dispatch-changes": every("dispatch_changes", 5 * SECONDS, expires_s=10),
    "seal-changes": every("seal_changes", 60 * SECONDS, expires_s=60),
    "sweep-notifications": every("sweep_notifications", 15 * SECONDS, expires_s=30),
    "check-overdue": every("check_overdue", crontab(minute="*/30")),
    # Every five minutes it is eight o'clock in some zone; each user's local day is marked.
    "send-digests": every("send_digests", crontab(minute="*/5"), expires_s=240),
    "sweep-automation": every("sweep_automation", 5 * SECONDS, expires_s=10),
    "prune": every("prune", DAY / 4),
    "forget-idempotency-keys": every("forget_idempotency_keys", DAY / 24),
    "forget-notifications": every("forget_notifications", DAY),
    "forget-merges": every("forget_merges", DAY),
    "forget-shares": every("forget_shares", DAY),
    "find-duplicates": every("find_duplicates", 30 * SECONDS, expires_s=30),
    "compare-all-duplicates": every(
        "compare_all_duplicates", crontab(day_of_week="sunday", hour=2, minute=30)
    ),
    "fold-record-counts": every("fold_record_counts", 30 * SECONDS, expires_s=30),
    "match-companies": every("match_companies", 30 * SECONDS, expires_s=30),
    "match-all-companies": every("match_all_companies", crontab(day_of_week="sunday", hour=1, minute=45)),
    "sweep-privacy-requests": every("sweep_privacy_requests", 30 * SECONDS, expires_s=30),
    "forget-stray-files": every("forget_stray_files", DAY / 24),
    "forget-import-rows": every("forget_import_rows", DAY),
    "send-password-mails": every("send_password_mails", 30 * SECONDS, expires_s=60),
    "forget-sessions": every("forget_sessions", DAY),
    "sweep-scoring": every("sweep_scoring", 30 * SECONDS, expires_s=30),
    # Leads grow older by themselves: what depends on time is scored anew every night.
    "score-all-leads": every("bulk_score_leads", crontab(hour=3, minute=15)),
    # The European Central Bank publishes its rates of a working day at about 16:00 in Frankfurt.
    "fetch-exchange-rates": every("fetch_exchange_rates", crontab(hour=16, minute=30)),
    "watch-lead-scoring": every("watch_lead_scoring", crontab(hour=4, minute=30)),
}
