"""What automation registers at start-up."""

from core import standalone_runner
from core.api import routes
from core.changes import consumers, dispatch
from core.workflows import (
    matching,
    tasks,  # noqa: F401  (tasks are asked for by name)
    timeline,  # noqa: F401  (a source of the timeline)
    usage,  # noqa: F401  (a source of references)
    work_turn,
)
from core.workflows.api.email_templates import EmailTemplateViewSet
from core.workflows.api.executions import ExecutionViewSet
from core.workflows.api.urls import urlpatterns
from core.workflows.api.views import WorkflowViewSet

routes.register("workflows", WorkflowViewSet)
routes.register("executions", ExecutionViewSet)
routes.register("email_templates", EmailTemplateViewSet)
routes.include_urls("v1/", urlpatterns)

consumers.register("workflows", matching.consume)
dispatch.feed_first("workflows")
standalone_runner.background_jobs.register("workflows", work_turn.work_turn)
