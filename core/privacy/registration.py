"""What privacy registers at start-up."""

from core import standalone_runner
from core.api import routes
from core.privacy import (
    jobs,
    tasks,  # noqa: F401  (tasks are asked for by name)
)
from core.privacy.api.views import PrivacyRequestViewSet

routes.register("privacy/requests", PrivacyRequestViewSet, "privacy_requests")

standalone_runner.background_jobs.register("privacy", jobs.run_pending)
