"""Deals: what they hold of persons (core.personal_data). They stay, with their amounts."""

from core.personal_data import (
    SETTINGS,
    PersonalTable,
    holds_none,
    kept_by_law,
    personal_tables,
    related_records,
)

related_records.register(
    "deals of contacts",
    (
        "opportunity",
        "SELECT o.id FROM opportunities_opportunity o JOIN {records}"
        " ON p.entity = 'contact' AND o.contact_id = p.id"
        " UNION SELECT c.opportunity_id FROM opportunities_opportunitycontact c JOIN {records}"
        " ON p.entity = 'contact' AND c.contact_id = p.id",
    ),
)
kept_by_law.register(
    "opportunities_opportunity",
    "Deals stay with their amounts, currencies and dates, which accounts are kept by; who the person was is"
    " taken out of them.",
)
personal_tables.register("opportunities_opportunity", PersonalTable("deals", entity="opportunity"))
personal_tables.register(
    "opportunities_opportunitycontact",
    PersonalTable(
        "contacts of deals",
        linked="t.contact_id IN (SELECT p.id FROM {records} WHERE p.entity = 'contact')",
    ),
)
holds_none(SETTINGS, "opportunities_pipeline", "opportunities_stage", "opportunities_lostreason")
