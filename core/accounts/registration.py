"""What signing in registers at start-up."""

from django.db.models import TextField, Value
from django.db.models.functions import Coalesce, Concat, NullIf, Trim

from core.accounts import tasks  # noqa: F401  (tasks are asked for by name, so every process must know them)
from core.accounts.api.auth_urls import urlpatterns
from core.accounts.api.views import TeamViewSet, UserViewSet
from core.accounts.demo import add_people
from core.accounts.models import Team, User
from core.api import routes
from core.demo import demo_parts
from core.entities.columns import columns, derived
from core.entities.field_types import Text
from core.entities.references import register_target

_whole_name = Trim(Concat("first_name", Value(" "), "last_name", output_field=TextField()))
# As User.get_full_name gives it.
_FULL_NAME = Coalesce(NullIf(_whole_name, Value("")), "username", output_field=TextField())
# E-mail addresses are not among them: whoever may ask for one letter after the other would find them out.
register_target(
    "user",
    User,
    *columns(User, "username", "first_name", "last_name"),
    derived("full_name", Text(), _FULL_NAME),
    *columns(User, "team", "is_active"),
)
register_target("team", Team, *columns(Team, "name", "parent"))

routes.register("users", UserViewSet)
routes.register("teams", TeamViewSet)
routes.include_urls("auth/", urlpatterns)

demo_parts.register("people", add_people)
