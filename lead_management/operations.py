"""Converting a lead: into a contact, its company and, if wanted, an opportunity."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from contacts.entity import COMPANY, CONTACT
from contacts.mail_domains import business_domain
from contacts.rules import domain_of
from core.entities import Entity, entity_of, writing
from core.entities.cleaning import refuse_out_of_reach
from core.entities.copying import shared_fields
from core.entities.custom import PREFIX, definitions
from core.entities.duplicate_rules import lock_refusing
from core.entities.field_rights import UNLIMITED
from core.entities.locks import MATCHING, lock
from core.entities.reading import nested_refs, title_of
from core.entities.references import existing_ids, referable
from core.entities.relation_transfer import move_related
from core.errors import ConflictError, FieldIssue, InvalidError
from core.models.folding import fold
from lead_management.models import Lead, LeadStatus
from opportunities.entity import OPPORTUNITY

# What a conversion makes where it is not there.
MADE = (COMPANY, CONTACT, OPPORTUNITY)
# What a conversion does not copy though both sides have it: the lead's id in another system, how the lead
# ended, and of a company what is the person's.
NOT_COPIED = {
    "company": {"external_id", "email", "phone", "notes"},
    "contact": {"external_id"},
    "opportunity": {"external_id", "status", "lost_reason"},
}


# The resources that a conversion writes, as scopes name them.
CONVERSION_WRITES = ("leads", "contacts", "companies", "opportunities")


@dataclass(frozen=True)
class ConversionOptions:
    """What a conversion should make; ids name records to use instead of finding or making them."""

    create_opportunity: bool = True
    contact: int | None = None
    company: int | None = None
    pipeline: int | None = None
    stage: str = ""
    opportunity_name: str = ""
    amount: Any = None
    expected_close_date: Any = None
    # Of what is made: by key, for every record that defines it, or by the record's entity and then by key.
    custom_fields: Mapping[str, Any] = field(default_factory=dict)


def lock_for_conversion() -> None:
    """Take what conversions wait for each other by. Call before a lead is locked."""
    lock_refusing(*MADE)


def convert(entity: Entity, lead: Lead, user: Any, options: ConversionOptions) -> dict[str, Any]:
    """Convert a lead, locked after `lock_for_conversion`, in the caller's transaction and say what was done.

    Raises ConflictError for a lead that is converted already and InvalidError for ids that are not there.
    """
    if lead.status == LeadStatus.CONVERTED:
        raise ConflictError(_("The lead is converted already."), code="already_converted")
    return Conversion(entity, lead, user, options).run()


def preview(entity: Entity, pk: int, user: Any, options: ConversionOptions) -> list[tuple[Entity, str, bool]]:
    """What `convert` would find or make: its entity, its name and whether it is new; it is taken back.

    Raises what `convert` raises.
    """
    with transaction.atomic():
        lock_for_conversion()
        done = convert(entity, writing.locked(entity, pk, user), user, options)
        ids = [(one, done[f"{one.name}_id"]) for one in MADE if done[f"{one.name}_id"]]
        found = [(one, _name_seen(one, pk, user), done["created"].get(one.name, False)) for one, pk in ids]
        transaction.set_rollback(True)
    return found


def _name_seen(entity: Entity, pk: int, user: Any) -> str:
    """How the record is called; "" where the user does not see it."""
    return nested_refs(entity.name, {pk}, user).get(pk, {}).get("name", "")


class Conversion:
    """One conversion; `created` says of each record whether it is new."""

    def __init__(self, entity: Entity, lead: Lead, user: Any, options: ConversionOptions) -> None:
        # What is hidden from the user is copied all the same; what they give is theirs to write, or not.
        self.entity, self.seen = entity_of(lead), entity.for_user(user)
        self.lead, self.user, self.options = lead, user, options
        self.created: dict[str, bool] = {}

    def run(self) -> dict[str, Any]:
        check_custom_fields(self.options.custom_fields)
        company = self._company()
        contact = self._contact(company)
        self._keep_opt_out(contact)
        company = company or self._employer(contact)
        opportunity = self._opportunity(company, contact) if self.options.create_opportunity else None
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
        if self.options.company:
            return self._named("company", self.options.company)
        if self.lead.company_id and existing_ids("company", [self.lead.company_id], self.user):
            return self._named("company", self.lead.company_id)
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
        return {"name": self.lead.company_name or domain, "domain": domain}

    def _contact(self, company: int | None) -> int:
        if self.options.contact:
            return self._named("contact", self.options.contact)
        email = self.lead.email
        if email:
            lock(MATCHING, f"contact {email}")
            found = self._first("contact", Q(email=email) | Q(additional_emails__contains=[email]))
            if found:
                return found
        return self._make(CONTACT, {"company": company})

    def _keep_opt_out(self, contact: int) -> None:
        """Who asked not to be contacted stays so, whatever the converter may change on a contact that was
        there already: an opt-out is the person's own and needs nobody's right."""
        if self.lead.do_not_contact and not self.created["contact"]:
            CONTACT.model.objects.filter(pk=contact, do_not_contact=False).update(do_not_contact=True)

    def _opportunity(self, company: int | None, contact: int) -> int:
        lead, options = self.lead, self.options
        given = {
            "name": options.opportunity_name,
            "amount": options.amount,
            "expected_close_date": options.expected_close_date,
            "stage": options.stage,
        }
        refuse_out_of_reach(OPPORTUNITY.for_user(self.user), [name for name, one in given.items() if one])
        amount = lead.estimated_value if options.amount is None else options.amount
        data = {
            "name": options.opportunity_name or f"{self._called()} opportunity"[:200],
            "company": company,
            "contact": contact,
            "amount": amount,
            "pipeline": options.pipeline,
            "stage": options.stage,
            "expected_close_date": options.expected_close_date,
        }
        return self._make(OPPORTUNITY, data)

    def _called(self) -> str:
        """What the lead is called by what the converter may see of it."""
        company = "" if "company_name" in self.seen.hidden else self.lead.company_name
        return company or title_of(self.seen, writing.values_of(self.lead))

    def _first(self, target: str, condition: Q) -> int | None:
        """The oldest record the user may point at that meets the condition."""
        rows: QuerySet = referable(target, self.user).filter(condition).order_by("pk")
        found = rows.values_list("pk", flat=True).first()
        if found:
            self.created[target] = False
        return found

    def _named(self, target: str, pk: int) -> int:
        if not existing_ids(target, [pk], self.user):
            raise InvalidError.of(
                target, _("There is no such %(target)s.") % {"target": target}, "does_not_exist"
            )
        self.created[target] = False
        return pk

    def _make(self, entity: Entity, data: dict[str, Any]) -> int:
        """A new record with all that it shares with the lead, which belongs to whom the lead belongs to."""
        shared = shared_fields(self.entity, entity, self.lead, NOT_COPIED[entity.name])
        whose = {name: self._still_here(name) for name in ("owner", "assigned_to")}
        given = given_for(entity, self.options.custom_fields)
        shared["custom_fields"] = shared["custom_fields"] | given
        with custom_fields_of(entity):
            refuse_out_of_reach(entity.for_user(self.user), [f"{PREFIX}{key}" for key in given])
            record = writing.create_from_input(
                entity, shared | whose | data, self.user, origin=self.lead, rights=UNLIMITED
            )
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


@contextmanager
def custom_fields_of(entity: Entity) -> Iterator[None]:
    """Custom fields that a new record lacks are named as one sends them, below the record's entity."""
    try:
        yield
    except InvalidError as error:
        below = f"{PREFIX}{entity.name}."
        raise InvalidError(
            [replace(i, field=i.field.replace(PREFIX, below, 1)) for i in error.issues]
        ) from error


