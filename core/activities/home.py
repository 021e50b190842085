"""Activities on the home page: who of the team has not logged any for long."""

from datetime import timedelta
from typing import Any

from django.db.models import F, OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from core.access import Role, role_of
from core.accounts.models import User
from core.activities.models import Activity
from core.admin import formats, home
from core.admin.home import HomePart, Panel, PanelLine

IDLE_DAYS = 7


def build(user: Any) -> HomePart:
    return HomePart(team=[_idle(user)]) if home.has_team(user) else HomePart()


def _idle(user: Any) -> Panel:
    """Those who sell, whoever logged nothing for longest first."""
    people = User.objects.filter(is_active=True, role__in=(Role.MANAGER, Role.REP)).exclude(pk=user.pk)
    if role_of(user) != Role.ADMIN:
        people = people.filter(pk__in=user.reach_ids())
    newest = Activity.objects.filter(author=OuterRef("pk")).order_by("-happened_at", "-id")
    found = people.annotate(newest=Subquery(newest.values("happened_at")[:1]))
    ordered = found.order_by(F("newest").asc(nulls_first=True), "username")
    limit = timezone.now() - timedelta(days=IDLE_DAYS)
    lines = [
        PanelLine(
            person.get_full_name(),
            home.page_url(User, person.pk),
            formats.when(person.newest) or _("nothing logged yet"),
            formats.badge(_("Idle"), "warn") if person.newest is None or person.newest < limit else "",
        )
        for person in ordered[: home.LINES]
    ]
    return Panel(_("Latest activity"), "groups", home.list_url(User), lines, _("Nobody sells in this team."))
