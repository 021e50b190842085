"""What the audit trail registers at start-up."""

from core.api import routes
from core.audit.api import ChangeViewSet
from core.entities.relation_transfer import not_moved

not_moved.register("core.change", "What happened to a record happened to it; its survivor shows it too.")
routes.register("changes", ChangeViewSet)
