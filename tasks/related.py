"""The open tasks on a record's page."""

from typing import Any

from django.utils.translation import gettext as _

from core.access import Permission, role_allows
from core.admin import formats, home
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
    lines = [
        PanelLine(task.title, home.page_url(Task, task.pk), formats.when(task.due_date), _who(task))
        for task in found[: home.LINES]
    ]
    url = home.list_url(Task, due="open", **{f"{name}__id__exact": record.pk})
    add = f"{home.add_url(Task)}?{name}={record.pk}" if role_allows(user, Permission.ADD) else ""
    return Panel(_("Open tasks"), "task_alt", url, lines, _("Nothing to do."), add_url=add)


def _who(task: Task) -> Any:
    return formats.badge(task.assigned_to.get_full_name()) if task.assigned_to else ""
