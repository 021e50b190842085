"""Companies that a person may belong to: which one sees, taking one, and saying that one is not it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from contacts.entity import COMPANY
from contacts.models import Company, CompanySuggestion
from core.access import scopes
from core.entities import Entity, entity_of, writing
from core.entities.blanking import seen_by
from core.errors import InvalidError

# What a suggestion is made of: of the person, and of the company.
ADDRESS, DOMAIN = "email", "domain"


@dataclass(frozen=True)
class SuggestedCompanies:
    """The companies suggested for a person that the user sees, and whether there are others: not told to whom
    the domains of companies are hidden from."""

    companies: list[Company]
    hidden: bool


def _open(entity: Entity) -> QuerySet[CompanySuggestion]:
    return CompanySuggestion.objects.filter(entity=entity.name, dismissed_at=None, company__archived_at=None)


def _seen(user: Any) -> QuerySet[Company]:
    """The companies that may be named to the user, and to the key that speaks for them."""
    rows = Company.objects.visible_to(user)
    return rows if scopes.covers(user, COMPANY.plural) else rows.none()


def has_suggestion(entity: Entity, user: Any) -> Q:
    """The people without a company for whom one is suggested that the user sees."""
    found = _open(entity).filter(object_id=OuterRef("pk"), company__in=_seen(user))
    return Q(Exists(found), company=None)


def suggestions_of(record: Any, user: Any) -> SuggestedCompanies:
    """What is suggested for a person: nothing where they have a company, nor to whom their address is hidden
    from."""
    if record.company_id is not None or record.archived_at is not None or not _shown_to(record, user):
        return SuggestedCompanies([], hidden=False)
    found = list(_open(entity_of(record)).filter(object_id=record.pk).values_list("company_id", flat=True))
    companies = list(seen_by(user, _seen(user)).filter(pk__in=found).order_by("pk")) if found else []
    return SuggestedCompanies(companies, hidden=shows_domain(user) and len(companies) < len(found))


def shows_domain(user: Any) -> bool:
    """Whether the user may see the domains of companies."""
    return DOMAIN not in COMPANY.for_user(user).hidden


def _shown_to(record: Any, user: Any) -> bool:
    """Whether the user may see the address that companies are suggested by."""
    return ADDRESS not in entity_of(record).for_user(user).hidden


def accept(record: Any, company: int, user: Any) -> Any:
    """Link a locked record to a company that is suggested for it. Raises InvalidError for another one."""
    _check_suggested(record, company, user)
    return writing.update_from_input(entity_of(record), record, {"company": company}, user)


def dismiss(record: Any, company: int, user: Any) -> None:
    """Remember that a suggested company is not the person's. Raises InvalidError for one not suggested."""
    _check_suggested(record, company, user)
    _mark(record, company, {"dismissed_at": timezone.now(), "dismissed_by": user})


def take_back(record: Any, company: int, user: Any) -> None:
    """Suggest a dismissed company again. Raises InvalidError where it was not dismissed."""
    reached = _shown_to(record, user) and _seen(user).filter(pk=company).exists()
    if not reached or not _mark(record, company, {"dismissed_at": None, "dismissed_by": None}):
        raise InvalidError.of("company", _("This company was not dismissed."), "does_not_exist")


def _mark(record: Any, company: int, values: Mapping[str, Any]) -> int:
    rows = CompanySuggestion.objects.filter(entity=record.entity_name, object_id=record.pk, company=company)
    return rows.exclude(dismissed_at=values["dismissed_at"]).update(**values)


def _check_suggested(record: Any, company: int, user: Any) -> None:
    if company not in [found.pk for found in suggestions_of(record, user).companies]:
        raise InvalidError.of("company", _("This company is not suggested."), "does_not_exist")
