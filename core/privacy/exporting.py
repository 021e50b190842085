"""Exporting a person: every row that is theirs as one JSON document, and where else they may stand.

The rows are found in steps, a window each, whose ids the request keeps; then the document is written from
them, some rows at a time, by one worker (`lifecycle.try_writing`). Rows about others are named and not handed
out: they are others' data.
"""

import json
import tempfile
from collections.abc import Iterator
from typing import Any, cast
from uuid import uuid4

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext

from core import jobs
from core.errors import DomainError
from core.personal_data import kept_by_law, related_records
from core.privacy import lifecycle, steps
from core.privacy.models import PrivacyRequest
from core.privacy.subject import found_from
from core.privacy.tables import SearchedTable, rows_found, searched_tables, window

# Rows of one person, and how many of them are read by one statement.
AT_MOST, READ_AT_ONCE = 50_000, 500
WRITING = "writing"
_ROWS = """
SELECT (to_jsonb(t) - %(left_out)s::text[])::text FROM {table} t
WHERE t."{pk}" = ANY(%(pks)s) ORDER BY t."{pk}"
"""


class TooManyRowsError(DomainError):
    code = "too_many_rows"


def run(request_id: int, turn: jobs.Turn) -> str:
    """Steps until the file is there or the turn is over (core.privacy.steps)."""
    status = steps.run(request_id, turn, _step)
    if status != WRITING:
        return status
    try:
        with transaction.atomic():
            return _write(request_id) if lifecycle.try_writing(request_id) else ""
    except (DatabaseError, OSError) as error:
        lifecycle.fail_step(request_id, error)
        return ""


def _step(request: PrivacyRequest) -> str:
    if "table" not in request.progress:
        steps.find_person(request)
        request.progress = {"table": steps.first_table(), "after": None, "rows": {}, "mentions": {}}
        return request.status
    return _one_window(request) if request.progress["table"] else _name_the_file(request)


def _one_window(request: PrivacyRequest) -> str:
    progress, limit = request.progress, steps.rows_at_once(request)
    table = searched_tables()[progress["table"]]
    upto, seen = window(table, progress["after"], limit)
    found = rows_found(table, progress["after"], upto, found_from(request.found).params()) if seen else {}
    for how, pks in found.items():
        kind = "rows" if _is_theirs(table, how) else "mentions"
        if pks:
            progress[kind].setdefault(table.name, []).extend(pks)
    if sum(map(len, [*progress["rows"].values(), *progress["mentions"].values()])) > AT_MOST:
        raise TooManyRowsError(
            gettext("More than %(at_most)s rows belong to this: name single records.") % {"at_most": AT_MOST}
        )
    if seen < limit:
        progress["table"], progress["after"] = steps.next_table(table), None
    else:
        progress["after"] = upto
    return request.status


def _is_theirs(table: SearchedTable, how: str) -> bool:
    """The person's rows, and the records that name them, as their deals; not what hangs on these."""
    kept = {entity for _, (entity, _) in related_records.items()}
    return how in ("linked", "shared") or (how == "related" and table.registered.entity in kept)


def _name_the_file(request: PrivacyRequest) -> str:
    """What a worker that was killed wrote under this name is deleted by the next one."""
    request.progress["file"] = request.progress.get("file") or f"privacy/{request.pk}-{uuid4().hex}"
    return WRITING


def _write(request_id: int) -> str:
    """Write and store the file; returns the request's status, "" where another was quicker. The request's row
    is locked at the end alone, so that it can be cancelled until then."""
    request = PrivacyRequest.objects.get(pk=request_id)
    if not request.is_open or "file" not in request.progress:
        return ""
    counts: dict[str, Any] = {}
    with tempfile.TemporaryFile() as file:
        size = sum(file.write(block.encode()) for block in _document(request, counts))
        file.seek(0)
        default_storage.delete(request.progress["file"])
        stored = default_storage.save(request.progress["file"], File(file))
    locked = lifecycle.locked(request_id)
    if locked is None or locked.stored_as or lifecycle.stop_reason(locked):
        default_storage.delete(stored)
        return lifecycle.end(locked, *stop) if locked and (stop := lifecycle.stop_reason(locked)) else ""
    locked.stored_as, locked.size, locked.counts = stored, size, counts
    return lifecycle.end(locked, PrivacyRequest.Status.FINISHED)


def _document(request: PrivacyRequest, counts: dict[str, Any]) -> Iterator[str]:
    found = found_from(request.found)
    head = {
        "made_at": timezone.now().isoformat(),
        "asked_for": request.subject,
        "records": [{"entity": entity, "id": pk} for entity, pk in sorted(found.records)],
        "addresses": sorted(found.emails),
        "numbers": sorted(found.phones),
        "kept_after_an_erasure": dict(kept_by_law.items()),
        "not_included": request.kept,
        "mentioned_in": request.progress["mentions"],
    }
    yield json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "tables": {'
    between = ""
    for name, pks in request.progress["rows"].items():
        label = json.dumps(steps.label_of(name))
        yield f'{between}\n  {json.dumps(name)}: {{"label": {label}, "rows": ['
        rows = list(_rows(searched_tables()[name], pks))
        yield ",".join(f"\n   {row}" for row in rows) + "]}"
        counts[name], between = {"rows": len(rows)}, ","
    yield "\n }\n}\n"


def _rows(table: SearchedTable, pks: list[Any]) -> Iterator[str]:
    """The rows as JSON, without what is internal."""
    registered = table.registered
    left_out = [*registered.kept, *registered.read, *registered.internal, "search_text"]
    sql = _ROWS.format(table=table.name, pk=table.pk)
    for at in range(0, len(pks), READ_AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(sql, {"left_out": left_out, "pks": pks[at : at + READ_AT_ONCE]})
            yield from (cast("str", row) for (row,) in cursor.fetchall())
