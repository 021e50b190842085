"""The outbox: every change reaches every consumer, whatever dies or refuses on the way."""

import threading
from datetime import timedelta

import pytest
import time_machine
from celery import current_app
from django.db import connection, transaction
from django.utils import timezone

from core.changes import audit_context, dead_letters
from core.changes.dispatch import ChangeBatch, consumers, dispatch, dispatch_once
from core.changes.models import Change, FailedDispatch, Outbox
from core.changes.outbox_sql import oldest_age_s
from core.jobs import Turn
from core.notifications.models import Notification
from core.notifications.tests.factories import DeliveryFactory, NotificationFactory
from lead_management.models import Lead

pytestmark = pytest.mark.django_db


class Recorder:
    """A consumer that remembers what it was given and refuses what it is told to."""

    def __init__(self) -> None:
        self.batches: list[ChangeBatch] = []
        self.refused: set[int] = set()
        self.calls = 0

    def __call__(self, batch: ChangeBatch) -> None:
        self.calls += 1
        if self.refused & set(batch.ids):
            raise ValueError("cannot take this")
        self.batches.append(batch)

    @property
    def ids(self) -> list[int]:
        return [pk for batch in self.batches for pk in batch.ids]


@pytest.fixture
def only(db, monkeypatch):
    """only(a=…, b=…): the consumers there are while the test runs; the outbox starts empty."""
    Outbox.objects.all().delete()

    def replace(**given):
        monkeypatch.setattr(consumers, "_items", given)

    return replace


@pytest.fixture
def recorder(only):
    made = Recorder()
    only(recorder=made)
    return made


def leads(count):
    return Lead.objects.bulk_create([Lead(first_name=f"Lead {i}") for i in range(count)])


def change_ids():
    return list(Change.objects.filter(entity="lead").order_by("id").values_list("pk", flat=True))


def test_changes_are_fed_in_the_order_they_were_made(recorder):
    lead = leads(1)[0]
    for status in ("contacted", "qualified"):
        Lead.objects.filter(pk=lead.pk).update(status=status)
    assert dispatch() == 3
    assert recorder.ids == change_ids()
    assert [c.kind for c in recorder.batches[0].changes] == ["created", "updated", "updated"]
    assert dispatch() == 0


def test_changes_are_grouped_by_entity_and_by_whether_automation_is_wanted(recorder, make_user):
    make_user("rep")
    leads(2)
    with audit_context(automation=False):
        leads(1)
    dispatch()
    got = {(b.entity, b.automation): len(b.ids) for b in recorder.batches}
    assert got == {("user", True): 1, ("lead", True): 2, ("lead", False): 1}


def test_a_large_statement_is_one_outbox_row_taken_in_parts(recorder, settings):
    settings.CRM = {"DISPATCH_BATCH": 4}
    leads(10)
    row = Outbox.objects.get()
    assert (row.entity, row.rows) == ("lead", 10)
    assert dispatch_once() == 4
    assert Outbox.objects.get().min_id == row.min_id + 4
    assert [dispatch_once(), dispatch_once(), dispatch_once()] == [4, 2, None]
    assert [len(b.ids) for b in recorder.batches] == [4, 4, 2]
    assert recorder.ids == change_ids()


def test_a_part_that_ends_with_the_row_leaves_none_of_it(recorder, settings):
    settings.CRM = {"DISPATCH_BATCH": 5}
    leads(5)
    leads(5)
    assert [dispatch_once(), dispatch_once(), dispatch_once()] == [5, 5, None]
    assert recorder.ids == change_ids()


def test_outbox_rows_of_erased_changes_do_not_stop_the_line(recorder):
    leads(1)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL crm.maintenance = 'on'")
        cursor.execute("DELETE FROM core_change")
        cursor.execute("SET LOCAL crm.maintenance = 'off'")
    assert dispatch_once() == 0
    leads(1)
    assert dispatch() == 1
    assert not Outbox.objects.exists()


def test_a_limit_is_the_number_of_transactions(recorder, settings):
    settings.CRM = {"DISPATCH_BATCH": 1}
    leads(3)
    assert dispatch(limit=2) == 2
    assert len(recorder.ids) == 2


