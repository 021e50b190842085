"""Converting a lead: into a contact, its company and, if wanted, an opportunity."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from contacts.registration import COMPANY, CONTACT
from contacts.rules import domain_of
from core.entities import Entity, writing
from core.entities.custom import definitions
from core.entities.locks import MATCHING, lock
from core.entities.references import existing_ids, referable
from core.entities.relation_transfer import move_related
from core.errors import ConflictError, InvalidError
from core.models.fields import ADDRESS
from core.models.folding import fold
from lead_management.mail_domains import business_domain
from lead_management.models import Lead, LeadStatus
from opportunities.registration import OPPORTUNITY

PERSON = ("first_name", "last_name", "email", "phone", "mobile", "job_title", "company_name", "website")


# The resources that a conversion writes, as scopes name them.
CONVERSION_WRITES = ("leads", "contacts", "companies", "opportunities")


@dataclass(frozen=True)
class Wish:
    """What a conversion should make; ids name records to use instead of finding or making them."""

    create_opportunity: bool = True
    contact: int | None = None
    company: int | None = None
    pipeline: int | None = None
    stage: str = ""
    opportunity_name: str = ""
    amount: Any = None
    expected_close_date: Any = None


def convert(entity: Entity, lead: Lead, user: Any, wish: Wish) -> dict[str, Any]:
    """Convert a locked lead in the caller's transaction and say what was done.

    Raises ConflictError for a lead that is converted already and InvalidError for ids that are not there.
    """
    if lead.status == LeadStatus.CONVERTED:
        raise ConflictError("The lead is converted already.", code="already_converted")
    return Conversion(entity, lead, user, wish).run()


class Conversion:
    """One conversion; `created` says of each record whether it is new."""

    def __init__(self, entity: Entity, lead: Lead, user: Any, wish: Wish) -> None:
        self.entity, self.lead, self.user, self.wish = entity, lead, user, wish
        self.created: dict[str, bool] = {}

    def run(self) -> dict[str, Any]:
        company = self._company()
        contact = self._contact(company)
        company = company or self._employer(contact)
        opportunity = self._opportunity(company, contact) if self.wish.create_opportunity else None
        self._mark(company, contact, opportunity)
        target = ("opportunity", opportunity) if opportunity else ("contact", contact)
        moved = move_related((self.entity.name, self.lead.pk), target)
        return {
            "success": True,
            "lead_id": self.lead.pk,
            "contact_id": contact,
            "company_id": company,
            "opportunity_id": opportunity,
            "created": self.created,
            "moved": moved,
        }

    def _company(self) -> int | None:
        if self.wish.company:
            return self._named("company", self.wish.company)
        domain = domain_of(self.lead.website) or business_domain(self.lead.email)
        if not domain and not self.lead.company_name:
            return None
        for name in sorted({domain, fold(self.lead.company_name)} - {""}):
            lock(MATCHING, f"company {name}")
        found = self._first("company", self._same_company(domain))
        return found or self._make(COMPANY, self._company_data(domain))

    def _employer(self, contact: int) -> int | None:
        """The company of a contact that was there already, for a lead that names none."""
        if self.created["contact"]:
            return None
        return self._first("company", Q(contacts=contact))

    def _same_company(self, domain: str) -> Q:
        by_name = Q(name__folded=self.lead.company_name) if self.lead.company_name else Q(pk__in=[])
        # A company of the same name with another domain is another company.
        return Q(domain=domain) | (by_name & Q(domain="")) if domain else by_name

    def _company_data(self, domain: str) -> dict[str, Any]:
        data = {name: getattr(self.lead, name) for name in ("industry", "company_size", "website", *ADDRESS)}
        return data | {"name": self.lead.company_name or domain, "domain": domain}

    def _contact(self, company: int | None) -> int:
        if self.wish.contact:
            return self._named("contact", self.wish.contact)
        email = self.lead.email
        if email:
            lock(MATCHING, f"contact {email}")
            found = self._first("contact", Q(email=email) | Q(additional_emails__contains=[email]))
            if found:
                return found
        data = {
            name: getattr(self.lead, name) for name in (*PERSON, *ADDRESS, "lead_source", "do_not_contact")
        }
        data |= {"company": company, "notes": self.lead.notes}
        return self._make(CONTACT, data)

    def _opportunity(self, company: int | None, contact: int) -> int:
        lead, wish = self.lead, self.wish
        amount = lead.estimated_value if wish.amount is None else wish.amount
        data = {
            "name": wish.opportunity_name or f"{lead.company_name or lead} opportunity"[:200],
            "company": company,
            "contact": contact,
            "company_name": lead.company_name,
            "amount": amount,
            "currency": lead.currency,
            "pipeline": wish.pipeline,
            "stage": wish.stage,
            "expected_close_date": wish.expected_close_date,
            "lead_source": lead.lead_source,
        }
        return self._make(OPPORTUNITY, data)

    def _first(self, target: str, condition: Q) -> int | None:
        """The oldest record the user may point at that meets the condition."""
        rows: QuerySet = referable(target, self.user).filter(condition).order_by("pk")
        found = rows.values_list("pk", flat=True).first()
        if found:
            self.created[target] = False
        return found

    def _named(self, target: str, pk: int) -> int:
        if not existing_ids(target, [pk], self.user):
            raise InvalidError.of(target, f"There is no such {target}.", "does_not_exist")
        self.created[target] = False
        return pk

    def _make(self, entity: Entity, data: dict[str, Any]) -> int:
        """A new record that belongs to whom the lead belongs to, with what both define as custom fields."""
        whose = {name: self._still_here(name) for name in ("owner", "assigned_to")}
        extra = {"tags": self.lead.tags, "custom_fields": shared_values(self.entity, entity, self.lead)}
        record = writing.create_from_input(entity, data | whose | extra, self.user)
        self.created[entity.name] = True
        return record.pk

    def _still_here(self, role: str) -> int | None:
        """The lead's owner or assignee, None if deactivated: then it is the converter's."""
        pk = getattr(self.lead, f"{role}_id")
        return pk if pk and existing_ids("user", [pk], self.user) else None

    def _mark(self, company: int | None, contact: int, opportunity: int | None) -> None:
        values = {
            "status": LeadStatus.CONVERTED,
            "converted_at": timezone.now(),
            "converted_company_id": company,
            "converted_contact_id": contact,
            "converted_opportunity_id": opportunity,
        }
        writing.save_clean(self.entity, self.lead, values, self.user)


def shared_values(source: Entity, target: Entity, record: Any) -> dict[str, Any]:
    """The record's custom values that `target` defines under the same key and type."""
    if not record.custom_fields:
        return {}
    types = {d.key: d.type for d in definitions(source)}
    return {
        d.key: record.custom_fields[d.key]
        for d in definitions(target)
        if types.get(d.key) == d.type and d.key in record.custom_fields
    }
