"""Tasks, held to what every entity's API promises."""

from tasks.tests.factories import TaskFactory
from tests.entity_api import EntityAPITests


class TestTaskAPI(EntityAPITests):
    entity, factory = "task", TaskFactory
    body = {"title": "Call Ada", "task_type": "call", "due_date": "2030-01-31T09:00:00.000000Z"}
    change = {"outcome": "Spoke", "description": "About engines"}
    missing = {"title"}
    searched = "description"
    ordered = ("due_date", "2030-01-30T09:00:00Z", "2030-01-31T09:00:00Z")
    filtered = ("priority", "urgent", "low")
    beside = frozenset(("records",))
    statements = EntityAPITests.statements | {"create": 12, "statistics": 3}
