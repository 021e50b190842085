"""People who opted out of mail, and the link in a mail by which they do.

An opt-out is about an address, not about a record: where one record with it is opted out, nothing but
transactional mail goes there, whatever the mail is about. Apps register which of their records are people.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import signing
from django.db.models import Q, QuerySet

from core.entities import entities
from core.registry import Registry

SALT = "crm.opt-out"
PATH = "/api/v1/unsubscribe/"
REASON = "opted out"


@dataclass(frozen=True)
class People:
    """Records of an entity that stand for people: the columns of their addresses, and of their opt-out.

    `more` is a column with a list of further addresses, "" where there is none.
    """

    entity: str
    email: str = "email"
    more: str = ""
    flag: str = "do_not_contact"

    @property
    def rows(self) -> QuerySet:
        """All of them, archived ones too: an opt-out does not end with the record's use."""
        return entities[self.entity].model.objects.order_by("pk")

    def having(self, addresses: Iterable[str]) -> QuerySet:
        """Those that have one of the addresses, which are in lower case as columns keep them."""
        given = sorted(addresses)
        found = Q(**{f"{self.email}__in": given})
        if self.more:
            found |= Q(**{f"{self.more}__overlap": given})
        return self.rows.filter(found)

    def addresses_of(self, rows: QuerySet) -> Iterator[tuple[int, str]]:
        """(id, address) of rows, in lower case."""
        names = (self.email, self.more) if self.more else (self.email,)
        for pk, email, *more in rows.values_list("pk", *names):
            yield from ((pk, address.lower()) for address in (email, *(more[0] if more else ())) if address)


people: Registry[People] = Registry("people")


def register(entity: str, **columns: str) -> People:
    """Register that the records of `entity` are people."""
    return people.register(entity, People(entity, **columns))


def opted_out(addresses: Iterable[str]) -> set[str]:
    """Those of the addresses, in lower case, whose person wants no mail; a query for each kind of people."""
    wanted = {address.lower() for address in addresses}
    found: set[str] = set()
    for kind in people if wanted else ():
        rows = kind.having(wanted).filter(**{kind.flag: True})
        found |= {address for _, address in kind.addresses_of(rows)}
    return found & wanted


def records_of(addresses: Iterable[str]) -> dict[str, tuple[str, int]]:
    """The person behind each address, in lower case, as (entity, id): the oldest of the first kind that has
    it. Addresses of nobody are left out."""
    wanted = {address.lower() for address in addresses}
    found: dict[str, tuple[str, int]] = {}
    for kind in people if wanted else ():
        for pk, address in kind.addresses_of(kind.having(wanted)):
            if address in wanted:
                found.setdefault(address, (kind.entity, pk))
    return found


def opt_out(entity: str, pk: int) -> bool:
    """Opt a person out, and every other record with one of their addresses. False where there is no such
    person any more. Call inside `audit_context`, so that the history says how it came about."""
    kind = people[entity]
    addresses = {address for _, address in kind.addresses_of(kind.rows.filter(pk=pk))}
    found = bool(addresses) or kind.rows.filter(pk=pk).exists()
    kind.rows.filter(pk=pk, **{kind.flag: False}).update(**{kind.flag: True})
    for other in people if addresses else ():
        other.having(addresses).filter(**{other.flag: False}).update(**{other.flag: True})
    return found


def unsubscribe_url(entity: str, pk: int) -> str:
    """The address that opts a person out without signing in. It names the record, not the person."""
    token = signing.dumps([entity, pk], salt=SALT, compress=False)
    return f"{settings.PUBLIC_URL.rstrip('/')}{PATH}?token={token}"


def read_token(token: str) -> tuple[str, int] | None:
    """The person a token opts out; None for one that is not ours."""
    try:
        entity, pk = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return (entity, pk) if entity in people else None


def headers(url: str) -> dict[str, str]:
    """What lets a mail program unsubscribe with one click (RFC 8058)."""
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def without(addresses: Iterable[str], gone: Any) -> list[str]:
    """The addresses that are not among `gone`."""
    return [address for address in addresses if address.lower() not in gone]
