"""Periodic tasks work in bounded turns: what a turn leaves is for the next, which it asks for."""

import inspect
from datetime import timedelta

import pytest
from celery import current_app
from django.utils import timezone

from backend.schedule import SCHEDULE
from core import jobs
from core.accounts import tasks as account_tasks
from core.accounts.models import Session
from core.api.models import IdempotencyKey
from core.duplicates import tasks as duplicate_tasks
from core.jobs import Turn
from core.transfer import tasks as transfer_tasks

pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - timedelta(days=4_000)
# What does a fixed number of statements, however much there is to do, or takes its turns elsewhere.
WITHOUT = {
    "check_overdue": "one statement for each column of due times",
    "compare_all_duplicates": "a row for each entity",
    "match_all_companies": "a row for each entity",
    "fetch_exchange_rates": "the rates of one day",
    "send_password_mails": "one claimed batch",
    "sweep_automation": "core.workflows.work_turn has the turn",
    "sweep_transfers": "it enqueues",
    "sweep_privacy_requests": "it enqueues",
    "sweep_scoring": "it enqueues",
    "bulk_score_leads": "it begins a job, which works in turns",
    "watch_lead_scoring": "a sample",
}


def test_every_scheduled_task_works_in_turns_or_says_why_not():
    names = {entry["task"].rpartition(".")[2] for entry in SCHEDULE.values()}
    without = {
        name
        for name in names
        if "Turn(" not in inspect.getsource(current_app.tasks[f"core.tasks.{name}"].run)
    }
    assert without == WITHOUT.keys()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (account_tasks, "forget_sessions"),
        (account_tasks, "forget_idempotency_keys"),
        (duplicate_tasks, "forget_merges"),
        (transfer_tasks, "forget_import_rows"),
        (transfer_tasks, "forget_stray_files"),
    ],
)
def test_a_turn_that_is_over_asks_for_the_next(monkeypatch, module, name):
    asked = []
    monkeypatch.setattr(jobs, "enqueue", lambda name, *args: asked.append(name))
    monkeypatch.setattr(module, "Turn", lambda: Turn(0))
    assert getattr(module, name)() == 0
    assert asked == [f"core.tasks.{name}"]
    monkeypatch.setattr(module, "Turn", Turn)
    getattr(module, name)()
    assert asked == [f"core.tasks.{name}"]


def test_rows_are_deleted_in_parts_the_oldest_first(rep, monkeypatch):
    monkeypatch.setattr(jobs, "DELETED_AT_ONCE", 2)
    IdempotencyKey.objects.bulk_create(
        IdempotencyKey(user=rep, key=f"key {n}", status=200, body=b"") for n in range(5)
    )
    over = iter([False, False, True])
    rows = IdempotencyKey.objects.all()
    assert jobs.delete(rows, Turn(1_000, stopped=lambda: next(over))) == 4
    assert list(rows.values_list("key", flat=True)) == ["key 4"]
    assert jobs.delete(rows, Turn()) == 1
    assert not rows.exists()


def test_sessions_that_are_not_old_stay(rep):
    now = timezone.now()
    Session.objects.bulk_create(Session(user=rep, expires_at=at) for at in (LONG_AGO, LONG_AGO, now))
    assert account_tasks.forget_sessions() == 2
    assert Session.objects.get().expires_at == now
