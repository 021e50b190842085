"""The shapes of imports and exports, for the OpenAPI document."""

from typing import Any

from core.api.schema.parts import ANYTHING, FLAG, ID, MOMENT, TEXT, array_of, nullable, object_of
from core.transfer.options import AUTOMATION, DUPLICATES, ON_BAD_VALUE

Schema = dict[str, Any]
COUNT: Schema = {"type": "integer", "minimum": 0}
FILE: Schema = {"type": "string", "format": "binary", "description": "CSV or XLSX."}


def _described(schema: Schema, text: str) -> Schema:
    return schema | {"description": text}


IMPORT_FORM = object_of(
    {
        "file": FILE,
        "mapping": _described(TEXT, 'JSON: column of the file → field, such as {"Mail": "email"}.'),
        "update_existing": _described(FLAG, "The same as duplicates=update."),
        "skip_errors": _described(FLAG | {"default": True}, "false: all rows or none."),
        "duplicates": {"type": "string", "enum": list(DUPLICATES), "default": "skip"},
        "match_on": _described(TEXT, "Fields that tell records apart, separated by commas."),
        "dry_run": _described(FLAG, "The same figures and faults, and nothing written."),
        "clear_blank": _described(FLAG, "A blank cell empties the stored field."),
        "create_missing": _described(FLAG, "Make companies that are named and not there."),
        "automation": {"type": "string", "enum": list(AUTOMATION), "default": "run"},
        "encoding": TEXT,
        "delimiter": TEXT,
        "header_row": _described(COUNT, "0: the file has no headers; columns are Column 1, Column 2 …"),
        "skip_rows": COUNT,
        "sheet": TEXT,
        "date_format": _described(TEXT, "DMY, MDY, YMD or a format such as DD/MM/YYYY."),
        "decimal_separator": {"type": "string", "enum": [".", ","]},
        "timezone": _described(TEXT, "IANA zone of times without an offset."),
        "phone_region": _described(TEXT, "Country of phone numbers without a country code."),
        "on_bad_value": {"type": "string", "enum": list(ON_BAD_VALUE), "default": "warn"},
        "default_values": _described(TEXT, "JSON: field → value for new records."),
        "value_mapping": _described(TEXT, 'JSON: field → {"theirs": "ours", "*": "anything else"}.'),
        "saved_mapping": _described(TEXT, "Id or name of saved settings, over which these count."),
    },
    ("file",),
)
FAULT = object_of(
    {
        "row": COUNT,
        "line": COUNT,
        "column": TEXT,
        "field": TEXT,
        "code": TEXT,
        "value": TEXT,
        "message": TEXT,
    }
)
ISSUE = object_of(
    {
        "row": COUNT,
        "line": COUNT,
        "kind": TEXT,
        "error": TEXT,
        "errors": array_of(FAULT),
        "record": nullable(ID),
        "data": {"type": "object", "additionalProperties": TEXT},
    }
)
COLUMN = object_of({"header": TEXT, "field": nullable(TEXT), "reason": TEXT})
IMPORT_RESULT = object_of(
    {
        "id": ID,
        "url": TEXT,
        "kind": {"type": "string", "enum": ["import", "undo"]},
        "resource": TEXT,
        "status": {"type": "string", "enum": ["pending", "running", "finished", "failed", "cancelled"]},
        "success": nullable(FLAG),
        "message": TEXT,
        "user": ID,
        "imported": COUNT,
        "errors": COUNT,
        "read": COUNT,
        "created": COUNT,
        "updated": COUNT,
        "unchanged": COUNT,
        "skipped": COUNT,
        "failed": COUNT,
        "warned": _described(COUNT, "Rows that came in with something left out of them or in doubt."),
        "rows": COUNT,
        "rows_estimated": FLAG,
        "progress": {"type": "number"},
        "rows_per_second": nullable(COUNT),
        "file": object_of({"name": TEXT, "size": COUNT, "sha256": TEXT}),
        "warnings": array_of(ANYTHING),
        "dry_run": FLAG,
        "settings": ANYTHING,
        "columns": array_of(COLUMN),
        "error_details": array_of(ISSUE),
        "error_details_truncated": FLAG,
        "warning_details": array_of(ISSUE),
        "errors_url": TEXT,
        "undone_by": nullable(TEXT),
        "undo_url": TEXT,
        "undoes": TEXT,
        "removed": COUNT,
        "restored": COUNT,
        "kept": COUNT,
        "kept_records": array_of(object_of({"id": ID, "reason": TEXT, "message": TEXT})),
        "created_at": MOMENT,
        "started_at": nullable(MOMENT),
        "finished_at": nullable(MOMENT),
    }
)
PREVIEW_RESULT = object_of(
    {
        "resource": TEXT,
        "format": {"type": "string", "enum": ["csv", "xlsx"]},
        "encoding": nullable(TEXT),
        "delimiter": nullable(TEXT),
        "sheet": nullable(TEXT),
        "header_row": COUNT,
        "rows": COUNT,
        "rows_estimated": FLAG,
        "columns": array_of(
            object_of({**COLUMN["properties"], "kind": nullable(TEXT), "samples": array_of(TEXT)})
        ),
        "unmapped": array_of(TEXT),
        "missing_required": array_of(TEXT),
        "match_on": array_of(TEXT),
        "duplicates": TEXT,
        "problems": ANYTHING,
        "warnings": array_of(ANYTHING),
        "automation": TEXT,
        "workflows": _described(COUNT, "Active workflows that automation=run would feed."),
        "settings": ANYTHING,
    }
)
EXPORT_JOB = object_of(
    {
        "id": ID,
        "url": TEXT,
        "resource": TEXT,
        "format": TEXT,
        "params": ANYTHING,
        "status": TEXT,
        "message": TEXT,
        "rows": COUNT,
        "size": COUNT,
        "download_url": nullable(TEXT),
        "expires_at": nullable(MOMENT),
        "created_at": MOMENT,
        "finished_at": nullable(MOMENT),
    }
)
EXPORT_FORM = object_of(
    {
        "resource": TEXT,
        "format": {"type": "string", "enum": ["csv", "xlsx", "jsonl"], "default": "csv"},
        "params": _described(ANYTHING, "The query of the list: filters, search, ordering, fields …"),
    },
    ("resource",),
)
