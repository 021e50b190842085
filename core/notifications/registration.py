"""What notifications registers at start-up."""

from core import standalone_runner
from core.api import routes
from core.notifications import (
    consumer,  # noqa: F401  (a consumer of changes)
    live,  # noqa: F401  (a consumer of changes)
    sweeping,
    tasks,  # noqa: F401  (tasks are asked for by name, so every process must know them)
    usage,  # noqa: F401  (a listener)
)
from core.notifications.api.push import PushSubscriptionViewSet
from core.notifications.api.urls import urlpatterns
from core.notifications.api.views import NotificationViewSet
from core.notifications.channels import email, push, sms  # noqa: F401  (they register themselves)

# Before the inbox, whose ids would match as well.
routes.include_urls("v1/", urlpatterns)
routes.register("notifications/push", PushSubscriptionViewSet, "push")
routes.register("notifications", NotificationViewSet)

standalone_runner.background_jobs.register("notifications", sweeping.sweep)
