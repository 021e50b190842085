"""What tasks are about beside their first record: conditions, texts and moving."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q
from django.db.models.expressions import RawSQL

from core.activities import further_records
from core.entities import Column
from core.entities.dependents import FurtherReference, further_references
from core.entities.field_types import Json
from core.entities.json_sql import document_columns
from tasks.models import RELATED_RECORDS, TaskRecord

_FIRST = ", ".join(f"('{name}', coalesce(tasks_task.{name}_id, 0))" for name in RELATED_RECORDS)
_REFS = f"""
SELECT coalesce(json_agg(json_build_object('entity', f.entity, 'id', f.object_id) ORDER BY f.id), '[]'::json)
FROM tasks_taskrecord f WHERE f.task_id = tasks_task.id AND (f.entity, f.object_id) NOT IN ({_FIRST})
"""  # noqa: S608 (constants)
# The further records of a task as PostgreSQL writes them into its document: all of them, without their names.
RECORDS = document_columns.register(
    "task.records",
    Column(
        "records",
        Json(),
        "records",
        writable=False,
        filterable=False,
        orderable=False,
        expression=RawSQL(_REFS, []),  # noqa: S611 (constants)
    ),
)


def about(entity: str, pks: Iterable[int]) -> Q:
    """The condition of tasks about any of these records, first or further."""
    ids = list(pks)
    return Q(**{f"{entity}__in": ids}) | Q(pk__in=further_records.holders_of(TaskRecord, entity, ids))


def in_words(tasks: Sequence[int], user: Any, using: str) -> dict[int, str]:
    """The further records of tasks that the user sees, as exports have them."""
    return further_records.in_words(TaskRecord, tasks, user)


def _refers(entity: str) -> FurtherReference:
    def further(pks: Sequence[int]) -> Q:
        ids = list(pks)
        first = Q(**{f"{entity}__in": ids, f"{entity}__isnull": False})
        return Q(pk__in=further_records.holders_of(TaskRecord, entity, ids)) & ~first

    return FurtherReference("task", "records", target=entity, condition=further)


for related in RELATED_RECORDS:
    further_references.register(f"task.records.{related}", _refers(related))
