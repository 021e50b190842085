"""Opportunities, held to what every entity's API promises."""

from opportunities.tests.factories import OpportunityFactory
from tests.entity_api import EntityAPITests


class TestOpportunityAPI(EntityAPITests):
    entity, factory = "opportunity", OpportunityFactory
    body = {"name": "Second engine", "amount": "48000.00", "currency": "GBP", "stage": "proposal"}
    change = {"next_step": "Call Ada", "lead_source": "referral"}
    missing = {"name"}
    searched = "name"
    ordered = ("amount", "9.00", "10.00")
    filtered = ("stage", "proposal", "negotiation")
    statements = EntityAPITests.statements | {
        "list, expanded": 5,
        "retrieve, expanded": 5,
        "statistics": 2,
        "create": 13,
        "patch": 14,
        "put": 14,
        "bulk update": 13,
        "bulk update, atomic": 13,
    }
