"""Tasks on the home page: one's own that are due, and whose are late."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from core.admin import formats, home
from core.admin.home import Figure, HomePart, Panel, PanelLine
from core.entities.blanking import seen_by
from tasks.models import RELATED_RECORDS, Task
from tasks.querysets import OPEN, due_today, overdue


def build(user: Any) -> HomePart:
    team = [_late(user)] if home.has_team(user) else []
    if not home.has_day(user):
        return HomePart(team=team)
    counts = _own(user).aggregate(
        late=Count("pk", filter=overdue()), today=Count("pk", filter=due_today(user) & ~overdue())
    )
    return HomePart(_figures(counts), [_due(user, counts)], team)


def _own(user: Any) -> Any:
    return seen_by(user, Task.objects.unarchived()).filter(home.mine(user), OPEN)


def _figures(counts: dict[str, int]) -> list[Figure]:
    late, today = counts["late"], counts["today"]
    url = home.list_url(Task, assignment="mine", due="overdue")
    later = home.list_url(Task, assignment="mine", due="later_today")
    return [
        Figure(_("Overdue tasks"), str(late), url, tone="bad" if late else ""),
        Figure(_("Due later today"), str(today), later),
    ]


def _due(user: Any, counts: dict[str, int]) -> Panel:
    rows = (
        _own(user)
        .filter(overdue() | due_today(user))
        .select_related(*RELATED_RECORDS)
        .order_by("due_date", "id")
    )
    return Panel(
        _("Tasks"),
        "task_alt",
        home.list_url(Task, assignment="mine", due="now"),
        [_line(task) for task in rows[: home.LINES]],
        _("Nothing is due today."),
        counts["late"] + counts["today"],
        home.add_url(Task),
    )


def _line(task: Task) -> PanelLine:
    is_late = task.due_date is not None and task.due_date < timezone.now()
    about = next((str(found) for name in RELATED_RECORDS if (found := getattr(task, name)) is not None), "")
    badge = formats.badge(_("Overdue"), "bad") if is_late else ""
    title = f"{task.title} · {about}" if about else task.title
    return PanelLine(title, home.page_url(Task, task.pk), formats.when(task.due_date), badge)


def _late(user: Any) -> Panel:
    """Who has overdue tasks, the most first."""
    rows = seen_by(user, Task.objects.unarchived()).filter(overdue(), ~Q(assigned_to=None))
    counted = list(
        rows.order_by()
        .values("assigned_to")
        .annotate(n=Count("pk"))
        .order_by("-n", "assigned_to")[: home.LINES]
    )
    people = get_user_model().objects.in_bulk([row["assigned_to"] for row in counted])
    most = counted[0]["n"] if counted else 1
    lines = [
        PanelLine(
            people[row["assigned_to"]].get_full_name(),
            home.list_url(Task, due="overdue", assigned_to__id__exact=row["assigned_to"]),
            str(row["n"]),
            share=round(100 * row["n"] / most),
        )
        for row in counted
    ]
    return Panel(
        _("Overdue by person"),
        "assignment_late",
        home.list_url(Task, due="overdue"),
        lines,
        _("Nobody is late."),
    )
