"""Imports, their rows with faults and their previews as JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from core.entities import entities
from core.transfer.api.serializers import ImportSettingsSerializer
from core.transfer.models import ImportIssue, ImportJob
from core.transfer.report import OUTCOMES, messages_of
from core.transfer.undoing import undone_by
from core.transfer.withheld import ShownReport

# Faulty rows shown with a job; all of them are in its error file and its `issues`.
SHOWN = 500
# Characters of a cell.
CELL_SHOWN = 500
Kind = ImportIssue.Kind


def address_of(pk: int | None) -> str:
    return f"/api/v1/imports/{pk}/"


class FaultSerializer(serializers.Serializer):
    """One thing wrong with one row."""

    row = serializers.IntegerField()
    line = serializers.IntegerField()
    column = serializers.CharField()
    field = serializers.CharField()
    code = serializers.CharField()
    value = serializers.CharField()
    message = serializers.CharField()

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        return instance  # as it is stored


class ImportIssueSerializer(serializers.ModelSerializer):
    """A row that did not go in or has warnings, with its cells by header (`report_of`)."""

    error = serializers.SerializerMethodField()
    errors = serializers.SerializerMethodField()  # type: ignore[assignment]  # a field; DRF takes it off
    record = serializers.IntegerField(source="object_id", allow_null=True)
    data = serializers.SerializerMethodField()  # type: ignore[assignment]  # a field; DRF takes it off

    class Meta:
        model = ImportIssue
        fields = ["row", "line", "kind", "error", "errors", "record", "data"]

    def get_error(self, issue: ImportIssue) -> str:
        return "; ".join(messages_of(self.get_errors(issue)))

    @extend_schema_field(FaultSerializer(many=True))
    def get_errors(self, issue: ImportIssue) -> list[dict[str, Any]]:
        return self.context["report"].errors(issue)

    def get_data(self, issue: ImportIssue) -> dict[str, str]:
        headers = self.context["headers"]
        return {
            header: _short(cell)
            for header, cell in zip(headers, self.context["report"].cells(issue), strict=False)
        }


def _short(cell: str) -> str:
    """A cell as an answer shows it; the error file has it whole."""
    return cell if len(cell) <= CELL_SHOWN else f"{cell[: CELL_SHOWN - 1]}…"


class KeptRecordSerializer(serializers.ModelSerializer):
    """A record that an undo left as it was, and why."""

    id = serializers.IntegerField(source="object_id")
    reason = serializers.SerializerMethodField()
    message = serializers.SerializerMethodField()

    class Meta:
        model = ImportIssue
        fields = ["id", "reason", "message"]

    def get_reason(self, issue: ImportIssue) -> str:
        return issue.errors[0]["code"]

    def get_message(self, issue: ImportIssue) -> str:
        return issue.errors[0]["message"]


class ImportedFileSerializer(serializers.ModelSerializer):
    name = serializers.CharField(source="file_name")
    size = serializers.IntegerField(source="file_size")
    sha256 = serializers.CharField(source="file_hash")

    class Meta:
        model = ImportJob
        fields = ["name", "size", "sha256"]


class MappedColumnSerializer(serializers.Serializer):
    """A column of the file, the field it goes into, and why there."""

    header = serializers.CharField()
    field = serializers.CharField(allow_null=True)
    reason = serializers.CharField()


class WarningSerializer(serializers.Serializer):
    """A warning about the file as a whole, with details that depend on `code`."""

    code = serializers.CharField()
    message = serializers.CharField()

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        return instance  # as it is stored


class ImportJobSerializer(serializers.ModelSerializer):
    """An import, or the undoing of one, with the figures of its rows."""

    url = serializers.SerializerMethodField()
    resource = serializers.SerializerMethodField()
    user = serializers.IntegerField(source="user_id")
    imported = serializers.SerializerMethodField(help_text="Created, updated and unchanged.")
    errors = serializers.IntegerField(source="failed")  # type: ignore[assignment]  # a field; DRF takes it off
    progress = serializers.SerializerMethodField(help_text="From 0 to 1.")
    rows_per_second = serializers.SerializerMethodField()
    file = ImportedFileSerializer(source="*")
    message = serializers.SerializerMethodField()
    warnings = serializers.SerializerMethodField()
    dry_run = serializers.SerializerMethodField()
    settings = serializers.SerializerMethodField()
    columns = serializers.SerializerMethodField()

    class Meta:
        model = ImportJob
        fields = [
            "id", "url", "kind", "resource", "status", "success", "message", "user", "imported", "errors",
            "read", *OUTCOMES, "warned", "rows", "rows_estimated", "progress", "rows_per_second", "file",
            "warnings", "dry_run", "settings", "columns", "created_at", "started_at", "finished_at",
        ]  # fmt: skip

    def get_url(self, job: ImportJob) -> str:
        return address_of(job.pk)

    def get_resource(self, job: ImportJob) -> str:
        return entities[job.entity].plural

    def get_imported(self, job: ImportJob) -> int:
        return job.created + job.updated + job.unchanged

    def get_progress(self, job: ImportJob) -> float:
        if not job.is_open:
            return 1.0
        return round(min(job.read / job.rows, 0.999), 3) if job.rows else 0.0

    def get_rows_per_second(self, job: ImportJob) -> int | None:
        if job.started_at is None or job.finished_at is None:
            return None
        seconds = (job.finished_at - job.started_at).total_seconds()
        return round(job.read / seconds) if seconds > 0 else None

    def get_dry_run(self, job: ImportJob) -> bool:
        return bool(job.settings.get("options", {}).get("dry_run"))

    @extend_schema_field(ImportSettingsSerializer)
    def get_settings(self, job: ImportJob) -> dict[str, Any]:
        return job.settings.get("options", {})

    @extend_schema_field(MappedColumnSerializer(many=True))
    def get_columns(self, job: ImportJob) -> list[Mapping[str, Any]]:
        return self._report(job).columns()

    def get_message(self, job: ImportJob) -> str:
        return self._report(job).message(job.message)

    @extend_schema_field(WarningSerializer(many=True))
    def get_warnings(self, job: ImportJob) -> list[dict[str, Any]]:
        return self._report(job).warnings(job.warnings)

    def _report(self, job: ImportJob) -> ShownReport:
        return ShownReport(
            job, self.context["request"].user if "request" in self.context else self.context["user"]
        )


class ImportDetailSerializer(ImportJobSerializer):
    """An import with its first faulty rows."""

    undone_by = serializers.SerializerMethodField()
    undo_url = serializers.SerializerMethodField()
    error_details = serializers.SerializerMethodField()
    error_details_truncated = serializers.SerializerMethodField()
    warning_details = serializers.SerializerMethodField()
    errors_url = serializers.SerializerMethodField()

    class Meta(ImportJobSerializer.Meta):
        fields = [
            *ImportJobSerializer.Meta.fields, "undone_by", "undo_url", "error_details",
            "error_details_truncated", "warning_details", "errors_url",
        ]  # fmt: skip

    def to_representation(self, instance: ImportJob) -> dict[str, Any]:
        rows = list(instance.issues.filter(kind=Kind.ERROR).order_by("id")[: SHOWN + 1])
        self.faulty, self.has_more = rows[:SHOWN], len(rows) > SHOWN
        return super().to_representation(instance)

    def get_undone_by(self, job: ImportJob) -> str | None:
        undo = undone_by(job)
        return address_of(undo.pk) if undo else None

    def get_undo_url(self, job: ImportJob) -> str:
        return f"{address_of(job.pk)}undo/"

    @extend_schema_field(ImportIssueSerializer(many=True))
    def get_error_details(self, job: ImportJob) -> list[dict[str, Any]]:
        return self._issues(job, self.faulty)

    def get_error_details_truncated(self, job: ImportJob) -> bool:
        return self.has_more

    @extend_schema_field(ImportIssueSerializer(many=True))
    def get_warning_details(self, job: ImportJob) -> list[dict[str, Any]]:
        rows = job.issues.filter(kind=Kind.WARNING).order_by("id")[:SHOWN] if job.warned else ()
        return self._issues(job, rows)

    def _issues(self, job: ImportJob, rows: Iterable[ImportIssue]) -> list[dict[str, Any]]:
        serializer: Any = ImportIssueSerializer(rows, many=True, context=report_of(job, self.context["user"]))
        return serializer.data

    def get_errors_url(self, job: ImportJob) -> str:
        return f"{address_of(job.pk)}errors.csv"


class UndoDetailSerializer(ImportJobSerializer):
    """The undoing of an import, with the records that it left as they were."""

    undoes = serializers.SerializerMethodField()
    kept_records = serializers.SerializerMethodField()

    class Meta(ImportJobSerializer.Meta):
        fields = [*ImportJobSerializer.Meta.fields, "removed", "restored", "kept", "undoes", "kept_records"]

    def get_undoes(self, job: ImportJob) -> str | None:
        return address_of(job.undoes_id)

    @extend_schema_field(KeptRecordSerializer(many=True))
    def get_kept_records(self, job: ImportJob) -> list[dict[str, Any]]:
        rows = job.issues.filter(kind=Kind.KEPT).order_by("id")[:SHOWN]
        return list(KeptRecordSerializer(rows, many=True).data)


IMPORT_OR_UNDO = PolymorphicProxySerializer(
    "ImportOrUndo", [ImportDetailSerializer, UndoDetailSerializer], resource_type_field_name=None
)


def import_detail(job: ImportJob, user: Any) -> dict[str, Any]:
    """An import, or the undoing of one, with its first rows, as `user` sees it."""
    is_undo = job.kind == ImportJob.Kind.UNDO
    return (UndoDetailSerializer if is_undo else ImportDetailSerializer)(job, context={"user": user}).data


def report_of(job: ImportJob, user: Any) -> dict[str, Any]:
    """What serializers of its rows are given as context."""
    return {"headers": job.headers, "report": ShownReport(job, user)}


class PreviewColumnSerializer(MappedColumnSerializer):
    kind = serializers.CharField(allow_null=True, help_text="The field's type.")
    samples = serializers.ListField(child=serializers.CharField())


class ImportPreviewSerializer(serializers.Serializer):
    """How a file would be read and where its columns would go."""

    resource = serializers.CharField()
    format = serializers.ChoiceField(["csv", "xlsx"])
    encoding = serializers.CharField(allow_null=True)
    delimiter = serializers.CharField(allow_null=True)
    sheet = serializers.CharField(allow_null=True)
    header_row = serializers.IntegerField()
    rows = serializers.IntegerField()
    rows_estimated = serializers.BooleanField()
    columns = PreviewColumnSerializer(many=True)
    unmapped = serializers.ListField(child=serializers.CharField())
    missing_required = serializers.ListField(child=serializers.CharField())
    match_on = serializers.ListField(child=serializers.CharField())
    duplicates = serializers.CharField()
    problems = serializers.DictField(help_text="Faults and warnings of the first rows.")
    warnings = WarningSerializer(many=True)
    automation = serializers.CharField()
    workflows = serializers.IntegerField(help_text="Active workflows that automation=run would start.")
    settings = ImportSettingsSerializer()
