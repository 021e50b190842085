"""`/api/v1/imports/`: progress, faults, cancelling, undoing."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, scopes
from core.api import preconditions
from core.api.bodies import takes_no_body
from core.api.filtersets import ResourceFilterSet
from core.api.parameters import PAGES
from core.api.request_ids import request_id_of
from core.api.resources import ReadOnlyResourceViewSet
from core.api.schema.lists import PAGING
from core.api.schema.parts import TEXT
from core.conf import conf
from core.entities import entities
from core.entities.locks import IMPORTING, try_lock
from core.errors import ConflictError, NotVisibleError
from core.transfer import undoing
from core.transfer.api.import_serializers import (
    IMPORT_OR_UNDO,
    ImportIssueSerializer,
    ImportJobSerializer,
    KeptRecordSerializer,
    import_detail,
    report_of,
)
from core.transfer.api.streaming import streamed
from core.transfer.csv_injection import escape, unescape
from core.transfer.models import ImportIssue, ImportJob
from core.transfer.report import messages_of
from core.transfer.withheld import ShownReport

KINDS = ImportIssue.Kind.values
IN_FILE = (ImportIssue.Kind.ERROR, ImportIssue.Kind.WARNING)
KIND = OpenApiParameter("kind", TEXT | {"enum": KINDS}, description="Issues of this kind only.")


class ImportIssueFilterSet(ResourceFilterSet):
    class Meta:
        model = ImportIssue
        fields = ["kind"]


class ImportJobViewSet(ReadOnlyResourceViewSet):
    """Your imports and their undoing, the newest first."""

    headers_of_jobs = ("Location", "Retry-After")
    model = ImportJob
    queryset = ImportJob.objects.all()
    serializer_class = ImportJobSerializer
    filterset_fields = ("status", "kind")
    allowed_query_params = {"list": None, "issues": {*PAGES, "kind"}, "errors": {"kind"}}
    ordering_fields = ("created_at", "finished_at", "id")
    action_permissions = {"cancel": Permission.VIEW, "undo": Permission.VIEW}

    def get_queryset(self) -> QuerySet:
        return super().get_queryset().order_by("-id")

    @extend_schema(responses=IMPORT_OR_UNDO)
    def retrieve(self, request: Request, pk: str) -> Response:
        """Read an import: progress, figures and the first rows with errors."""
        return Response(import_detail(self.get_covered(), request.user))

    def etag(self, row: ImportJob) -> str:
        return preconditions.tag_of([row.pk, row.status, row.cancel_requested])

    def get_covered(self, *, writing: bool = False) -> ImportJob:
        """The job in the address. Raises ScopeMissingError for an API key that may not read, or write, what
        was imported."""
        job = self.get_object()
        scopes.require(self.request.user, entities[job.entity].plural, writing=writing)
        return job

    @extend_schema(responses=ImportIssueSerializer(many=True), parameters=[KIND, *PAGING], filters=False)
    @action(methods=["get"], detail=True)
    def issues(self, request: Request, pk: str) -> Response:
        """List all rows that were not imported (`kind=error` or `skipped`), and what an undo `kept`."""
        job = self.get_covered()
        page = self.paginate_queryset(self._issues(job))
        is_undo = job.kind == ImportJob.Kind.UNDO
        serializer_class = KeptRecordSerializer if is_undo else ImportIssueSerializer
        shown = serializer_class(page, many=True, context=report_of(job, request.user)).data
        return self.get_paginated_response(shown)

    def _issues(self, job: ImportJob) -> QuerySet[ImportIssue]:
        """The job's issues that the parameters name. Raises InvalidError."""
        return ImportIssueFilterSet(self.request.query_params, job.issues.order_by("id")).checked

    @extend_schema(
        operation_id="imports_errors_csv",
        responses={(200, "text/csv"): {"type": "string"}},
        parameters=[KIND],
        filters=False,
    )
    @action(methods=["get"], detail=True, url_path=r"errors\.csv")
    def errors(self, request: Request, pk: str) -> Any:
        """Download the rows with errors and warnings as they stood in the file, with `_row` and `_error`.
        Correct the refused ones (`kind=error`) and import that file; those with `kind=warning` were
        imported."""
        job = self.get_covered()
        if job.kind != ImportJob.Kind.IMPORT:
            raise NotVisibleError(_("An undo has no file."))
        rows = self._issues(job)
        return streamed(
            request,
            error_lines(job, rows, request.user),
            "text/csv; charset=utf-8",
            f"import_{job.pk}_errors.csv",
        )

    @extend_schema(request=None, responses=IMPORT_OR_UNDO)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel an import that waits or runs; nothing of it is kept."""
        job = self.get_covered(writing=True)
        if not job.is_open:
            raise ConflictError(_("This import has ended already; undo it instead."), code="ended")
        job.cancel_requested = True
        job.save(update_fields=["cancel_requested"])
        return Response(import_detail(job, request.user))

    @extend_schema(request=None, responses={200: IMPORT_OR_UNDO, 202: IMPORT_OR_UNDO})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def undo(self, request: Request, pk: str) -> Response:
        """Undo an import; records that were changed since stay and are listed. A large one is a job."""
        job = undoing.begin_undo(self.get_covered(writing=True), request.user, request_id_of(request))
        if job.rows <= conf.IMPORT_ROWS_AT_ONCE and try_lock(IMPORTING, job.entity):
            undoing.perform_undo(job)
            return Response(import_detail(job, request.user))
        undoing.postpone(job)
        body = import_detail(job, request.user)
        return Response(body, 202, headers={"Location": body["url"], "Retry-After": "1"})


def error_lines(job: ImportJob, rows: QuerySet[ImportIssue], user: Any) -> Iterator[bytes]:
    """The error file, in blocks, as `user` sees it, in English. Of a row that came in `_error` begins with
    "Imported"."""
    report = ShownReport(job, user)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*map(escape, job.headers), "_row", "_error"])
    width = len(job.headers)
    for issue in rows.filter(kind__in=IN_FILE).iterator(1_000):
        # What the file had escaped is not escaped twice: sent again it means the same.
        cells = [escape(unescape(cell)) for cell in [*report.cells(issue), *[""] * width][:width]]
        came_in = ["Imported"] if issue.kind == ImportIssue.Kind.WARNING else []
        writer.writerow(
            [*cells, issue.row, escape("; ".join([*came_in, *messages_of(report.errors(issue))]))]
        )
        if out.tell() > 1 << 16:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()
