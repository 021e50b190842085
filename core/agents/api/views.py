"""/api/v1/agents/: sessions of AI clients, and what one lets which of them do."""

from typing import Any

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.agents import sessions
from core.agents.api.serializers import AgentGrantSerializer, AgentSessionSerializer
from core.agents.models import AgentGrant, AgentSession
from core.agents.undoing import undo
from core.api.bodies import takes_no_body
from core.api.resources import ReadOnlyResourceViewSet
from core.changes.models import Change

_ROWS = (
    Change.objects.filter(agent_session_id=OuterRef("pk"))
    .order_by()
    .values("agent_session_id")
    .annotate(n=Count("pk"))
    .values("n")
)


class AgentGrantViewSet(ReadOnlyResourceViewSet):
    """What you allow AI clients to do; administrators see everyone's grants."""

    model = AgentGrant
    queryset = AgentGrant.objects.select_related("user", "api_key", "usage")
    serializer_class = AgentGrantSerializer
    filterset_fields = ("user", "name")
    ordering_fields = ("created_at", "last_used_at", "id")
    action_permissions = {"revoke": Permission.VIEW}

    @extend_schema(request=None, responses=AgentGrantSerializer)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def revoke(self, request: Request, pk: str) -> Response:
        """Revoke the grant: the AI client is refused from its next call on."""
        grant = self.get_object()
        sessions.revoke(grant)
        return Response(self.get_serializer(self.get_queryset().get(pk=grant.pk)).data)


class AgentSessionViewSet(ReadOnlyResourceViewSet):
    """Sessions of AI clients, the newest first; administrators see everyone's."""

    model = AgentSession
    queryset = AgentSession.objects.select_related("grant__user").annotate(
        changes=Coalesce(Subquery(_ROWS), 0)
    )
    serializer_class = AgentSessionSerializer
    filterset_fields = ("grant",)
    ordering_fields = ("started_at", "last_used_at", "id")
    action_permissions = {"undo": Permission.VIEW}

    @extend_schema(request=None, responses=AgentSessionSerializer)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def undo(self, request: Request, pk: str) -> Response:
        """Undo what the session changed, field by field; what others changed since stays and is listed."""
        session: Any = self.get_object()
        undo(session.pk, request.user)
        return Response(self.get_serializer(self.get_queryset().get(pk=session.pk)).data)
