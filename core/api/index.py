"""`/api/v1/` itself, for whoever opens the address to look around."""

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from core.api.parameters import KnownParametersMixin
from core.api.routes import router
from core.api.schema.parts import object_of

ADDRESS = {"type": "string", "format": "uri"}
INDEX = object_of(
    {"docs": ADDRESS, "login": ADDRESS, "resources": {"type": "object", "additionalProperties": ADDRESS}}
)


class IndexView(KnownParametersMixin, APIView):
    """Open to everyone, as the documentation is, which says the same at length."""

    authentication_classes: list[type] = []
    permission_classes = [AllowAny]

    @extend_schema(operation_id="index", tags=["index"], responses={200: INDEX})
    def get(self, request: Request) -> Response:
        """List the resources, and where signing in and the documentation are."""
        listed = sorted(
            {
                prefix
                for prefix, viewset, _ in router.registry
                if hasattr(viewset, "list") and "-" not in prefix
            }
        )
        return Response(
            {
                "docs": reverse("docs", request=request),
                "login": reverse("auth-login", request=request),
                "resources": {name: request.build_absolute_uri(f"/api/v1/{name}/") for name in listed},
            }
        )
