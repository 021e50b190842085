"""Records of every entity, for tests that treat all of them alike."""

from typing import Any

from contacts.tests.factories import CompanyFactory, ContactFactory
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory

FACTORIES = {
    "lead": LeadFactory,
    "contact": ContactFactory,
    "company": CompanyFactory,
    "opportunity": OpportunityFactory,
    "task": TaskFactory,
}
ENTITIES = tuple(FACTORIES)
# The column that each is called by.
TITLE = {
    "lead": "first_name",
    "contact": "first_name",
    "company": "name",
    "opportunity": "name",
    "task": "title",
}


def record(name: str, title: str, **values: Any) -> Any:
    """A stored record called `title`."""
    return FACTORIES[name](**{TITLE[name]: title}, **values)
