"""Changes that a consumer could not take, on the home page of administrators."""

from typing import Any

from django.utils.translation import gettext as _

from core.admin import home
from core.admin.home import Figure, HomePart
from core.changes.models import FailedDispatch


def build(user: Any) -> HomePart:
    if not home.runs_system(user):
        return HomePart()
    count = FailedDispatch.objects.count()
    return HomePart(
        [
            Figure(
                _("Failed dispatches"), str(count), home.list_url(FailedDispatch), tone="bad" if count else ""
            )
        ]
    )
