"""`/api/v1/export/{resource_type}/` and `/api/v1/exports/`."""

from typing import Any

from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import FileResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, scopes
from core.api.bodies import takes_no_body, validated_body
from core.api.resources import ReadOnlyResourceViewSet
from core.api.viewsets import CrmViewSet
from core.conf import reading_database
from core.entities import entities
from core.entities.entity import by_plural
from core.entities.field_types import Choice, Json, Text
from core.errors import InvalidError, NotVisibleError
from core.transfer import export_jobs
from core.transfer.api.documented import EXPORT_FORM, EXPORT_JOB
from core.transfer.api.requests import AnyFormat, entity_named
from core.transfer.api.streaming import streamed
from core.transfer.exporting import FORMATS, export_of, stream
from core.transfer.models import ExportJob


class ExportViewSet(CrmViewSet):
    """A list as a file, streamed: its filters, search, ordering and fields, without its pages."""

    content_negotiation_class = AnyFormat
    allowed_query_params = {"stream": None}

    @property
    def policy(self) -> Any:
        return entity_named(self.kwargs["resource_type"]).model.policy

    @extend_schema(operation_id="export_stream", responses={(200, "text/csv"): {"type": "string"}})
    def stream(self, request: Request, resource_type: str) -> Any:
        """CSV (`bom`, `delimiter`, `formulas=keep`), XLSX or JSON lines by `format`, filtered as the list."""
        export = export_of(entity_named(resource_type), request.query_params, request.user)
        name = f"{resource_type}_{timezone.now():%Y%m%d}.{export.format}"
        blocks = stream(export, reading_database())
        # A workbook is whole before its first byte, or cannot be made.
        return streamed(request, blocks, export.content_type, name, begun=export.format == "xlsx")


class ExportJobSerializer(serializers.ModelSerializer):
    url = serializers.SerializerMethodField()
    resource = serializers.SerializerMethodField()
    download_url = serializers.SerializerMethodField()

    class Meta:
        model = ExportJob
        fields = [
            "id", "url", "resource", "format", "params", "status", "message", "rows", "size", "download_url",
            "expires_at", "created_at", "finished_at",
        ]  # fmt: skip

    def get_url(self, job: ExportJob) -> str:
        return f"/api/v1/exports/{job.pk}/"

    def get_resource(self, job: ExportJob) -> str:
        return entities[job.entity].plural

    def get_download_url(self, job: ExportJob) -> str | None:
        return f"/api/v1/exports/{job.pk}/download/" if job.stored_as else None


REQUEST = {
    "resource": Text(max_length=40),
    "format": Choice(choices=tuple(FORMATS)),
    "params": Json(),
}


class ExportJobViewSet(ReadOnlyResourceViewSet):
    """Exports made in the background: yours alone, and only until they expire."""

    model = ExportJob
    queryset = ExportJob.objects.all()
    serializer_class = ExportJobSerializer
    filterset_fields = ("status",)
    ordering_fields = ("created_at", "finished_at", "id")
    action_permissions = {"create": Permission.VIEW, "cancel": Permission.VIEW}

    def get_queryset(self) -> QuerySet:
        return super().get_queryset().order_by("-id")

    @extend_schema(request={"application/json": EXPORT_FORM}, responses={202: EXPORT_JOB})
    def create(self, request: Request) -> Response:
        """Begin an export; answered with 202 and where to ask for it."""
        body = validated_body(request, REQUEST)
        entity = by_plural(body.get("resource", ""))
        if entity is None:
            raise InvalidError.of("resource", "Name what to export, such as leads.", "invalid_choice")
        scopes.require(request.user, entity.plural)
        params = {**_params(body.get("params")), **({"format": body["format"]} if "format" in body else {})}
        job = export_jobs.begin(entity, params, request.user)
        shown = self.get_serializer(job).data
        return Response(shown, 202, headers={"Location": shown["url"], "Retry-After": "1"})

    @extend_schema(request=None, responses={200: EXPORT_JOB})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def cancel(self, request: Request, pk: str) -> Response:
        """End it, between two batches of rows if it runs; nothing of it is kept."""
        job = self.get_object()
        export_jobs.cancel(job)
        job.refresh_from_db()
        return Response(self.get_serializer(job).data)

    @extend_schema(responses={(200, "application/octet-stream"): {"type": "string", "format": "binary"}})
    @action(methods=["get"], detail=True)
    def download(self, request: Request, pk: str) -> Any:
        """The file, for whoever asked for it and until it expires."""
        job = self.get_object()
        scopes.require(request.user, entities[job.entity].plural)
        if not job.stored_as or job.expires_at is None or job.expires_at < timezone.now():
            raise NotVisibleError("There is no file (any more).")
        file = default_storage.open(job.stored_as)
        return FileResponse(
            file, as_attachment=True, filename=job.file_name, content_type=FORMATS[job.format]
        )


def _params(raw: Any) -> dict[str, str | list[str]]:
    """The list's query as text; a list holds the values of a repeated parameter. Raises InvalidError."""
    if raw is None:
        return {}
    values = raw.values() if isinstance(raw, dict) else [None]
    if not all(isinstance(v, str | int | float) for value in values for v in _each(value)):
        raise InvalidError.of("params", "Expected an object of query parameters.")
    return {
        str(name): [_text(v) for v in value] if isinstance(value, list) else _text(value)
        for name, value in raw.items()
    }


def _each(value: Any) -> list[Any]:
    return (value or [None]) if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
