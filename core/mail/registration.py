"""What outgoing mail registers at start-up."""

from core import standalone_runner
from core.api import routes
from core.mail import (
    sending,
    tasks,
    usage,  # noqa: F401  (a source of references)
)
from core.mail.api.urls import urlpatterns

standalone_runner.background_jobs.register("mail", lambda stopped: sending.send_due(tasks.SEND_S, stopped))
routes.include_urls("v1/", urlpatterns)
