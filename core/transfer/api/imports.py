"""`/api/v1/import/{resource_type}/`: template, preview, import."""

import csv
import io
from typing import Any

from django.http import HttpResponse, QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.api.request_ids import request_id_of
from core.api.viewsets import CrmViewSet
from core.conf import conf
from core.entities.locks import IMPORTING, try_lock
from core.transfer import jobs
from core.transfer.api.import_serializers import IMPORT_OR_UNDO, ImportPreviewSerializer, import_detail
from core.transfer.api.requests import entity_named
from core.transfer.api.serializers import ImportFormSerializer
from core.transfer.exporting import header_of
from core.transfer.planning import Plan, check_importable, plan
from core.transfer.previewing import preview
from core.transfer.reading import open_table


class ImportViewSet(CrmViewSet):
    """Import a CSV or XLSX file into leads, contacts, companies, opportunities or tasks."""

    headers_of_jobs = ("Location", "Retry-After")
    parser_classes = [MultiPartParser]
    action_permissions = {"preview": Permission.ADD}

    @property
    def policy(self) -> Any:
        return entity_named(self.kwargs["resource_type"]).model.policy

    @extend_schema(
        operation_id="import_preview",
        request=ImportFormSerializer,
        responses=ImportPreviewSerializer,
    )
    def preview(self, request: Request, resource_type: str) -> Response:
        """Preview how a file would be read and mapped; nothing is imported."""
        made, _file, _name = self._plan(request, resource_type)
        return Response(preview(made))

    @extend_schema(responses={(200, "text/csv"): {"type": "string"}})
    def template(self, request: Request, resource_type: str) -> HttpResponse:
        """Download a CSV template with a header for every field that can be imported."""
        out = io.StringIO()
        csv.writer(out).writerow(header_of(entity_named(resource_type).for_user(request.user)))
        return csv_answer(out.getvalue().encode(), f"{resource_type}_template.csv")

    @extend_schema(
        operation_id="import_create",
        request=ImportFormSerializer,
        responses={200: IMPORT_OR_UNDO, 202: IMPORT_OR_UNDO},
    )
    def create(self, request: Request, resource_type: str) -> Response:
        """Import a file: a small one is answered when it is in, a large one with a 202 and a job."""
        made, file, name = self._plan(request, resource_type)
        check_importable(made)
        job = jobs.begin(made, file, name, request.user, request_id_of(request))
        if made.table.shape.rows > conf.IMPORT_ROWS_AT_ONCE or not try_lock(IMPORTING, made.entity.name):
            jobs.postpone(job, file)
            body = import_detail(job, request.user)
            return Response(body, 202, headers={"Location": body["url"], "Retry-After": "1"})
        jobs.run_now(job, made)
        return Response(import_detail(job, request.user))

    def _plan(self, request: Request, resource_type: str) -> tuple[Plan, Any, str]:
        entity = entity_named(resource_type)
        sent = request.data  # a form: the view takes nothing else; without a body there is none
        given = {name: values[-1] for name, values in sent.lists()} if isinstance(sent, QueryDict) else {}
        form = ImportFormSerializer(data=given, context={"entity": entity, "request": request})
        form.is_valid(raise_exception=True)
        upload, options = form.validated_data["file"], form.options()
        made = plan(entity, open_table(upload.file, options.reading), options, request.user)
        return made, upload.file, (upload.name or "").replace("\x00", "")


def csv_answer(content: bytes, name: str) -> HttpResponse:
    """A CSV file to keep."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)
