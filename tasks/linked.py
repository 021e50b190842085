"""The further records of tasks as a column of their imports."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.activities import further_records
from core.transfer.linked_columns import Linked, LinkedColumn, Links, LinkTable
from core.transfer.linked_records import Mentions, read_refs
from tasks.models import RELATED_RECORDS, Task, TaskRecord

_MENTIONS = Mentions(RELATED_RECORDS)


def _read(cells: Sequence[str], resolver: Any) -> list[Any]:
    return read_refs(cells, resolver, _MENTIONS, further_records.AT_MOST)


def _write(wanted: Mapping[int, Links], user: Any) -> Linked:
    tasks = Task._base_manager.in_bulk(wanted)
    done = further_records.replace_many(TaskRecord, {tasks[pk]: refs for pk, refs in wanted.items()}, user)
    return Linked(done.changed, dict.fromkeys(done.too_many, ("max_length", further_records.TOO_MANY)))


FURTHER_RECORDS = LinkedColumn(
    "task",
    "records",
    "Further records",
    read=_read,
    write=_write,
    table=LinkTable(TaskRecord, "task_record", "task_id", ("entity", "object_id")),
)
