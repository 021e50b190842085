"""The iCalendar feed (RFC 5545) of a user's tasks, at a secret address that can be revoked."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from icalendar import Alarm, Calendar, Event, vText

from core.accounts.models import User
from core.entities import entities
from core.entities.blanking import seen_by
from core.entities.links import record_url
from tasks.models import CalendarFeed, Task, TaskStatus
from tasks.rules import END_OF_DAY

# How long a task takes in the calendar, how long completed ones stay there, and how many it holds at most.
LENGTH = timedelta(minutes=30)
KEPT = timedelta(days=30)
MAX_TASKS = 2_000
USE_NOTED_EVERY = timedelta(minutes=10)
# Within these bounds a moment has a date in every zone, and an end.
CALENDAR = (datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC))
# What RFC 5545 lets no text hold; the tab and line breaks are no such.
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class PlainText(vText):
    """Text as RFC 5545 section 3.3.11 escapes it. The library's own takes a backslash before an N, as in
    C:\\New, for a line break."""

    def to_ical(self) -> bytes:
        text = CONTROLS.sub("", re.sub(r"\r\n?", "\n", self))
        escaped = re.sub(r"([\\;,])", r"\\\1", text)
        return escaped.replace("\n", "\\n").encode()


def open_feed(user: User) -> str:
    """A new secret for the user's feed; the one before no longer works."""
    secret = secrets.token_urlsafe(32)
    CalendarFeed.objects.update_or_create(
        user=user, defaults={"digest": _digest(secret), "created_at": timezone.now(), "last_used_at": None}
    )
    return secret


def feed_of(secret: str) -> CalendarFeed | None:
    """The feed with this secret, if its user is active. Notes that it was used, every ten minutes."""
    feeds = CalendarFeed.objects.select_related("user")
    found = feeds.filter(digest=_digest(secret), user__is_active=True).first()
    if found:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=timezone.now() - USE_NOTED_EVERY)
        CalendarFeed.objects.filter(stale, pk=found.pk).update(last_used_at=Now())
    return found


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def tasks_of(user: User) -> Iterable[Task]:
    """The user's tasks with a due time: open ones, and those completed of late. A task is for whom it is
    assigned to, else for its owner."""
    recent = Q(status=TaskStatus.COMPLETED, completed_at__gte=timezone.now() - KEPT)
    open_ones = Q(status__in=(TaskStatus.PENDING, TaskStatus.IN_PROGRESS))
    whose = Q(assigned_to=user) | Q(assigned_to=None, owner=user)
    mine = seen_by(user, Task.objects.all()).filter(open_ones | recent, whose, archived_at=None)
    return mine.filter(due_date__range=CALENDAR).order_by("due_date", "pk")[:MAX_TASKS]


def calendar(user: User) -> bytes:
    """The user's tasks as an iCalendar stream. Times are in UTC: the reader's calendar knows its own zone."""
    made = Calendar()
    made.add("prodid", f"-//{settings.SITE_NAME}//tasks//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("x-wr-calname", PlainText(f"{settings.SITE_NAME} tasks"))
    made.add("refresh-interval", timedelta(minutes=15), parameters={"value": "DURATION"})
    for task in tasks_of(user):
        made.add_component(_event(task))
    return made.to_ical()


def _event(task: Task) -> Event:
    event = Event()
    event.add("uid", f"task-{task.pk}@{urlsplit(settings.PUBLIC_URL).hostname}")
    event.add("sequence", task.version)
    event.add("dtstamp", task.updated_at)
    event.add("last-modified", task.updated_at)
    _add_times(event, task)
    done = task.status == TaskStatus.COMPLETED
    event.add("summary", PlainText(f"✓ {task.title}" if done else task.title))
    if task.description:
        event.add("description", PlainText(task.description))
    event.add("url", record_url(entities["task"], task.pk))
    event.add("categories", [task.task_type])
    event.add("transp", "TRANSPARENT")
    if task.reminder_at and not done:
        event.add_component(_alarm(task))
    return event


def _add_times(event: Event, task: Task) -> None:
    """When it is; a task that is due on a day, without a time, takes that day."""
    due: datetime = task.due_date  # type: ignore[assignment]  # dated ones only
    local = due.astimezone(ZoneInfo(task.time_zone))
    if local.time() == END_OF_DAY:
        event.add("dtstart", local.date())
        return
    event.add("dtstart", due)
    event.add("dtend", due + LENGTH)


def _alarm(task: Task) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", PlainText(task.title))
    # The default type of a trigger is a duration.
    alarm.add("trigger", task.reminder_at, parameters={"VALUE": "DATE-TIME"})
    return alarm