def check_custom_fields(given: Any) -> None:
    """Raises InvalidError for a custom field that nothing made by a conversion defines."""
    if not isinstance(given, Mapping):
        raise InvalidError.of("custom_fields", _("Expected an object."), "not_an_object")
    known = {entity.name: {d.key for d in definitions(entity)} for entity in MADE} if given else {}
    everywhere = set().union(*known.values()) if known else set()
    issues = []
    for key, value in given.items():
        wanted = {f"{key}.{inner}": inner in known[key] for inner in value} if _is_of_one(key, value) else {}
        names = wanted or {key: key in everywhere}
        issues += [
            FieldIssue(f"{PREFIX}{name}"[:120], "unknown_field", _("No such custom field is defined."))
            for name, is_known in names.items()
            if not is_known
        ]
    if issues:
        raise InvalidError(issues)


def given_for(entity: Entity, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the given custom values that a new record of the entity takes."""
    if not given:
        return {}
    keys = {d.key for d in definitions(entity)}
    for_all = {key: value for key, value in given.items() if key in keys and not _is_of_one(key, value)}
    own = given.get(entity.name)
    return for_all | (dict(own) if isinstance(own, Mapping) else {})


def _is_of_one(key: str, value: Any) -> bool:
    return isinstance(value, Mapping) and key in {entity.name for entity in MADE}


def missing_for_conversion(
    source: Entity, given: Mapping[str, Any], *, create_opportunity: bool
) -> list[str]:
    """The required custom fields that a conversion would lack, as one gives them: what `given` does not have
    and a record of `source` does not carry along."""
    along = {d.key: d.type for d in definitions(source) if d.required}
    made = MADE if create_opportunity else MADE[:2]
    return [
        f"{PREFIX}{entity.name}.{d.key}"
        for entity in made
        for d in definitions(entity)
        if d.required
        and d.default is None
        and along.get(d.key) != d.type
        and d.key not in given_for(entity, given)
    ]
