"""What the API tells of an import."""

from typing import Any

from django.db.models import QuerySet

from core.entities import entities
from core.transfer.models import ImportIssue, ImportJob
from core.transfer.report import OUTCOMES, in_words
from core.transfer.undoing import undone_by

# Faulty rows shown with a job; all of them are in its error file and its `issues`.
SHOWN = 500
# Characters of a cell.
CELL_SHOWN = 500


def import_body(job: ImportJob, *, details: bool = True) -> dict[str, Any]:
    """A job with the guide's four figures in it."""
    body = {
        "id": job.pk,
        "url": f"/api/v1/imports/{job.pk}/",
        "kind": job.kind,
        "resource": entities[job.entity].plural,
        "status": job.status,
        "success": job.success,
        "message": job.message,
        "user": job.user_id,
        "imported": job.created + job.updated + job.unchanged,
        "errors": job.failed,
        **{name: getattr(job, name) for name in ("read", *OUTCOMES)},
        "warned": job.warned,
        "rows": job.rows,
        "rows_estimated": job.rows_estimated,
        "progress": _progress(job),
        "rows_per_second": _rate(job),
        "file": {"name": job.file_name, "size": job.file_size, "sha256": job.file_hash},
        "warnings": job.warnings,
        **_settings(job),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }
    return body | (_undo(job) if details else {}) | (_details(job) if details else {})


def _settings(job: ImportJob) -> dict[str, Any]:
    options = job.settings.get("options", {})
    return {
        "dry_run": bool(options.get("dry_run")),
        "settings": options,
        "columns": job.settings.get("columns", []),
    }


def _progress(job: ImportJob) -> float:
    """Between 0 and 1."""
    if not job.is_open:
        return 1.0
    return round(min(job.read / job.rows, 0.999), 3) if job.rows else 0.0


def _rate(job: ImportJob) -> int | None:
    if job.started_at is None or job.finished_at is None:
        return None
    seconds = (job.finished_at - job.started_at).total_seconds()
    return round(job.read / seconds) if seconds > 0 else None


def _undo(job: ImportJob) -> dict[str, Any]:
    if job.kind == ImportJob.Kind.UNDO:
        figures = {"removed": job.removed, "restored": job.restored, "kept": job.kept}
        return figures | {"undoes": f"/api/v1/imports/{job.undoes_id}/"}
    undo = undone_by(job)
    address = f"/api/v1/imports/{undo.pk}/" if undo else None
    return {"undone_by": address, "undo_url": f"/api/v1/imports/{job.pk}/undo/"}


def _details(job: ImportJob) -> dict[str, Any]:
    kind = ImportIssue.Kind
    shown = job.issues.filter(kind=kind.KEPT if job.kind == ImportJob.Kind.UNDO else kind.ERROR)
    rows = list(shown.order_by("id")[: SHOWN + 1])
    warned = job.issues.filter(kind=kind.WARNING).order_by("id")[:SHOWN] if job.warned else ()
    if job.kind == ImportJob.Kind.UNDO:
        return {"kept_records": [kept_body(issue) for issue in rows[:SHOWN]]}
    return {
        "error_details": [issue_body(issue, job.headers) for issue in rows[:SHOWN]],
        "error_details_truncated": len(rows) > SHOWN,
        "warning_details": [issue_body(issue, job.headers) for issue in warned],
        "errors_url": f"/api/v1/imports/{job.pk}/errors.csv",
    }


def issue_body(issue: ImportIssue, headers: list[str]) -> dict[str, Any]:
    """One row that did not go in or has warnings, with its cells by header."""
    return {
        "row": issue.row,
        "line": issue.line,
        "kind": issue.kind,
        "error": "; ".join(in_words(issue.errors)),
        "errors": issue.errors,
        "record": issue.object_id,
        "data": {header: _short(cell) for header, cell in zip(headers, issue.cells, strict=False)},
    }


def _short(cell: str) -> str:
    """A cell as an answer shows it; the error file has it whole."""
    return cell if len(cell) <= CELL_SHOWN else f"{cell[: CELL_SHOWN - 1]}…"


def kept_body(issue: ImportIssue) -> dict[str, Any]:
    """One record that an undo left as it was."""
    return {"id": issue.object_id, "reason": issue.errors[0]["code"], "message": issue.errors[0]["message"]}


def issues_body(rows: QuerySet, job: ImportJob) -> list[dict[str, Any]]:
    if job.kind == ImportJob.Kind.UNDO:
        return [kept_body(issue) for issue in rows]
    return [issue_body(issue, job.headers) for issue in rows]
