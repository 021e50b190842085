"""The contacts of deals, with their roles, as a column of their imports."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from core.access import scopes
from core.entities.references import existing_ids
from core.transfer.linked_columns import Linked, LinkedColumn, Links, LinkTable
from core.transfer.linked_records import Mentions, as_links, read_cells
from core.transfer.resolving import Resolver
from core.transfer.values import Refusal
from opportunities.deal_contacts import AT_MOST
from opportunities.models import ContactRole, Opportunity, OpportunityContact, role_in_words

TOO_MANY = f"A deal has at most {AT_MOST} contacts."
_ROLE_LENGTH = OpportunityContact._meta.get_field("role_text").max_length
_MENTIONS = Mentions(["contact"], alone="contact")
# What an export says of the contacts that its user does not see.
_MORE = re.compile(r"[0-9]+ more")
# A contact's id, and its role in words: "" where the cell says none.
Named = tuple[int, str]
# Those that a cell only counts.
OTHERS: Named = (0, "")


def _read(cells: Sequence[str], resolver: Resolver) -> list[Any]:
    return read_cells(cells, lambda wanted: _named(wanted, resolver))


def _named(cells: Sequence[str], resolver: Resolver) -> dict[str, Any]:
    """The contacts that cells name: a name may end in parentheses, else they hold the role. Names and roles
    behind an id may hold semicolons, as exports write them; where that is no contact they separate names."""
    parts = {cell: _MENTIONS.parts(cell) for cell in cells}
    alone = {part: _MENTIONS.parts_alone(part) for some in parts.values() for part in some}
    ends = {text: _without_role(text) for part, some in alone.items() for text in (part, *some)}
    found = _MENTIONS.find((text for part, (bare, _) in ends.items() for text in (part, bare)), resolver)

    def named(part: str) -> Named | Refusal:
        if _MORE.fullmatch(part):
            return OTHERS
        bare, role = ends[part]
        whole, contact = found[part], found[bare]
        if not isinstance(whole, Refusal):
            return whole[1], ""
        if whole.code == "ambiguous" and contact != _MENTIONS.named_by_id(bare):
            return whole
        if len(role) > (_ROLE_LENGTH or 0):
            return Refusal(
                "max_length",
                gettext("A role has at most %(role_length)s characters.") % {"role_length": _ROLE_LENGTH},
            )
        return contact if isinstance(contact, Refusal) else (contact[1], role)

    def all_named(part: str) -> list[Named | Refusal]:
        if _MENTIONS.named_by_id(part) and not isinstance(whole := named(part), Refusal):
            return [whole]
        return [named(text) for text in alone[part]]

    return {
        cell: as_links((one for part in some for one in all_named(part)), AT_MOST)
        for cell, some in parts.items()
    }


def _without_role(part: str) -> tuple[str, str]:
    """What stands before the parentheses at the end, and what in them."""
    depth = 0
    for place in range(len(part) - 1, -1, -1) if part.endswith(")") else ():
        depth += {")": 1, "(": -1}.get(part[place], 0)
        if not depth:
            return part[:place].strip(), part[place + 1 : -1].strip()
    return part, ""


def _write(wanted: Mapping[int, Links], user: Any) -> Linked:
    """The primary contact is what the deal says, and stays; of a deal without any it is the first one. Where
    a cell counts others, which nobody knows, the deal keeps all that it has."""
    primary = dict(Opportunity._base_manager.filter(pk__in=wanted).values_list("pk", "contact_id"))
    rows: dict[int, dict[int, OpportunityContact]] = {pk: {} for pk in wanted}
    for row in OpportunityContact._base_manager.filter(opportunity__in=wanted).order_by("pk"):
        rows[row.opportunity_id][row.contact_id] = row
    contacts = {contact for there in rows.values() for contact in there}
    seen = existing_ids("contact", contacts, user) if scopes.covers(user, "contacts") else set()
    written = _Written()
    refused = {}
    for pk, links in wanted.items():
        dropped = set() if OTHERS in links else seen
        if not written.place(pk, _roles(links), rows[pk], primary[pk], dropped):
            refused[pk] = ("max_length", TOO_MANY)
    written.store()
    return Linked(frozenset(written.changed), refused)


def _roles(links: Links) -> dict[int, str]:
    """Contact → role; of one that is named several times the first role."""
    roles: dict[int, str] = {}
    for contact, role in (one for one in links if one != OTHERS):
        roles[contact] = roles.get(contact) or role
    return roles


class _Written:
    """What is to be written of the contacts of several deals."""

    def __init__(self) -> None:
        self.gone: list[int] = []
        self.new: list[OpportunityContact] = []
        self.others: list[OpportunityContact] = []
        self.changed: set[int] = set()

    def place(
        self,
        deal: int,
        roles: Mapping[int, str],
        there: Mapping[int, OpportunityContact],
        primary: int | None,
        dropped: set[int],
    ) -> bool:
        """Add a deal, which loses those of `dropped` that are not among `roles`; False, and nothing added,
        where it would have too many contacts."""
        gone = [c for c in there if c in dropped and c not in roles and c != primary]
        new = [c for c, role in roles.items() if c not in there and (c != primary or role)]
        if len({primary, *there, *new} - {None, *gone}) > AT_MOST:
            return False
        others = [row for c, row in there.items() if _is_another(row, roles.get(c, ""))]
        self.gone += [there[contact].pk for contact in gone]
        self.new += [_with_role(OpportunityContact(opportunity_id=deal, contact_id=c), roles[c]) for c in new]
        self.others += [_with_role(row, roles[row.contact_id]) for row in others]
        if gone or new or others:
            self.changed.add(deal)
        return True

    def store(self) -> None:
        """Write all of it, in the order of the cells: the first contact of a deal is its primary one."""
        rows = OpportunityContact._base_manager
        if self.gone:
            rows.filter(pk__in=self.gone).delete()
        rows.bulk_create(self.new)
        rows.bulk_update(self.others, ["role", "role_text"], batch_size=1_000)


def _is_another(row: OpportunityContact, role: str) -> bool:
    """Whether a role in words is given and is not that of the row."""
    same = role == role_in_words(row.role, row.role_text) or _stored(role) == (row.role, row.role_text)
    return bool(role) and not same


def _with_role(row: OpportunityContact, role: str) -> OpportunityContact:
    row.role, row.role_text = _stored(role)
    return row


def _stored(role: str) -> tuple[str, str]:
    """A role in words as it is stored: one of the known ones, or a text of its own."""
    known = "_".join(role.casefold().split())
    if not role or (known in ContactRole.values and known != ContactRole.OTHER):
        return known, ""
    return ContactRole.OTHER, role


CONTACTS = LinkedColumn(
    "opportunity",
    "contacts",
    "Contacts with roles",
    read=_read,
    write=_write,
    table=LinkTable(
        OpportunityContact, "opportunity_contact", "opportunity_id", ("contact_id",), ("role", "role_text")
    ),
)
