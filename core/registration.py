"""What core registers with its own registries at start-up."""

from core import tasks  # noqa: F401  (jobs are asked for by name, so they must be known in every process)
from core.api import routes
from core.api.changes import ChangeViewSet

routes.register("changes", ChangeViewSet)
