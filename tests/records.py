"""Records of every entity, for tests that treat all of them alike."""

from typing import Any

from core.entities import entities
from opportunities.models import Pipeline

ENTITIES = ("lead", "contact", "company", "opportunity", "task")
# The column that each is called by.
TITLE = {
    "lead": "first_name",
    "contact": "first_name",
    "company": "name",
    "opportunity": "name",
    "task": "title",
}


def unsaved(name: str, title: str, **values: Any) -> Any:
    """A record called `title`, not stored yet."""
    given = {TITLE[name]: title, **values}
    if name == "opportunity":
        given |= {"pipeline": Pipeline.objects.get(is_default=True), "stage": "proposal"}
    return entities[name].model(**given)
