"""Contacts and companies: what they hold of persons (core.personal_data)."""

from core.personal_data import (
    NUMBERS,
    AddressColumns,
    PersonalTable,
    PersonEntity,
    address_columns,
    holds_none,
    person_entities,
    personal_tables,
)

person_entities.register(
    "contact",
    PersonEntity(
        "contacts_contact",
        emails=("email", "additional_emails"),
        phones=("phone", "mobile", "additional_phones"),
        lists=("additional_emails", "additional_phones"),
        own_emails=("email",),
        own_phones=("phone", "mobile"),
    ),
)
personal_tables.register("contacts_contact", PersonalTable("contacts", entity="contact"))
address_columns.register("company", AddressColumns("contacts_company", ("email",), ("phone",)))
personal_tables.register("contacts_company", PersonalTable("companies", entity="company"))
holds_none(NUMBERS, "contacts_companysuggestion", "contacts_companycheck")
