"""The declarations of companies and contacts: everything generic reads them."""

from contacts.models import Company, Contact
from contacts.rules import (
    Domain,
    company_domain,
    company_named,
    no_parent_below_itself,
    one_primary_address,
    somebody,
)
from core.entities import column, columns
from core.entities.amounts import currency_column, fits_currency
from core.entities.comparisons import NAME_AND_COMPANY, SAME_ADDRESS, SamePhone, SameText, SameValue
from core.entities.entity import Entity, id_column, record_columns, register
from core.entities.field_types import Email, Phone, TextList
from core.entities.merging import Merging, TakenTogether, any_of, latest
from core.models.fields import ADDRESS

PHONES = TextList(child=Phone(), max_length=20)
EMAILS = TextList(child=Email(), max_length=20)


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
            currency_column(Company),
            column(Company, "phone", field_type=Phone()),
            *columns(Company, "email", "parent", *ADDRESS),
            column(Company, "notes", orderable=False),
            *record_columns(Company),
        ),
        rules=(company_domain, no_parent_below_itself, fits_currency("annual_revenue")),
        duplicates=(
            SameText("name", "name", ("name",), weight=0.6),
            SameValue("domain", "domain", ("domain",), weight=0.6),
            SameValue("email", "e-mail address", ("email",), always=False, weight=0.9),
            SamePhone("phone", "phone number", ("phone",), always=False),
            SAME_ADDRESS,
        ),
        merging=Merging(
            together=(
                TakenTogether(("annual_revenue", "currency"), decided_by=("annual_revenue",)),
                TakenTogether(ADDRESS, decided_by=ADDRESS),
            ),
        ),
        create_by_name=True,
        figures={"with_domain": "domain", "by_industry": "industry", "by_country": "country"},
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
        rules=(company_named, one_primary_address, somebody),
        duplicates=(
            SameValue("email", "e-mail address", ("email", "additional_emails"), weight=0.9),
            SamePhone("phone", "phone number", ("phone", "mobile", "additional_phones")),
            NAME_AND_COMPANY,
            SAME_ADDRESS,
        ),
        merging=Merging(
            combined={"do_not_contact": any_of, "last_contacted_at": latest},
            together=(
                TakenTogether(("company", "company_name"), decided_by=("company",)),
                TakenTogether(ADDRESS, decided_by=ADDRESS),
            ),
            kept_in={
                "email": "additional_emails",
                "phone": "additional_phones",
                "mobile": "additional_phones",
            },
        ),
        always_shown=("do_not_contact", "last_contacted_at"),
        coupled=(("email", "additional_emails"), ("phone", "additional_phones")),
        figures={
            "with_email": "email",
            "with_phone": "phone",
            "by_company": "company_name",
            "by_country": "country",
        },
        example={"first_name": "Ada", "last_name": "Byron", "email": "ada@engines.example", "company": 1},
    )
)
