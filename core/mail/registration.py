"""What outgoing mail registers at start-up."""

from core import standalone_runner
from core.api import routes
from core.demo import demo_parts
from core.mail import (
    sending,
    tasks,
    usage,  # noqa: F401  (a source of references)
)
from core.mail.api.urls import urlpatterns
from core.mail.demo import add_templates

standalone_runner.background_jobs.register("mail", lambda stopped: sending.send_due(tasks.SEND_S, stopped))
routes.include_urls("v1/", urlpatterns)
demo_parts.register("templates", add_templates)
