"""The contacts of a deal: the primary one, which is the deal's `contact`, and others; each may have a role.

Call what writes inside `core.changes.audit_context`, with the deal locked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from contacts.models import Contact
from core.access import scopes
from core.entities import writing
from core.entities.blanking import seen_by
from core.errors import ConflictError, FieldIssue, InvalidError, NotVisibleError
from opportunities.entity import OPPORTUNITY
from opportunities.models import Opportunity, OpportunityContact, role_in_words

# Contacts of one deal.
AT_MOST = 100


@dataclass(frozen=True)
class DealContacts:
    """The contacts of a deal that a user sees, and how many more there are."""

    results: Sequence[OpportunityContact]
    hidden: int


def contacts_of(deal: Opportunity, user: Any) -> DealContacts:
    """Without the archived; the primary one first, the others in the order in which they were added."""
    rows = {row.contact_id: row for row in deal.deal_contacts.all()}
    wanted = [pk for pk in dict.fromkeys((deal.contact_id, *rows)) if pk is not None]
    live = Contact.objects.unarchived().filter(pk__in=wanted)
    seen = seen_by(user, live).in_bulk()
    found = [_of(deal, seen[pk], rows.get(pk)) for pk in wanted if pk in seen]
    return DealContacts(found, live.count() - len(seen))


def contact_of(deal: Opportunity, pk: int, user: Any) -> OpportunityContact:
    """One contact of the deal, also an archived one. Raises NotVisibleError, also where it is hidden."""
    contact = seen_by(user, Contact.objects.filter(pk=pk)).first()
    row = deal.deal_contacts.filter(contact=pk).first()
    if contact is None or (row is None and deal.contact_id != pk):
        raise NotVisibleError(_("Not found."))
    return _of(deal, contact, row)


def _of(deal: Opportunity, contact: Contact, row: OpportunityContact | None) -> OpportunityContact:
    """The row of a contact of the deal; one that is not stored for a primary contact without a role."""
    found = row or OpportunityContact()
    found.opportunity, found.contact = deal, contact
    return found


def add(found: OpportunityContact, user: Any, *, primary: bool) -> None:
    """Store a new contact of a deal; the first one is the primary one.

    Raises ConflictError where it is one of the deal's already, InvalidError where there are too many.
    """
    deal, contact = found.opportunity, found.contact
    there = {deal.contact_id, *deal.deal_contacts.values_list("contact", flat=True)}
    if contact.pk in there:
        message = _("It is one of the deal's contacts already.")
        raise ConflictError(message, code="unique", issues=[FieldIssue("contact", "unique", message)])
    if len(there) >= AT_MOST:
        raise InvalidError.of(
            "contact", _("A deal has at most %(at_most)s contacts.") % {"at_most": AT_MOST}, "max_length"
        )
    found.save(force_insert=True)
    deal.refresh_from_db(fields=["contact"])
    if primary:
        make_primary(found, user)


def make_primary(found: OpportunityContact, user: Any) -> None:
    """Make one of the deal's contacts the primary one; the one before stays among the others."""
    deal, before = found.opportunity, found.opportunity.contact_id
    if before == found.contact_id:
        return
    if before is not None:
        OpportunityContact.objects.get_or_create(opportunity=deal, contact_id=before)
    writing.save_clean(OPPORTUNITY, deal, {"contact_id": found.contact_id}, user)


def remove(found: OpportunityContact, user: Any) -> None:
    """Take a contact from its deal; after the primary one the next who was added is it."""
    if found.is_primary:
        writing.save_clean(OPPORTUNITY, found.opportunity, {"contact_id": None}, user)
        found.opportunity.refresh_from_db(fields=["contact"])
    else:
        found.delete()


def of_contacts(pks: Iterable[int]) -> Q:
    """The condition of deals that have any of these contacts, the primary one or another."""
    ids = list(pks)
    rows = OpportunityContact.objects.filter(contact__in=ids).order_by()
    return Q(contact__in=ids) | Q(pk__in=rows.values("opportunity"))


def of_others(pks: Iterable[int]) -> Q:
    """The condition of deals that have any of these contacts beside their primary one."""
    ids = list(pks)
    return of_contacts(ids) & ~Q(contact__in=ids)


def in_words(deals: Sequence[int], user: Any, using: str) -> dict[int, str]:
    """By deal: "contact 12 Ada Lovelace (decision maker); contact 5 Charles Babbage; 1 more", the primary one
    first; those that the user does not see are counted."""
    roles: dict[int, dict[int, str]] = {}
    primary = Opportunity.objects.using(using).filter(pk__in=deals).exclude(contact=None).order_by()
    for deal, contact in primary.values_list("pk", "contact"):
        roles[deal] = {contact: ""}
    rows = OpportunityContact.objects.using(using).filter(opportunity__in=deals)
    for deal, contact, *role in rows.values_list("opportunity", "contact", "role", "role_text"):
        roles.setdefault(deal, {})[contact] = role_in_words(*role)
    wanted = {pk for found in roles.values() for pk in found}
    live = Contact.objects.using(using).unarchived().filter(pk__in=wanted).order_by()
    names: dict[int, str] = dict.fromkeys(live.values_list("pk", flat=True), "")
    if scopes.covers(user, "contacts"):
        names |= {contact.pk: f"contact {contact.pk} {contact}" for contact in seen_by(user, live)}
    return {deal: _listed(found, names) for deal, found in roles.items()}


def _listed(roles: dict[int, str], names: dict[int, str]) -> str:
    """The contacts among `names`; those without a name are counted."""
    there = [(names[pk], role) for pk, role in roles.items() if pk in names]
    listed = [f"{name} ({role})" if role else name for name, role in there if name]
    hidden = len(there) - len(listed)
    return "; ".join([*listed, *([f"{hidden} more"] if hidden else [])])
