"""What signing in registers at start-up."""

from core.accounts import tasks  # noqa: F401  (tasks are asked for by name, so every process must know them)
from core.accounts.api.auth_urls import urlpatterns
from core.accounts.api.views import TeamViewSet, UserViewSet
from core.accounts.demo import add_people
from core.accounts.models import Team, User
from core.api import routes
from core.demo import demo_parts
from core.entities.references import targets

targets.register("user", User)
targets.register("team", Team)

routes.register("users", UserViewSet)
routes.register("teams", TeamViewSet)
routes.include_urls("auth/", urlpatterns)

demo_parts.register("people", add_people)
