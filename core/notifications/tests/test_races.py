"""Everything runs concurrently with itself: nothing is told, planned or sent twice."""

import threading
from collections.abc import Callable

import pytest
from django.core import mail
from django.db import connection

from core.accounts.models import User
from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.notifications import planning, preferences, sending
from core.notifications.api.serializers import PreferencesSerializer
from core.notifications.digest import send_digests
from core.notifications.models import Delivery, Notification, NotificationPreference
from core.notifications.reminders import notify_due_reminders
from lead_management.tests.factories import LeadFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 4


def at_once(work: Callable[[], object]) -> list[object]:
    """What WORKERS threads that start together get; each with a connection of its own."""
    gate, results = threading.Barrier(WORKERS), []

    def run() -> None:
        try:
            gate.wait()
            results.append(work())
        except Exception as error:  # noqa: BLE001  (shown by the assertion on the results)
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_planners_and_senders_at_once_send_each_mail_once(make_user):
    users = [make_user("rep") for _ in range(30)]
    Notification.objects.bulk_create([Notification(recipient=u, type="mention", title="x") for u in users])
    assert sum(at_once(planning.plan)) == 30
    assert Delivery.objects.count() == 30
    assert sum(at_once(sending.send_due)) == 30
    assert sorted(m.to[0] for m in mail.outbox) == sorted(u.email for u in users)
    assert set(Delivery.objects.values_list("status", "attempts")) == {("sent", 1)}


def test_dispatchers_at_once_notify_each_assignment_once(admin_user, rep):
    for i in range(8):
        with audit_context(admin_user):
            LeadFactory(first_name=f"L{i}", assigned_to=rep)
    at_once(dispatch)
    dispatch()
    notified = Notification.objects.filter(recipient=rep)
    assert sum(notified.values_list("count", flat=True)) == 8


def test_checks_at_once_remind_once(rep):
    from django.utils import timezone

    with audit_context():
        TaskFactory(title="Ring", assigned_to=rep, reminder_at=timezone.now())
    assert sorted(at_once(lambda: notify_due_reminders("reminder"))) == [0, 0, 0, 1]


def test_digests_made_at_once_are_one_a_user(make_user):
    from datetime import UTC, datetime

    for user in [make_user("rep") for _ in range(5)]:
        TaskFactory(title="Late", assigned_to=user, due_date=datetime(2020, 1, 1, tzinfo=UTC))
    at_once(lambda: send_digests(datetime(2026, 5, 5, 8, tzinfo=UTC)))
    assert Notification.objects.filter(type="digest").count() == 5
    assert Delivery.objects.count() == 5


def test_changes_of_preferences_at_once_lose_nothing(rep):
    types = ["mention", "update", "comment", "reminder"]
    names = iter(types)
    picked = threading.Lock()

    def change() -> object:
        with picked:
            name = next(names)
        with audit_context(rep):
            present = preferences.locked(User.objects.get(pk=rep.pk))
            wanted = {"types": {name: {"email": True}}}
            serializer = PreferencesSerializer(present, data=wanted, partial=True)
            serializer.is_valid(raise_exception=True)
            return serializer.save()

    results = at_once(change)
    assert not [r for r in results if isinstance(r, Exception)]
    assert set(NotificationPreference.objects.get(user=rep).matrix) == {
        "mention",
        "update",
        "comment",
        "reminder",
    }
