"""What happens to runs at the same time: real threads with connections of their own."""

import random
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from core.activities.models import Comment
from core.changes import ChangeBatch
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.errors import ConflictError
from core.workflows import claiming, engine, matching, operations, sweeps, work_turn
from core.workflows.actions import Action, StepResult, actions
from core.workflows.models import Workflow, WorkflowExecution, WorkflowStep
from lead_management.models import Lead

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 5


@pytest.fixture
def slow():
    """An action that takes a random while and notes when it began."""

    class Slow(Action):
        name = "slow"
        began = []

        def run(self, step):
            self.began.append((step.run.pk, timezone.now()))
            time.sleep(random.random() / 100)  # noqa: S311
            return StepResult({})

    actions.register("slow", Slow())
    yield Slow
    del actions._items["slow"]


@pytest.fixture
def working():
    """working(job, threads=3) → a context in which threads do job(stopped) again and again."""

    class Working:
        def __init__(self, job, threads=3):
            self.stop = threading.Event()
            self.threads = [threading.Thread(target=self.work, args=(job,)) for _ in range(threads)]

        def work(self, job):
            try:
                while not self.stop.is_set():
                    if not job(self.stop.is_set):
                        time.sleep(0.005)
            finally:
                connections.close_all()

        def __enter__(self):
            for thread in self.threads:
                thread.start()
            return self

        def __exit__(self, *error):
            self.stop.set()
            for thread in self.threads:
                thread.join()

    return Working


def until(question, seconds=60):
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, list(WorkflowExecution.objects.values_list("status", "error"))[:5]
        time.sleep(0.01)


def outcome(work):
    """What a call gave back, or the code of the conflict it met."""
    try:
        return work()
    except ConflictError as error:
        return error.code


# -- once


def test_one_change_delivered_twenty_times_in_parallel_starts_one_run(make_workflow, make_lead, at_once):
    make_workflow([("add_tag", {"tag": "x"})])
    make_lead()
    ids = list(Change.objects.filter(entity="lead").values_list("pk", flat=True))
    at_once(*[lambda: matching.consume(ChangeBatch("lead", True, ids))] * 20)
    assert WorkflowExecution.objects.count() == 1


# -- retries


def test_of_two_retries_at_once_one_wins_and_the_step_is_done_once(make_workflow, make_lead, at_once, slow):
    make_workflow([("add_tag", {"tag": "x"}), ("slow", {})])
    for _ in range(ROUNDS):
        make_lead()
    dispatch()
    engine.run_due()
    before = len(slow.began)
    WorkflowExecution.objects.update(status="failed", cursor=1)
    for run in WorkflowExecution.objects.order_by("pk"):
        answers = at_once(*[lambda run=run: outcome(lambda: operations.retry(run))] * 2)
        assert sorted(answers, key=str) == [None, "not_failed"]
    at_once(*[engine.run_due] * 3)
    assert len(slow.began) - before == ROUNDS
    assert set(WorkflowExecution.objects.values_list("status", flat=True)) == {"completed"}


def test_a_bulk_retry_and_a_single_one_at_once_queue_each_run_once(make_workflow, make_lead, at_once, slow):
    make_workflow([("slow", {})])
    for _ in range(6):
        make_lead()
    dispatch()
    WorkflowExecution.objects.update(status="dead", finished_at=timezone.now())
    first = WorkflowExecution.objects.earliest("pk")
    many, one = at_once(
        lambda: operations.retry_many(WorkflowExecution.objects.all()),
        lambda: outcome(lambda: operations.retry(first)),
    )
    assert (many, one) in ((6, "not_failed"), (5, None))
    at_once(*[engine.run_due] * 3)
    assert len(slow.began) == 6


# -- cancelling


def test_after_a_cancellation_at_any_moment_no_step_starts(make_workflow, make_lead, working, slow):
    # Each wait ends a transaction: between them a cancellation finds its place.
    workflow = make_workflow([("slow", {}), ("wait", {"seconds": 0})] * 45, trigger="manual")
    lead = make_lead()
    with working(lambda stopped: engine.run_due(stopped=stopped)):
        for _ in range(ROUNDS):
            run = engine.queue_workflow(workflow, {"lead_id": lead.pk})
            time.sleep(random.random() / 20)  # noqa: S311
            operations.cancel(run)
            cancelled = timezone.now()
            time.sleep(0.1)
            assert not [at for pk, at in slow.began if pk == run.pk and at > cancelled]
            assert WorkflowStep.objects.filter(execution=run).count() < 90
    assert set(WorkflowExecution.objects.values_list("status", flat=True)) == {"cancelled"}


