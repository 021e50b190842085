"""What core registers with its own registries at start-up."""

from core import tasks  # noqa: F401  (jobs are asked for by name, so they must be known in every process)
from core.api import routes
from core.api.activities import ActivityViewSet, CommentViewSet
from core.api.changes import ChangeViewSet
from core.api.custom_fields import CustomFieldViewSet
from core.api.email_templates import EmailTemplateViewSet
from core.api.executions import ExecutionViewSet
from core.api.notifications import NotificationViewSet
from core.api.people import TeamViewSet, UserViewSet
from core.api.push import PushSubscriptionViewSet
from core.api.saved_views import SavedViewViewSet
from core.api.scoring import ScoringViewSet
from core.api.scoring_life import ScoringJobViewSet, ScoringModelViewSet, ScoringRulesViewSet
from core.api.tags import TagViewSet
from core.api.transfer.exports import ExportJobViewSet
from core.api.transfer.import_jobs import ImportJobViewSet
from core.api.transfer.saved_mappings import SavedMappingViewSet
from core.api.webhooks import DeliveryViewSet, WebhookViewSet
from core.api.workflows import WorkflowViewSet
from core.changes import (
    attachments,  # noqa: F401  (timeline sources and carry-overs)
    consumers,
)
from core.demo import demo_parts
from core.demo.automation import add_templates
from core.demo.people import add_people, add_settings
from core.entities.references import targets
from core.lead_scoring import consuming as marking  # noqa: F401  (a consumer of changes)
from core.lead_scoring import work as scoring
from core.models import Team, User
from core.notifications import consuming, live  # noqa: F401  (consumers of changes)
from core.notifications import sweeping as notices
from core.notifications.channels import email, push, sms  # noqa: F401  (they register themselves)
from core.transfer import export_jobs
from core.transfer import working as importing
from core.webhooks import consuming as webhooks
from core.webhooks import sending
from core.workflows import automation, matching
from core.workflows import timeline as mail_timeline  # noqa: F401  (a timeline source)

targets.register("user", User)
targets.register("team", Team)

routes.register("changes", ChangeViewSet)
routes.register("custom-fields", CustomFieldViewSet, "custom_fields")
routes.register("saved-views", SavedViewViewSet, "saved_views")
routes.register("tags", TagViewSet)
routes.register("users", UserViewSet)
routes.register("teams", TeamViewSet)

demo_parts.register("people", add_people)
demo_parts.register("settings", add_settings)
demo_parts.register("templates", add_templates)
routes.register("activities", ActivityViewSet)
routes.register("comments", CommentViewSet)
# Before the inbox, whose ids would match as well.
routes.register("notifications/push", PushSubscriptionViewSet, "push")
routes.register("notifications", NotificationViewSet)
routes.register("imports", ImportJobViewSet)
routes.register("exports", ExportJobViewSet)
routes.register("import_mappings", SavedMappingViewSet)

routes.register("workflows", WorkflowViewSet)
routes.register("executions", ExecutionViewSet)
routes.register("email-templates", EmailTemplateViewSet)

routes.register("webhooks", WebhookViewSet)
routes.register("webhook-deliveries", DeliveryViewSet)

consumers.register("workflows", matching.consume)
consumers.register("webhooks", webhooks.consume)

# What `manage.py run_automation` does besides workflows and mail.
automation.jobs.register("webhooks", lambda stopped: sending.deliver_due(stopped=stopped))
automation.jobs.register("notifications", notices.sweep)
automation.jobs.register("imports", importing.work_off_all)
automation.jobs.register("exports", export_jobs.work_off_all)
automation.jobs.register("scoring", scoring.work_off_all)
# Before "scoring", whose addresses end in a lead's id.
routes.register("scoring/models", ScoringModelViewSet)
routes.register("scoring/jobs", ScoringJobViewSet)
routes.register("scoring", ScoringRulesViewSet, "scoring_rules")
routes.register("scoring", ScoringViewSet)
