"""The newest imports on the home page of administrators."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.admin import formats, home
from core.admin.home import HomePart, Panel, PanelLine
from core.transfer.models import ImportJob

TONES = {"finished": "good", "failed": "bad", "running": "info", "cancelled": "warn"}


def build(user: Any) -> HomePart:
    return HomePart(system=[_imports()]) if home.runs_system(user) else HomePart()


def _imports() -> Panel:
    rows = ImportJob.objects.order_by("-id")[: home.LINES]
    lines = [
        PanelLine(
            job.file_name or str(job),
            home.page_url(ImportJob, job.pk),
            _counts(job),
            formats.badge(
                job.get_status_display(), TONES.get(job.status, "neutral"), title=job.message[:200]
            ),
        )
        for job in rows
    ]
    return Panel(_("Imports"), "upload_file", home.list_url(ImportJob), lines, _("Nothing was imported yet."))


def _counts(job: ImportJob) -> str:
    came = job.created + job.updated
    text = ngettext("%(n)s record", "%(n)s records", came) % {"n": came}
    return text + (_(", %(n)s refused") % {"n": job.failed} if job.failed else "")
