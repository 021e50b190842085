"""Leads: what they hold of persons (core.personal_data)."""

from core.personal_data import (
    PersonalTable,
    PersonEntity,
    person_entities,
    personal_tables,
    related_records,
)

person_entities.register(
    "lead",
    PersonEntity(
        "lead_management_lead",
        emails=("email",),
        phones=("phone", "mobile"),
        own_emails=("email",),
        own_phones=("phone", "mobile"),
        same="SELECT 'contact', l.converted_contact_id FROM lead_management_lead l JOIN {records}"
        " ON p.entity = 'lead' AND l.id = p.id WHERE l.converted_contact_id IS NOT NULL"
        " UNION SELECT 'lead', l.id FROM lead_management_lead l JOIN {records}"
        " ON p.entity = 'contact' AND l.converted_contact_id = p.id",
    ),
)
personal_tables.register("lead_management_lead", PersonalTable("leads", entity="lead"))
related_records.register(
    "deals that leads became",
    (
        "opportunity",
        "SELECT l.converted_opportunity_id FROM lead_management_lead l JOIN {records}"
        " ON p.entity = 'lead' AND l.id = p.id WHERE l.converted_opportunity_id IS NOT NULL",
    ),
)
