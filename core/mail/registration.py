"""What outgoing mail registers at start-up."""

from core import standalone_runner
from core.demo import demo_parts
from core.mail import (
    sending,
    tasks,
    usage,  # noqa: F401  (a source of references)
)
from core.mail.demo import add_templates

standalone_runner.background_jobs.register("mail", lambda stopped: sending.send_due(tasks.SEND_S, stopped))
demo_parts.register("templates", add_templates)
