"""E-mail templates over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, scopes
from core.api.bodies import body_of
from core.api.resources import FORCE, ResourceViewSet
from core.api.schema.parts import ANYTHING, JSON, TEXT, array_of, object_of
from core.entities import entities
from core.errors import InvalidError, NotVisibleError
from core.mail.models import EmailTemplate
from core.workflows import engine, templating
from core.workflows.actions.messages import PARTS
from core.workflows.api.serializers import EmailTemplateSerializer, template_names
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

    @extend_schema(
        request={JSON: ANYTHING}, responses={200: object_of({"subject": TEXT, "text": TEXT, "html": TEXT})}
    )
    @action(methods=["post"], detail=True)
    def preview(self, request: Request, pk: str) -> Response:
        """The mail for one record you see: `{"lead_id": 123}`. Nothing is sent."""
        template = self.get_object()
        context = RunContext(preview_run(template, request), request.user).context
        return Response(
            {part: templating.render(getattr(template, part), context, how) for part, how in PARTS}
        )

    @extend_schema(responses={200: object_of({"used": array_of(TEXT), "known": array_of(TEXT)})})
    @action(methods=["get"], detail=True)
    def variables(self, request: Request, pk: str) -> Response:
        """The names the template reads, and all it could read."""
        template = self.get_object()
        texts = [getattr(template, part) for part, _ in PARTS]
        return Response({"used": sorted(templating.paths_read(texts)), "known": known(template.entity)})


def preview_run(template: EmailTemplate, request: Request) -> WorkflowExecution:
    """A run about the record the body names. Raises InvalidError, or NotVisibleError for a hidden one."""
    data = dict(body_of(request))
    name, object_id = engine.record_named(data, template.entity)
    if object_id is None:
        missing = name or entities.keys()[0]
        raise InvalidError.of(f"{missing}_id", "Name a record to render the mail for.", "required")
    scopes.require(request.user, entities[name].plural)
    if not entities[name].visible_to(request.user).filter(pk=object_id).exists():
        raise NotVisibleError(f"There is no such {name}.")
    preview = Workflow(name="preview")
    return WorkflowExecution(
        entity=name, object_id=object_id, trigger_data=data, workflow=preview, version_id=0
    )


def known(entity_name: str) -> list[str]:
    """Every name as it is written in a template."""
    names = template_names(entity_name)
    found = [f"{root}.{field}" for root, below in names.items() if below for field in below]
    return sorted([*found, *(root for root, below in names.items() if not below)])
