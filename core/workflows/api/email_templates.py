"""E-mail templates over HTTP."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.api.bodies import validated_body
from core.api.resources import FORCE, ResourceViewSet
from core.mail.models import EmailTemplate
from core.workflows import templating
from core.workflows.actions.messages import PARTS
from core.workflows.api.serializers import (
    EmailTemplateSerializer,
    PreviewSerializer,
    RenderedMailSerializer,
    TemplateVariablesSerializer,
    template_names,
)
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.run_context import RunContext


class EmailTemplateViewSet(ResourceViewSet):
    """Mails with `{{ … }}` in them, which workflows send by their `key`."""

    model = EmailTemplate
    queryset = EmailTemplate.objects.order_by("name", "id")
    serializer_class = EmailTemplateSerializer
    filterset_fields = ("key", "entity", "name")
    ordering_fields = ("key", "entity", "name", "created_at", "updated_at", "id")
    allowed_query_params = FORCE
    action_permissions = {"preview": Permission.VIEW, "variables": Permission.VIEW}

    def perform_create(self, serializer: Any) -> None:
        self.saved(serializer, created_by=self.request.user)

    @extend_schema(request=PreviewSerializer, responses=RenderedMailSerializer)
    @action(methods=["post"], detail=True)
    def preview(self, request: Request, pk: str) -> Response:
        """Preview the mail for one record that you see: `{"lead_id": 123}`. Nothing is sent."""
        template = self.get_object()
        given = validated_body(request, PreviewSerializer, model=template.entity)
        context = RunContext(preview_run(given), request.user).context
        return Response(
            {part: templating.render(getattr(template, part), context, how) for part, how in PARTS}
        )

    @extend_schema(responses=TemplateVariablesSerializer)
    @action(methods=["get"], detail=True)
    def variables(self, request: Request, pk: str) -> Response:
        """List the variables that the template uses, and all that it could use."""
        template = self.get_object()
        texts = [getattr(template, part) for part, _ in PARTS]
        return Response(
            {"used": sorted(templating.paths_read(texts)), "known": known(template.entity, request.user)}
        )


def preview_run(given: Mapping[str, Any]) -> WorkflowExecution:
    """A run, not stored, about the record of a validated PreviewSerializer."""
    return WorkflowExecution(
        entity=given["entity"],
        object_id=given["object_id"],
        trigger_data=given["data"],
        workflow=Workflow(name="preview"),
        version_id=0,
    )


def known(entity_name: str, user: Any) -> list[str]:
    """Every name that a template of this user may read, as it is written there."""
    names = template_names(entity_name, user)
    found = [f"{root}.{field}" for root, below in names.items() if below for field in below]
    return sorted([*found, *(root for root, below in names.items() if not below)])
