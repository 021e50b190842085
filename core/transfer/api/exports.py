"""`/api/v1/export/{resource_type}/` and `/api/v1/exports/`."""

from typing import Any

from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import FileResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, scopes
from core.api.bodies import takes_no_body, validated_body
from core.api.resources import ReadOnlyResourceViewSet
from core.api.viewsets import CrmViewSet
from core.conf import reading_database
from core.entities import entities
from core.errors import NotVisibleError
from core.transfer import export_jobs
from core.transfer.api.requests import entity_named
from core.transfer.api.serializers import ExportJobSerializer, ExportRequestSerializer
from core.transfer.api.streaming import streamed
from core.transfer.exporting import FORMATS, export_of, stream
from core.transfer.models import ExportJob
from core.transfer.withheld import check_file

# An answer that is a file, by its content type.
FILES = {
    (200, content_type.partition(";")[0]): (
        {"type": "string"} if content_type.startswith("text/") else {"type": "string", "format": "binary"}
    )
    for content_type in FORMATS.values()
}


class AnyFormat(DefaultContentNegotiation):
    """`?format=` names the format of the export, not one of our renderers."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class ExportViewSet(CrmViewSet):
    """A list as a file, streamed: its filters, search, ordering and fields, without its pages."""

    content_negotiation_class = AnyFormat
    allowed_query_params = {"stream": None}

    @property
    def policy(self) -> Any:
        return entity_named(self.kwargs["resource_type"]).model.policy

    @extend_schema(operation_id="export_stream", responses=FILES)
    def stream(self, request: Request, resource_type: str) -> Any:
        """Download a list as a file, with the list's filters. `format` is CSV (with the options `bom`,
        `delimiter`, `formulas=keep`), XLSX or JSON lines."""
        export = export_of(entity_named(resource_type), request.query_params, request.user)
        name = f"{resource_type}_{timezone.now():%Y%m%d}.{export.format}"
        blocks = stream(export, reading_database())
        # A workbook is whole before its first byte, or cannot be made.
        return streamed(request, blocks, export.content_type, name, begun=export.format == "xlsx")


class ExportJobViewSet(ReadOnlyResourceViewSet):
    """Exports made in the background: yours alone, and only until they expire."""

    headers_of_jobs = ("Location", "Retry-After")
    model = ExportJob
    queryset = ExportJob.objects.all()
    serializer_class = ExportJobSerializer
    filterset_fields = ("status",)
    ordering_fields = ("created_at", "finished_at", "id")
    action_permissions = {"create": Permission.VIEW, "cancel": Permission.VIEW}

    def get_queryset(self) -> QuerySet:
        return super().get_queryset().order_by("-id")

    @extend_schema(request=ExportRequestSerializer, responses={202: ExportJobSerializer})
    def create(self, request: Request) -> Response:
        """Begin an export; the answer is a 202 with the job to follow."""
        given = validated_body(request, ExportRequestSerializer)
        entity = entities[given["resource"]]
        scopes.require(request.user, entity.plural)
        params = given.get("params", {}) | {name: given[name] for name in ("format",) if name in given}
        job = export_jobs.begin(entity, params, request.user)
        shown = self.get_serializer(job).data
        return Response(shown, 202, headers={"Location": shown["url"], "Retry-After": "1"})

    @extend_schema(request=None, responses=ExportJobSerializer)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel the export, between two batches of rows if it runs; nothing of it is kept."""
        job = self.get_object()
        export_jobs.cancel(job)
        job.refresh_from_db()
        return Response(self.get_serializer(job).data)

    @extend_schema(responses=FILES)
    @action(methods=["get"], detail=True)
    def download(self, request: Request, pk: str) -> Any:
        """Download the file, until it expires; only the user who started the export may. The answer is a 409
        (`hidden-since`) if a field was hidden from their role after the file was made."""
        job = self.get_object()
        scopes.require(request.user, entities[job.entity].plural)
        if not job.stored_as or job.expires_at is None or job.expires_at < timezone.now():
            raise NotVisibleError(_("There is no file (any more)."))
        check_file(job, request.user)
        try:
            file = default_storage.open(job.stored_as)
        except FileNotFoundError as error:
            raise NotVisibleError(_("There is no file (any more).")) from error
        return FileResponse(
            file, as_attachment=True, filename=job.file_name, content_type=FORMATS[job.format]
        )