# -- order


def test_fifty_changes_of_each_record_are_handled_in_their_order_by_many_workers(
    make_workflow, make_lead, working, slow
):
    make_workflow([("slow", {}), ("add_comment", {"body": "{{ run.id }}"})], trigger="record_updated")
    leads = [make_lead() for _ in range(3)]
    with working(work_turn.work_turn, threads=4):
        for n in range(50):
            Lead.objects.filter(pk__in=[lead.pk for lead in leads]).update(call_attempts=n + 1)
        until(lambda: WorkflowExecution.objects.filter(status="completed").count() == 150)
    for lead in leads:
        rows = Comment.objects.filter(entity="lead", object_id=lead.pk).order_by("pk")
        done = [int(body) for body in rows.values_list("body", flat=True)]
        assert len(done) == 50
        assert done == sorted(done)


# -- a flood


def test_a_flood_of_ten_thousand_runs_does_not_hold_up_one_by_hand(make_workflow, make_lead, working):
    make_workflow([("add_tag", {"tag": "flood"}), ("add_comment", {"body": "x"})])
    by_hand = make_workflow([("add_comment", {"body": "now"})], trigger="manual", name="By hand")
    lead = make_lead()
    Lead.objects.bulk_create([Lead(first_name=f"L{n}") for n in range(10_000)])
    with working(work_turn.work_turn, threads=1):
        until(lambda: WorkflowExecution.objects.exists())
        overtaken = []
        for _ in range(5):
            run = engine.queue_workflow(by_hand, {"lead_id": lead.pk})
            until(lambda run=run: WorkflowExecution.objects.get(pk=run.pk).status == "completed")
            run.refresh_from_db()
            flood = WorkflowExecution.objects.exclude(workflow=by_hand)
            overtaken.append(flood.filter(started_at__range=(run.created_at, run.started_at)).count())
            time.sleep(0.3)
        assert flood.filter(status="queued").exists(), "the flood was still there"
    # What the worker had claimed already, and what it claimed together with the run.
    assert max(overtaken) <= 2 * claiming.BATCH
    # Behind what is done by hand, and none of it dropped.
    assert set(flood.values_list("priority", flat=True)) == {9, 5}
    assert flood.filter(status__in=("queued", "running", "completed")).count() == 10_001


# -- schedules


def test_two_schedulers_at_once_run_each_tick_once(make_workflow, at_once, monkeypatch):
    every_minute = {"cron": "* * * * *", "time_zone": "Europe/Berlin", "catch_up": "all"}
    note = [("send_notification", {"message": "tick"})]
    workflow = make_workflow(note, trigger="schedule", model="", settings=every_minute)
    since = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    for minutes in range(30, 60, 6):
        # Behind what was swept already, too: the key of a tick is what makes it come once.
        Workflow.objects.filter(pk=workflow.pk).update(swept_until=since)
        monkeypatch.setattr(
            sweeps, "database_now", lambda minutes=minutes: since + timedelta(minutes=minutes)
        )
        at_once(*[sweeps.sweep] * 4)
    keys = list(WorkflowExecution.objects.order_by("event_key").values_list("event_key", flat=True))
    wanted = [since + timedelta(minutes=n) for n in range(1, 55)]
    assert keys == [f"tick:{at:%Y-%m-%dT%H:%M}" for at in wanted]


def test_a_scheduler_that_dies_before_its_commit_leaves_the_tick_to_the_next(make_workflow, monkeypatch):
    note = [("send_notification", {"message": "tick"})]
    workflow = make_workflow(note, trigger="schedule", model="", settings={"cron": "* * * * *"})
    Workflow.objects.filter(pk=workflow.pk).update(swept_until=timezone.now() - timedelta(minutes=1))
    real = sweeps._start_tick

    def dies(*args):
        assert real(*args) == 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sweeps, "_start_tick", dies)
        with pytest.raises(KeyboardInterrupt):
            sweeps.sweep()
    assert not WorkflowExecution.objects.exists()
    assert [sweeps.sweep(), sweeps.sweep()] == [1, 0]
