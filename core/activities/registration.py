"""What activities, comments and followers register at start-up."""

from core.activities import activity_timeline  # noqa: F401  (timeline sources and what moves on conversion)
from core.activities.api.views import ActivityViewSet, CommentViewSet
from core.api import routes

routes.register("activities", ActivityViewSet)
routes.register("comments", CommentViewSet)
