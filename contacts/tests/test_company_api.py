"""Companies, held to what every entity's API promises."""

from contacts.tests.factories import CompanyFactory
from tests.entity_api import EntityAPITests


class TestCompanyAPI(EntityAPITests):
    entity, factory = "company", CompanyFactory
    body = {"name": "Analytical Engines", "domain": "engines.example", "company_size": 40}
    change = {"industry": "Machinery", "city": "London"}
    missing = {"name"}
    searched = "name"
    ordered = ("company_size", 9, 10)
    filtered = ("industry", "Retail", "Mining")
    statements = EntityAPITests.statements | {"statistics": 3, "create": 14}
