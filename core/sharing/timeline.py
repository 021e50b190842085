"""On the timeline of a record: with whom it was shared and no longer is."""

from typing import Any

from django.db.models import BigIntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, JSONObject
from django.utils.translation import gettext as _

from core.accounts.models import Team, User
from core.api.schema.parts import ID, TEXT, answer_of, nullable, of_columns
from core.changes import timeline
from core.changes.models import Change
from core.changes.timeline import VALUES, RecordRef, TimelineSource
from core.entities.reading import user_brief

NAMES = ("access", "expires_at")


def share_changes(subject: RecordRef) -> QuerySet:
    """The changes of the record's shares, each with what the user or team is called."""
    name = subject.entity.name
    rows = Change.objects.filter(
        Q(changes__entity__0=name) | Q(changes__entity__1=name), entity="share", object_id=subject.pk
    )
    people = User.objects.filter(pk=OuterRef("about_user")).order_by()
    teams = Team.objects.filter(pk=OuterRef("about_team")).order_by()
    person = _object("id", "username", "first_name", "last_name")
    return rows.annotate(about_user=_either("user_id"), about_team=_either("team_id")).annotate(
        with_user=Subquery(people.values_list(person)[:1]),
        with_team=Subquery(teams.values_list(_object("id", "name"))[:1]),
    )


def _either(column: str) -> Any:
    """The value of a column after the change, or before it."""
    return Coalesce(*(Cast(KT(f"changes__{column}__{place}"), BigIntegerField()) for place in (1, 0)))


def _object(*names: str) -> JSONObject:
    return JSONObject(**{name: name for name in names})


def shown(change: Any, subject: RecordRef) -> dict[str, Any]:
    user = user_brief(change.with_user) if change.with_user else None
    values = {name: change.changes.get(name, [None, None]) for name in NAMES}
    changes = {name: {"old": old, "new": new} for name, (old, new) in values.items() if old != new}
    return {
        "type": change.kind,
        "title": _title(change, user),
        "data": {"user": user, "team": change.with_team, "changes": changes, "source": change.source},
    }


def _title(change: Any, user: dict[str, Any] | None) -> str:
    whom = _("somebody")
    if user:
        whom = user["full_name"]
    elif change.with_team:
        whom = _("team %(name)s") % {"name": change.with_team["name"]}
    if change.kind == Change.Kind.DELETED:
        return _("no longer shared with %(whom)s") % {"whom": whom}
    access = change.changes.get("access", [None, ""])[1]
    words = _("shared with %(whom)s to change") if access == "write" else _("shared with %(whom)s to read")
    return words % {"whom": whom}


DATA = {
    "user": nullable(answer_of({"id": ID, "username": TEXT, "full_name": TEXT})),
    "team": nullable(answer_of({"id": ID, "name": TEXT})),
    "changes": {"type": "object", "additionalProperties": VALUES},
    **of_columns(Change, "source"),
}
timeline.register(
    TimelineSource("share", share_changes, shown, DATA, at="at", actor="actor_id", type="kind", by_id=True)
)
