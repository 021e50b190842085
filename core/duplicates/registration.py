"""What duplicates register at start-up."""

from core.api import routes
from core.duplicates import (
    tasks,  # noqa: F401  (tasks are asked for by name)
    usage,  # noqa: F401  (rules use custom fields)
)
from core.duplicates.api.rules import DuplicateRuleViewSet
from core.duplicates.api.views import MergeViewSet
from core.entities.relation_transfer import not_moved

not_moved.register("core.merge", "A merge is about the records of its time; undoing one asks for them.")
routes.register("merges", MergeViewSet)
routes.register("duplicate_rules", DuplicateRuleViewSet)
