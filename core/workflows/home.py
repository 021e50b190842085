"""Automation on the home page of administrators: what failed, and how far work is behind."""

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from core.admin import formats, home
from core.admin.home import Figure, HomePart, Panel, PanelLine
from core.workflows.models import WorkflowExecution
from core.workflows.work_turn import lag

TROUBLE = ("failed", "dead", "held", "stopped_limit")
DAYS = 7
# Work that waits longer than this many seconds needs a look.
LATE_S = 60


def failed() -> Q:
    """Runs of the last DAYS days that came to nothing or are held."""
    return Q(status__in=TROUBLE, created_at__gte=timezone.now() - timedelta(days=DAYS))


def build(user: Any) -> HomePart:
    if not home.runs_system(user):
        return HomePart()
    rows = WorkflowExecution.objects.visible_to(user).filter(failed())
    return HomePart([_queue()], system=[_trouble(rows)])


def _queue() -> Figure:
    waits = lag()
    age = max(waits["oldest_due_step_s"], waits["oldest_undispatched_change_s"])
    url = home.list_url(WorkflowExecution, state="open")
    return Figure(
        _("Oldest waiting work"),
        _("%(s)s s") % {"s": round(age)},
        url,
        _("steps and changes"),
        "bad" if age > LATE_S else "",
    )


def _trouble(rows: Any) -> Panel:
    lines = [
        PanelLine(
            run.workflow.name,
            home.page_url(WorkflowExecution, run.pk),
            formats.when(run.created_at),
            formats.badge(run.get_status_display(), "bad", title=run.error[:200]),
        )
        for run in rows.select_related("workflow").order_by("-id")[: home.LINES]
    ]
    url = home.list_url(WorkflowExecution, state="failed")
    return Panel(_("Failed runs, 7 days"), "account_tree", url, lines, _("No run failed."), rows.count())