def test_one_poisoned_change_is_put_aside_and_all_others_are_fed(recorder):
    leads(40)
    ids = change_ids()
    recorder.refused = {ids[17]}
    assert dispatch() == 40
    assert sorted(recorder.ids) == [pk for pk in ids if pk != ids[17]]
    kept = FailedDispatch.objects.get()
    assert (kept.consumer, kept.entity, kept.change_ids) == ("recorder", "lead", [ids[17]])
    assert (kept.attempts, kept.error) == (1, "ValueError: cannot take this")
    assert not Outbox.objects.exists()


def test_a_poisoned_consumer_holds_up_no_other(only):
    broken, healthy = Recorder(), Recorder()
    only(broken=broken, healthy=healthy)
    leads(30)
    broken.refused = set(change_ids())
    dispatch()
    assert healthy.ids == change_ids()
    assert broken.calls <= 45
    assert sorted(pk for row in FailedDispatch.objects.all() for pk in row.change_ids) == change_ids()


def test_what_a_refusing_consumer_wrote_is_undone(only, rep):
    def writes_then_fails(batch):
        type(rep).objects.filter(pk=rep.pk).update(first_name="half done")
        raise ValueError

    only(bad=writes_then_fails)
    leads(1)
    dispatch()
    rep.refresh_from_db()
    assert rep.first_name == ""


@pytest.mark.django_db(transaction=True)
def test_what_only_the_commit_would_refuse_holds_up_no_other(only, rep):
    reported = NotificationFactory(recipient=rep, type="mention", title="Hello")
    DeliveryFactory(notification=reported, channel="email")
    sound = Recorder()

    def orphaning(batch):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM core_notification")

    only(a=orphaning, b=sound)
    leads(2)
    dispatch()
    assert set(change_ids()) < set(sound.ids)
    assert Notification.objects.count() == 1
    assert {failed.consumer for failed in FailedDispatch.objects.all()} == {"a"}


def test_what_was_put_aside_is_fed_again_when_it_is_due_and_the_cause_is_mended(recorder):
    leads(3)
    ids = change_ids()
    recorder.refused = {ids[1]}
    dispatch()
    assert dispatch() == 0, "not due yet"
    recorder.refused = set()
    with time_machine.travel(timezone.now() + timedelta(seconds=6), tick=False):
        assert dispatch() == 1
    assert sorted(recorder.ids) == ids
    assert not FailedDispatch.objects.exists()


def test_tries_grow_rarer_and_end(recorder):
    leads(1)
    recorder.refused = set(change_ids())
    pauses, now = [], timezone.now()
    for _ in range(dead_letters.MAX_ATTEMPTS):
        with time_machine.travel(now, tick=False):
            dispatch()
            due = FailedDispatch.objects.get().due_at
        if due:
            pauses.append((due - now).total_seconds())
            now = due
    assert pauses == [5, 15, 45, 135, 405, 1215, 3645, 10935, 32805]
    given_up = FailedDispatch.objects.get(due_at=None)
    assert (given_up.attempts, given_up.due_at) == (10, None)
    with time_machine.travel(now + timedelta(days=365), tick=False):
        assert dispatch() == 0


def test_the_age_of_the_oldest_waiting_change_is_known():
    Outbox.objects.all().delete()
    assert oldest_age_s() == 0
    leads(1)
    Outbox.objects.update(at=timezone.now() - timedelta(seconds=90))
    assert 85 < oldest_age_s() < 95


def test_the_sweep_is_scheduled_for_what_a_lost_message_left():
    schedule = current_app.conf.beat_schedule.values()
    swept = {entry["task"]: entry["schedule"] for entry in schedule}
    assert swept["core.tasks.dispatch_changes"] <= timedelta(seconds=5)


class DiedError(BaseException):
    """A process that is killed in the middle of its work, as far as one process can play it."""


@pytest.mark.django_db(transaction=True)
def test_a_dispatcher_that_dies_after_claiming_loses_nothing(only):
    survivor = Recorder()

    def dies(batch):
        raise DiedError

    leads(3)
    only(before=survivor, dies=dies)
    with pytest.raises(DiedError):
        dispatch()
    assert Outbox.objects.count() == 1
    fed = Recorder()
    only(recorder=fed)
    assert dispatch() == 3
    assert fed.ids == change_ids()


