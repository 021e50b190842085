"""Contacts, held to what every entity's API promises."""

from contacts.tests.factories import ContactFactory
from tests.entity_api import EntityAPITests


class TestContactAPI(EntityAPITests):
    entity, factory = "contact", ContactFactory
    body = {"first_name": "Ada", "last_name": "Byron", "company_name": "Engines"}
    change = {"job_title": "Analyst", "city": "London"}
    missing = {"first_name"}
    searched = "company_name"
    ordered = ("last_name", "Byron", "Lovelace")
    filtered = ("country", "Italy", "France")
    statements = EntityAPITests.statements | {"statistics": 3, "create": 12}
