"""Requests from outside that start workflows."""

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.schema.parts import ANYTHING, JSON
from core.changes import audit_context
from core.workflows import inbound
from core.workflows.api.serializers import HookAcceptedSerializer


class HookView(APIView):
    """The address of one workflow. The signature alone decides who may call it (Standard Webhooks)."""

    authentication_classes: list[type] = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="hooks_receive",
        request={JSON: ANYTHING},
        responses={202: HookAcceptedSerializer},
    )
    def post(self, request: Request, key: str) -> Response:
        """Start the workflow; a `webhook-id` that came before starts nothing new."""
        with audit_context(source="api"):
            run = inbound.receive(key, request.headers, request._request.body[: inbound.MAX_BODY + 1])
        return Response({"accepted": run is not None, "execution_id": run.pk if run else None}, status=202)
