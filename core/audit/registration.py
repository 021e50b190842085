"""What the audit trail registers at start-up."""

from core.api import routes
from core.audit.api import ChangeViewSet

routes.register("changes", ChangeViewSet)
