"""Leads, held to what every entity's API promises."""

from lead_management.tests.factories import LeadFactory
from tests.entity_api import EntityAPITests


class TestLeadAPI(EntityAPITests):
    entity, factory = "lead", LeadFactory
    body = {"first_name": "Ada", "last_name": "Byron", "lead_source": "referral"}
    change = {"job_title": "Analyst", "city": "London"}
    missing = {"first_name"}
    searched = "company_name"
    ordered = ("estimated_value", "9.00", "10.00")
    filtered = ("status", "qualified", "contacted")
    statements = EntityAPITests.statements | {"create": 13, "statistics": 2}
