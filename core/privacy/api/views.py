"""/api/v1/privacy/requests/: exporting and erasing persons; administrators alone."""

from typing import Any

from django.http import FileResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.api.bodies import takes_no_body, validated_body
from core.api.resources import ReadOnlyResourceViewSet
from core.errors import NotVisibleError
from core.privacy import lifecycle
from core.privacy.api.serializers import (
    ErasureCertificateSerializer,
    PrivacyRequestBodySerializer,
    PrivacyRequestSerializer,
)
from core.privacy.certificate import certificate_of
from core.privacy.models import PrivacyRequest
from core.privacy.subject import asked_from


class PrivacyRequestViewSet(ReadOnlyResourceViewSet):
    """Requests of persons: what is kept of them, or to be forgotten."""

    headers_of_jobs = ("Retry-After",)
    model = PrivacyRequest
    queryset = PrivacyRequest.objects.all()
    serializer_class = PrivacyRequestSerializer
    filterset_fields = ("kind", "status", "dry_run")
    ordering_fields = ("created_at", "finished_at", "id")
    action_permissions = {"create": Permission.VIEW, "cancel": Permission.VIEW}

    @extend_schema(request=PrivacyRequestBodySerializer, responses={202: PrivacyRequestSerializer})
    def create(self, request: Request) -> Response:
        """Begin an export, an erasure or its dry run; answered with 202, and worked on in the background."""
        given = validated_body(request, PrivacyRequestBodySerializer)
        asked = asked_from(given)
        made = lifecycle.begin(given["kind"], asked, request.user, dry_run=given["dry_run"])
        made.refresh_from_db()
        return Response(self.get_serializer(made).data, 202, headers={"Retry-After": "1"})

    @extend_schema(request=None, responses=PrivacyRequestSerializer)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel the request between two of its steps; what was erased until then stays erased."""
        found = self.get_object()
        lifecycle.cancel(found)
        found.refresh_from_db()
        return Response(self.get_serializer(found).data)

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.OBJECT})
    @action(methods=["get"], detail=True)
    def download(self, request: Request, pk: str) -> Any:
        """Download the export, until it expires."""
        found = self.get_object()
        file = lifecycle.open_file(found)
        return FileResponse(
            file, as_attachment=True, filename=f"person_{found.pk}.json", content_type="application/json"
        )

    @extend_schema(responses=ErasureCertificateSerializer)
    @action(methods=["get"], detail=True)
    def certificate(self, request: Request, pk: str) -> Response:
        """The certificate of an erasure: what was erased, without naming the person."""
        found = self.get_object()
        is_done = found.status == PrivacyRequest.Status.FINISHED and not found.dry_run
        if found.kind != PrivacyRequest.Kind.ERASE or not is_done:
            raise NotVisibleError(_("Only an erasure that is finished has a certificate."))
        return Response(ErasureCertificateSerializer(certificate_of(found)).data)
