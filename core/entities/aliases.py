"""Ids that records had before they were merged into another one, and still answer to."""

from collections.abc import Collection

from django.db import connection

from core.entities.entity import Entity
from core.entities.models import RecordAlias


def survivor_of(entity: Entity, pk: int) -> int | None:
    """The id of the record that the record `pk` was merged into."""
    rows = RecordAlias.objects.filter(entity=entity.name, merged_id=pk)
    return rows.values_list("object_id", flat=True).first()


def survivors_of(entity: Entity, pks: Collection[int]) -> dict[int, int]:
    """Id → the id of the record that it was merged into, of those that were merged."""
    rows = RecordAlias.objects.filter(entity=entity.name, merged_id__in=pks)
    return {pk: survivor for pk, survivor in rows.values_list("merged_id", "object_id") if pk}


def known_by(entity: Entity, external_id: str) -> int | None:
    """The id of the record that had this external id before a merge, or has taken the place of one that had
    it."""
    rows = RecordAlias.objects.filter(entity=entity.name, external_id=external_id).exclude(external_id="")
    return rows.order_by("-id").values_list("object_id", flat=True).first()


def ids_of(entity: Entity, pk: int) -> list[int]:
    """The record's own id and those of all that were merged into it."""
    rows = RecordAlias.objects.filter(entity=entity.name, object_id=pk, merged_id__isnull=False)
    return [pk, *(merged for merged in rows.values_list("merged_id", flat=True) if merged)]


_PRESENT = """
SELECT DISTINCT ON (a.external_id) a.external_id, r.external_id FROM core_recordalias a
JOIN {table} r ON r.id = a.object_id AND r.archived_at IS NULL AND r.external_id <> ''
WHERE a.entity = %s AND a.external_id <> '' AND a.external_id = ANY(%s) AND NOT EXISTS (
    SELECT 1 FROM {table} o
    WHERE o.external_id = a.external_id AND o.external_id <> '' AND o.archived_at IS NULL
) ORDER BY a.external_id, a.id DESC
"""


def present_external_ids(entity: Entity, external_ids: Collection[str]) -> dict[str, str]:
    """Former external id → the one that the record has now, where no living record has the former one."""
    if not external_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_PRESENT.format(table=entity.model._meta.db_table), [entity.name, list(external_ids)])
        return dict(cursor.fetchall())
