"""What the audit trail registers at start-up."""

from core import standalone_runner
from core.api import routes
from core.audit import (
    tasks,  # noqa: F401  (Celery tasks)
)
from core.audit.api import ChangeViewSet
from core.audit.seals_api import AuditSealViewSet
from core.changes import seals
from core.entities.relation_transfer import not_moved

not_moved.register("core.change", "What happened to a record happened to it; its survivor shows it too.")
routes.register("changes", ChangeViewSet)
routes.register("audit/seals", AuditSealViewSet, "audit_seals")

standalone_runner.background_jobs.register("audit", seals.seal_now_and_then)
