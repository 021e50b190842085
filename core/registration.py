"""What core registers with its own registries at start-up."""

from core import tasks  # noqa: F401  (jobs are asked for by name, so they must be known in every process)
from core.api import routes
from core.api.changes import ChangeViewSet
from core.api.people import TeamViewSet, UserViewSet
from core.demo import demo_parts
from core.demo.people import add_people, add_settings
from core.entities.references import targets
from core.models import Team, User

targets.register("user", User)
targets.register("team", Team)

routes.register("changes", ChangeViewSet)
routes.register("users", UserViewSet)
routes.register("teams", TeamViewSet)

demo_parts.register("people", add_people)
demo_parts.register("settings", add_settings)
