"""What outgoing webhooks registers at start-up."""

from core import standalone_runner
from core.api import routes
from core.changes import consumers
from core.entities.relation_transfer import not_moved
from core.webhooks import (
    consumer,
    sending,
    tasks,  # noqa: F401  (tasks are asked for by name)
    usage,  # noqa: F401  (a source of references)
)
from core.webhooks.api.views import DeliveryViewSet, WebhookViewSet

routes.register("webhooks", WebhookViewSet)
routes.register("webhook_deliveries", DeliveryViewSet)

not_moved.register("core.webhookdelivery", "A delivery says what was sent, about the record of that time.")
consumers.register("webhooks", consumer.consume)
standalone_runner.background_jobs.register("webhooks", lambda stopped: sending.deliver_due(stopped=stopped))
