"""Fan-out, unread counts, timelines and digests, on a PostgreSQL of its own.

    python -m benchmarks.notifications            # about two minutes
    python -m benchmarks.notifications --small    # a tenth of everything

Times are wall clock of the database work, in milliseconds: the best, the median and the 95th percentile. On a
machine that does other things as well the best says most about the work itself.
"""

import argparse
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from backend.testing.servers import start_servers

REPETITIONS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a tenth of all rows")
    parser.add_argument("--digests", action="store_true", help="the digests alone")
    options = parser.parse_args()
    scale = 10 if options.small else 1
    servers = start_servers()
    try:
        _prepare(servers)
        if not options.digests:
            fan_out(1_000 // scale)
            imported(5_000 // scale)
            unread_counts(1_000_000 // scale)
            timelines(100_000 // scale)
        digests(10_000 // scale)
    finally:
        servers.stop()


def _prepare(servers: Any) -> None:
    """Django on the throw-away servers, migrated."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "backend.settings",
        "CRM_ENV": "development",
        "DEBUG": "0",
        "DATABASE_URL": servers.postgres.superuser_url,
        "REDIS_URL": servers.valkey.url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "CRM_DATA_DIR": tempfile.mkdtemp(dir=servers.folder),
    }
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def measured(name: str, work: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> None:
    """Print the times of REPETITIONS runs of `work`, each after `before`, which does not count."""
    times = []
    for _ in range(REPETITIONS):
        before()
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    slow = statistics.quantiles(times, n=20)[-1]
    best, middle = min(times), statistics.median(times)
    print(f"{name:<62} best {best:7.1f}   median {middle:7.1f}   p95 {slow:7.1f} ms", flush=True)


def sql(statement: str, *params: Any) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def statements(work: Callable[[], Any]) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


def people(count: int, role: str = "admin") -> None:
    """Users, in three zones; a tenth of them per team does not matter here."""
    sql(
        "INSERT INTO core_user (username, first_name, last_name, email, password, role, is_active, is_staff,"
        " is_superuser, date_joined, time_zone, phone)"
        " SELECT %s || i, '', '', %s || i || '@crm.example', '', %s, true, false, false, now(),"
        " (ARRAY['Europe/Berlin','America/New_York','Asia/Kolkata'])[1 + i %% 3], ''"
        " FROM generate_series(1, %s) i",
        role,
        role,
        role,
        count,
    )


def fan_out(followers: int) -> None:
    """One change of one record to all its followers: what the consumer does in the dispatcher."""
    from core.changes import ChangeBatch, audit_context
    from core.changes.dispatch import dispatch
    from core.changes.models import Change
    from core.notifications import planning
    from core.notifications.consumer import consume
    from core.notifications.models import Notification
    from lead_management.models import Lead

    people(followers)
    with audit_context():
        lead = Lead.objects.create(first_name="Ada")
        Lead.objects.filter(pk=lead.pk).update(status="contacted")
    dispatch()
    batch = ChangeBatch("lead", True, [Change.objects.filter(changes__has_key="status").get().pk])
    counts = {}
    for count in sorted({1, 10, followers}):
        sql("DELETE FROM core_follow")
        sql(
            "INSERT INTO core_follow (user_id, entity, object_id, reason, created_at)"
            " SELECT id, 'lead', %s, 'manual', now() FROM core_user ORDER BY id LIMIT %s",
            lead.pk,
            count,
        )
        Notification.objects.all().delete()
        counts[count] = statements(lambda: consume(batch))
        assert Notification.objects.count() == count

    def empty() -> None:
        sql("TRUNCATE core_notification CASCADE")

    measured(f"fan-out of one change to {followers} followers", lambda: consume(batch), empty)
    print(f"  statements by followers: {counts}")
    consume(batch)
    waiting = "UPDATE core_notification SET channels_planned_at = NULL"
    measured(f"choosing the channels of {followers} notifications", planning.plan, lambda: sql(waiting))
    sql("TRUNCATE core_notification CASCADE")


def imported(rows: int) -> None:
    """A batch of new records that all belong to someone: what the consumer adds to an import."""
    from django.db import transaction

    from core.changes import ChangeBatch, audit_context
    from core.changes.models import Change, Outbox
    from core.notifications.consumer import consume
    from lead_management.models import Lead

    with audit_context(_of("admin1")):
        sql(
            "INSERT INTO lead_management_lead (first_name, owner_id, assigned_to_id)"
            " SELECT 'Lead ' || i, u.id, u.id FROM generate_series(1, %s) i"
            " JOIN (SELECT id, row_number() OVER (ORDER BY id) n FROM core_user) u ON u.n = 1 + i %% 50",
            rows,
        )
    ids = list(Change.objects.filter(kind="created").order_by("-id").values_list("pk", flat=True)[:rows])
    batch = ChangeBatch("lead", True, sorted(ids))

    def empty() -> None:
        sql("TRUNCATE core_notification CASCADE")
        sql("TRUNCATE core_follow")

    def dispatched() -> None:
        with transaction.atomic():
            consume(batch)

    measured(f"{rows} imported records: followers and assignments", dispatched, empty)
    empty()
    Outbox.objects.all().delete()
    Lead.objects.filter(first_name__startswith="Lead ").update(archived_at="2020-01-01T00:00Z")


def unread_counts(total: int) -> None:
    """The bell, with `total` notifications in the table."""
    from core.accounts.models import User
    from core.notifications import inbox

    sql(
        "INSERT INTO core_notification"
        " (recipient_id, type, title, entity, object_id, read_at, channels_planned_at, created_at)"
        " SELECT u.id, 'update', 'Told', 'lead', 1, CASE WHEN i / u.total %% 20 > 0 THEN now() END, now(),"
        " now() - i * interval '1 second'"
        " FROM generate_series(1, %s) i JOIN (SELECT id, row_number() OVER (ORDER BY id) n,"
        " count(*) OVER () total FROM core_user) u ON u.n = 1 + i %% u.total",
        total,
    )
    sql("VACUUM ANALYZE core_notification")
    for name, user in (("an administrator", _of("admin1")), ("a rep", _rep())):
        assert isinstance(user, User)
        measured(f"unread count of {name}, {total} notifications", lambda user=user: inbox.counts(user))
        page = inbox.visible(user)
        measured(f"first page of the inbox of {name}", lambda page=page: list(page[:51]))
    busy = _of("admin2")
    sql("UPDATE core_notification SET recipient_id = %s WHERE id %% 37 = 0", busy.pk)
    sql("VACUUM ANALYZE core_notification")
    measured("unread count of one with more than a thousand unread", lambda: inbox.counts(busy))


def _of(username: str) -> Any:
    from core.accounts.models import User

    return User.objects.get(username=username)


def _rep() -> Any:
    """Somebody who sees only what is theirs, with as many notifications as the others."""
    found = _of("admin3")
    found.role = "rep"
    found.save(update_fields=["role"])
    from lead_management.models import Lead

    Lead.objects.update(assigned_to=found)
    return found


def timelines(age: int) -> None:
    """The first page and one far down, of a young record and of one with `age` changes and activities."""
    from core.changes import timeline
    from core.entities import entities
    from lead_management.models import Lead

    user = _of("admin1")
    for size in (100, age):
        lead = Lead.objects.create(first_name=f"Aged {size}")
        sql(
            "INSERT INTO core_change (entity, object_id, kind, changes, source, actor_id, at)"
            " SELECT 'lead', %s, 'updated', '{\"city\": [\"a\", \"b\"]}', 'api', %s,"
            " now() - i * interval '1 minute'"
            " FROM generate_series(%s, 1, -1) i",
            lead.pk,
            user.pk,
            size,
        )
        sql("SET session_replication_role = replica")
        sql(
            "INSERT INTO core_activity (entity, object_id, type, subject, happened_at, created_at, author_id)"
            " SELECT 'lead', %s, 'call', 'Call', now() - i * interval '1 minute', now(), %s"
            " FROM generate_series(1, %s) i",
            lead.pk,
            user.pk,
            size,
        )
        sql("SET session_replication_role = DEFAULT")
        sql("ANALYZE core_change, core_activity")
        subject = timeline.RecordRef(entities["lead"], lead.pk, user)
        measured(
            f"timeline, first page, {2 * size} entries",
            lambda subject=subject: timeline.page(subject, timeline.TimelineQuery(), {}, 50),
        )


def digests(users: int) -> None:
    """The digests of everyone at once, with ten leads and five tasks each."""
    from django.db import connection
    from django.utils import timezone

    from core.notifications.digest import send_digests
    from core.notifications.models import Notification
    from tasks.models import Task

    people(users, "rep")
    sql(
        "INSERT INTO lead_management_lead (first_name, assigned_to_id, lead_score, created_at)"
        " SELECT 'Lead ' || i, u.id, i * 9, now() - i * interval '3 hours'"
        " FROM core_user u, generate_series(1, 10) i WHERE u.username LIKE 'rep%%'"
    )
    sql(
        f"INSERT INTO {Task._meta.db_table} (title, assigned_to_id, due_date)"  # noqa: S608
        " SELECT 'Task ' || i, u.id, now() + (i - 3) * interval '5 hours'"
        " FROM core_user u, generate_series(1, 5) i WHERE u.username LIKE 'rep%%'"
    )
    sql("ANALYZE")
    late = timezone.now().replace(hour=18, minute=31) + timedelta(days=1)
    start = time.perf_counter()
    with_queries = statements(lambda: send_digests(late))
    seconds = time.perf_counter() - start
    made = Notification.objects.filter(type="digest").count()
    assert made
    assert connection.queries is not None
    print(f"{made} digests of {users} users: {seconds:.1f} s, {with_queries} statements")
    measured("looking again when all are made", lambda: send_digests(late))


if __name__ == "__main__":
    main()
