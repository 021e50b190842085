"""What global search registers at start-up."""

from core.api import routes
from core.search.api.views import SearchViewSet

routes.register("search", SearchViewSet, "search")