@pytest.mark.django_db(transaction=True)
def test_two_dispatchers_at_once_feed_each_change_once_and_in_order(only, settings):
    settings.CRM = {"DISPATCH_BATCH": 7}
    fed, lock = [], threading.Lock()

    def consume(batch):
        with lock:
            fed.extend(batch.ids)

    only(consumer=consume)
    for _ in range(20):
        leads(3)
    start = threading.Barrier(4)

    def run():
        start.wait()
        dispatch()
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fed == change_ids()
    assert not Outbox.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_change_committed_while_a_dispatcher_works_is_fed_by_it_though_the_second_one_leaves(recorder):
    """The second dispatcher finds the lock taken and goes; the first looks again before it ends."""
    leads(1)
    entered, go_on = threading.Event(), threading.Event()
    plain = Recorder.__call__

    class Slow(Recorder):
        def __call__(self, batch):
            entered.set()
            go_on.wait(10)
            plain(self, batch)

    slow = Slow()
    consumers._items["recorder"] = slow
    thread = threading.Thread(target=lambda: (dispatch(), connection.close()))
    thread.start()
    assert entered.wait(10)
    leads(1)
    assert dispatch() == 0
    go_on.set()
    thread.join()
    assert slow.ids == change_ids()
    assert len(slow.ids) == 2


@pytest.mark.django_db(transaction=True)
def test_a_rollback_leaves_nothing_to_feed(recorder):
    with transaction.atomic():
        leads(2)
        transaction.set_rollback(True)
    assert dispatch() == 0
    assert not Outbox.objects.exists()


def flood(number, **fields):
    """One statement that makes many leads, as an import does."""
    from core.changes import audit_context

    with audit_context():
        return Lead.objects.bulk_create(Lead(first_name=str(n), **fields) for n in range(number))


def test_a_persons_change_goes_before_a_flood_and_the_flood_goes_on(recorder, settings):
    settings.CRM = {"DISPATCH_BATCH": 500}
    many = flood(1_100)
    leads(1)
    single = change_ids()[-1]
    assert dispatch_once() == 1
    assert recorder.ids == [single]
    assert dispatch_once(singles_first=False) == 500
    assert dispatch() == 600
    assert sorted(recorder.ids) == change_ids()
    assert len(many) == 1_100


def test_a_change_of_a_record_in_the_flood_waits_for_its_own_before(recorder, settings):
    settings.CRM = {"DISPATCH_BATCH": 500}
    many = flood(1_100)
    Lead.objects.filter(pk=many[-1].pk).update(city="Oslo")
    dispatch()
    assert recorder.ids == change_ids(), "in the order they were made"


def test_a_turn_that_is_over_leaves_the_rest(recorder, settings):
    settings.CRM = {"DISPATCH_BATCH": 1}
    leads(3)
    clock = iter([False, True])
    turn = Turn(1_000, stopped=lambda: next(clock))
    assert dispatch(turn=turn) == 1
    assert dispatch() == 2


def test_a_task_that_did_not_finish_asks_for_its_next_turn(recorder, settings, monkeypatch):
    from core.workflows import tasks

    settings.CRM = {"DISPATCH_BATCH": 1}
    leads(3)
    asked = []
    monkeypatch.setattr("core.jobs.enqueue", lambda name, *args: asked.append(name))
    monkeypatch.setattr(tasks, "DISPATCH_S", 0)
    assert tasks.dispatch_changes() == 0
    assert asked == ["core.tasks.dispatch_changes"]
    monkeypatch.setattr(tasks, "DISPATCH_S", 1_000)
    asked.clear()
    assert tasks.dispatch_changes() == 3
    assert "core.tasks.dispatch_changes" not in asked[:-1]


def test_the_consumer_that_somebody_waits_for_is_fed_first(only):
    order = []
    only(alpha=lambda batch: order.append("alpha"), workflows=lambda batch: order.append("workflows"))
    leads(1)
    dispatch()
    assert order == ["workflows", "alpha"]
