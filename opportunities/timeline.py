"""On the timeline of a deal: which contacts came and went, and what changed about their roles."""

from typing import Any

from django.db.models import BigIntegerField, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, JSONObject
from django.utils.translation import gettext as _

from contacts.entity import CONTACT
from contacts.models import Contact
from core.api.schema.parts import ID, TEXT, answer_of, nullable, of_columns
from core.changes.models import Change
from core.changes.timeline import VALUES, RecordRef, TimelineSource
from core.entities.reading import title_of
from opportunities.entity import OPPORTUNITY

ROLE = ("role", "role_text")


def contact_changes(subject: RecordRef) -> QuerySet:
    """The changes of the deal's contacts, each with what the contact is called where the reader sees it."""
    if subject.entity.name != OPPORTUNITY.name:
        return Change.objects.none()
    columns = {name: name for name in ("id", *CONTACT.display_columns)}
    seen = Contact.objects.visible_to(subject.user).filter(pk=OuterRef("about")).order_by()
    rows = Change.objects.filter(entity="opportunity_contact", object_id=subject.pk)
    about = [Cast(KT(f"changes__contact_id__{place}"), BigIntegerField()) for place in (1, 0)]
    return rows.annotate(about=Coalesce(*about)).annotate(
        seen=Subquery(seen.values_list(JSONObject(**columns))[:1])
    )


def shown(change: Any, subject: RecordRef) -> dict[str, Any]:
    known = change.seen
    seen = CONTACT.for_user(subject.user)
    contact = {"id": known["id"], "name": title_of(seen, known)} if known else None
    values = {name: change.changes.get(name, [None, None]) for name in ROLE}
    changes = {name: {"old": old, "new": new} for name, (old, new) in values.items() if old != new}
    return {
        "type": change.kind,
        "title": _title(change.kind, contact["name"] if contact else ""),
        "data": {"contact": contact, "changes": changes, "source": change.source},
    }


def _title(kind: str, name: str) -> str:
    if not name:
        return {
            Change.Kind.CREATED: _("added a contact"),
            Change.Kind.UPDATED: _("changed a contact"),
            Change.Kind.DELETED: _("removed a contact"),
        }[Change.Kind(kind)]
    words = {
        Change.Kind.CREATED: _("added contact %(name)s"),
        Change.Kind.UPDATED: _("changed contact %(name)s"),
        Change.Kind.DELETED: _("removed contact %(name)s"),
    }[Change.Kind(kind)]
    return words % {"name": name}


DATA = {
    "contact": nullable(answer_of({"id": ID, "name": TEXT})),
    "changes": {"type": "object", "additionalProperties": VALUES},
    **of_columns(Change, "source"),
}
CONTACTS = TimelineSource(
    "contact",
    contact_changes,
    shown,
    DATA,
    at="at",
    actor="actor_id",
    type="kind",
    by_id=True,
    resource="contacts",
)
