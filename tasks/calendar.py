"""One's tasks as a calendar (RFC 5545), under an address that nobody guesses and that can be taken back."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from icalendar import Alarm, Calendar, Event

from core.accounts.models import User
from tasks.models import CalendarFeed, Task, TaskStatus

# How long a task takes in the calendar, how long completed ones stay there, and how many it holds at most.
LENGTH = timedelta(minutes=30)
KEPT = timedelta(days=30)
MAX_TASKS = 2_000
USE_NOTED_EVERY = timedelta(minutes=10)


def open_feed(user: User) -> str:
    """A new secret for the user's feed; the one before is worth nothing from now on."""
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
    """The user's tasks with a due time: open ones, and those completed of late."""
    recent = Q(status=TaskStatus.COMPLETED, completed_at__gte=timezone.now() - KEPT)
    open_ones = Q(status__in=(TaskStatus.PENDING, TaskStatus.IN_PROGRESS))
    mine = Task.objects.visible_to(user).filter(open_ones | recent, assigned_to=user, archived_at=None)
    return mine.filter(due_date__isnull=False).order_by("due_date", "pk")[:MAX_TASKS]


def calendar(user: User) -> bytes:
    """The user's tasks as an iCalendar stream. Times are in UTC: the reader's calendar knows its own zone."""
    made = Calendar()
    made.add("prodid", f"-//{settings.SITE_NAME}//tasks//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("x-wr-calname", f"{settings.SITE_NAME} tasks")
    made.add("refresh-interval", timedelta(minutes=15), parameters={"value": "DURATION"})
    for task in tasks_of(user):
        made.add_component(_event(task))
    return made.to_ical()


def _event(task: Task) -> Event:
    base = settings.PUBLIC_URL.rstrip("/")
    event = Event()
    event.add("uid", f"task-{task.pk}@{urlsplit(settings.PUBLIC_URL).hostname}")
    event.add("sequence", task.version)
    event.add("dtstamp", task.updated_at)
    event.add("last-modified", task.updated_at)
    event.add("dtstart", task.due_date)
    event.add("dtend", task.due_date + LENGTH)  # type: ignore[operator]  # dated ones only
    event.add("summary", f"✓ {task.title}" if task.status == TaskStatus.COMPLETED else task.title)
    if task.description:
        event.add("description", task.description)
    event.add("url", f"{base}/api/v1/tasks/{task.pk}/")
    event.add("categories", [task.task_type])
    event.add("transp", "TRANSPARENT")
    if task.reminder_at and task.status != TaskStatus.COMPLETED:
        event.add_component(_alarm(task))
    return event


def _alarm(task: Task) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", task.title)
    alarm.add("trigger", task.reminder_at)
    return alarm
