"""The open tasks on a record's page."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from core.access import Permission, role_allows
from core.admin import columns, formats, home
from core.admin.home import Panel, PanelLine
from core.entities.blanking import seen_by
from tasks.models import RELATED_RECORDS, Task
from tasks.querysets import OPEN
from tasks.records import about


def build(record: Any, user: Any) -> Panel | None:
    """The tasks about the record that are still open, the next due first."""
    name = record.entity_name
    if name not in RELATED_RECORDS:
        return None
    rows = seen_by(user, Task.objects.unarchived()).filter(OPEN, about(name, [record.pk]))
    found = rows.select_related("assigned_to").order_by("due_date", "id")
    shown = list(found[: home.LINES])
    may = _changeable(shown, user)
    lines = [_line(task, f"{name}:{record.pk}", may_tick=task.pk in may) for task in shown]
    url = home.list_url(Task, due="open", **{f"{name}__id__exact": record.pk})
    add = f"{home.add_url(Task)}?{name}={record.pk}" if role_allows(user, Permission.ADD) else ""
    return Panel(_("Open tasks"), "task_alt", url, lines, _("Nothing to do."), add_url=add)


def _changeable(tasks: list[Task], user: Any) -> set[int]:
    if not tasks or not role_allows(user, Permission.CHANGE):
        return set()
    rows = Task.objects.visible_to(user, Permission.CHANGE).filter(pk__in=[task.pk for task in tasks])
    return set(rows.values_list("pk", flat=True))


def _line(task: Task, of: str, *, may_tick: bool) -> PanelLine:
    tick = reverse("admin:tasks_task_tick", args=[task.pk]) if may_tick else ""
    when = columns.due(task.due_date)
    return PanelLine(task.title, home.page_url(Task, task.pk), when, _who(task), tick_url=tick, tick_of=of)


def _who(task: Task) -> Any:
    return formats.badge(task.assigned_to.get_full_name()) if task.assigned_to else ""
