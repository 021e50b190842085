"""What merging of records registers at start-up."""

from core.api import routes
from core.duplicates import tasks  # noqa: F401  (tasks are asked for by name)
from core.duplicates.api.views import MergeViewSet
from core.entities.relation_transfer import not_moved

not_moved.register("core.merge", "A merge is about the records of its time; undoing one asks for them.")
routes.register("merges", MergeViewSet)
