"""What reports register at start-up."""

from core.api import routes
from core.reports.api.views import ReportViewSet

routes.register("reports", ReportViewSet)
