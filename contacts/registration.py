"""What contacts and companies hand to core."""

from pathlib import Path
from typing import Any

from django.db.models import Q

from contacts.demo import add_contacts
from contacts.duplicates import same_company, same_person
from contacts.models import Company, Contact
from contacts.rules import (
    Domain,
    company_domain,
    company_named,
    no_parent_below_itself,
    one_primary_address,
    somebody,
)
from core.api import routes
from core.demo import demo_parts
from core.entities import column, columns
from core.entities.amounts import fits_currency
from core.entities.entity import Entity, NamedFilter, id_column, record_columns, register
from core.entities.field_types import Email, Phone, TextList
from core.entities.money import CURRENCY
from core.entities.ownership import COMMON_FILTERS
from core.models.fields import ADDRESS
from core.transfer.headers import headers_of, load, people

PHONES = TextList(child=Phone(), max_length=20)
EMAILS = TextList(child=Email(), max_length=20)


def _any_email(value: str, user: Any) -> Q:
    return Q(email=value) | Q(additional_emails__contains=[value])


COMPANY = register(
    Entity(
        name="company",
        plural="companies",
        model=Company,
        display_fields=("name",),
        columns=(
            id_column(Company),
            column(Company, "name"),
            column(Company, "domain", field_type=Domain()),
            *columns(Company, "website", "industry", "company_size", "annual_revenue"),
            column(Company, "currency", field_type=CURRENCY),
            column(Company, "phone", field_type=Phone()),
            *columns(Company, "email", "parent", *ADDRESS),
            column(Company, "notes", orderable=False),
            *record_columns(Company),
        ),
        filters=COMMON_FILTERS,
        rules=(company_domain, no_parent_below_itself, fits_currency("annual_revenue")),
        duplicates=same_company,
        create_by_name=True,
        example={"name": "Analytical Engines", "domain": "engines.example", "industry": "Machinery"},
    )
)

CONTACT = register(
    Entity(
        name="contact",
        plural="contacts",
        model=Contact,
        display_fields=("first_name", "last_name"),
        display_fallback=("email", "company_name", "phone", "mobile"),
        columns=(
            id_column(Contact),
            *columns(Contact, "first_name", "last_name", "email"),
            column(Contact, "additional_emails", field_type=EMAILS, orderable=False),
            column(Contact, "phone", field_type=Phone()),
            column(Contact, "mobile", field_type=Phone()),
            column(Contact, "additional_phones", field_type=PHONES, orderable=False),
            *columns(Contact, "job_title", "department", "company", "company_name", "website", *ADDRESS),
            column(Contact, "lead_source", aliases=("source",)),
            *columns(Contact, "last_contacted_at", "do_not_contact"),
            column(Contact, "notes", orderable=False),
            *record_columns(Contact),
        ),
        filters={
            **COMMON_FILTERS,
            "any_email": NamedFilter(Email(), _any_email, "With this address, primary or not."),
        },
        rules=(company_named, one_primary_address, somebody),
        duplicates=same_person,
        example={"first_name": "Ada", "last_name": "Byron", "email": "ada@engines.example", "company": 1},
    )
)


demo_parts.register("contacts", add_contacts)

headers_of.register("company", load(*people(), Path(__file__).with_name("company_headers.toml")))
headers_of.register("contact", load(*people(), Path(__file__).with_name("contact_headers.toml")))


def _register_routes() -> None:
    from contacts.api.views import CompanyViewSet, ContactViewSet  # the views need the entities above

    routes.register("companies", CompanyViewSet)
    routes.register("contacts", ContactViewSet)


_register_routes()
