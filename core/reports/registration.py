"""What reports register at start-up."""

from core.api import routes
from core.demo import demo_parts
from core.reports.api.goals import GoalViewSet
from core.reports.api.views import ReportViewSet
from core.reports.demo import add_goals

routes.register("reports", ReportViewSet)
routes.register("goals", GoalViewSet)
demo_parts.register("goals", add_goals)
