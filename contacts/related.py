"""The people of a company on its page."""

from typing import Any

from django.utils.translation import gettext as _

from contacts.models import Company, Contact
from core.access import Permission, role_allows
from core.admin import home
from core.admin.home import Panel, PanelLine
from core.entities.blanking import seen_by


def build(record: Any, user: Any) -> Panel | None:
    if not isinstance(record, Company):
        return None
    rows = seen_by(user, Contact.objects.unarchived()).filter(company=record.pk).order_by("-id")
    lines = [
        PanelLine(str(person), home.page_url(Contact, person.pk), person.job_title)
        for person in rows[: home.LINES]
    ]
    url = home.list_url(Contact, company__id__exact=record.pk)
    add = f"{home.add_url(Contact)}?company={record.pk}" if role_allows(user, Permission.ADD) else ""
    return Panel(_("Contacts"), "contacts", url, lines, _("Nobody yet."), add_url=add)
