"""The further records that an activity or a task is about, beside the one that it belongs to.

They stand in a table of their own for each (`FurtherRecord` is its base). Who sees one of them does not see
the others by that: each reader is shown those that they see themselves, and a writer replaces no others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext

from core.access import scopes
from core.activities.models import FurtherRecord
from core.changes.timeline import RecordRef
from core.entities import entities
from core.entities.reading import title_of
from core.entities.references import referable
from core.entities.relation_transfer import RelationMove
from core.errors import FieldIssue, InvalidError

# Records beside the first one.
AT_MOST = 50
# An entity's name and an id.
Ref = tuple[str, int]


def seen_refs(refs: Iterable[Ref], user: Any) -> dict[Ref, str]:
    """Those of the records that the user sees and that are not archived, with their names; one statement for
    each entity."""
    by_entity: dict[str, set[int]] = {}
    for name, pk in refs:
        by_entity.setdefault(name, set()).add(pk)
    return {
        (name, pk): title
        for name, ids in by_entity.items()
        if name in entities and scopes.covers(user, entities[name].plural)
        for pk, title in _names(name, ids, user)
    }


def _names(name: str, ids: Iterable[int], user: Any) -> Iterator[tuple[int, str]]:
    entity = entities[name].for_user(user)
    rows = referable(name, user).filter(pk__in=ids).order_by()
    for row in rows.values(*dict.fromkeys(("id", *entity.display_columns))):
        yield row["id"], title_of(entity, row)


def check(refs: Sequence[Ref], user: Any, kinds: Iterable[str]) -> None:
    """Refuse what cannot be named as a further record. Raises InvalidError with the place of each."""
    allowed, seen = set(kinds), seen_refs(refs, user)
    issues = []
    for index, ref in enumerate(refs):
        if ref[0] not in allowed:
            message = gettext("Not one of: %(names)s.") % {"names": ", ".join(sorted(allowed))}
            issues.append(FieldIssue(f"records[{index}].entity", "invalid_choice", message))
        elif ref not in seen:
            issues.append(
                FieldIssue(f"records[{index}].id", "does_not_exist", gettext("There is no such record."))
            )
        elif ref in refs[:index]:
            issues.append(FieldIssue(f"records[{index}].id", "given_twice", gettext("It is named twice.")))
    if issues:
        raise InvalidError(issues)


TOO_MANY = f"At most {AT_MOST} records."


def replace(model: type[FurtherRecord], holder: Any, refs: Iterable[Ref], user: Any) -> None:
    """Make these, checked already, the further records of a locked activity or task; those that the user does
    not see, and archived ones, stay. Raises InvalidError where there are too many."""
    if replace_many(model, {holder: refs}, user).too_many:
        raise InvalidError.of("records", TOO_MANY, "max_length")


@dataclass(frozen=True)
class Replaced:
    """The ids of the holders whose further records were others before, and of those that were left as they
    are because there would be too many."""

    changed: frozenset[int]
    too_many: frozenset[int]


def replace_many(model: type[FurtherRecord], wanted: Mapping[Any, Iterable[Ref]], user: Any) -> Replaced:
    """The same of many holders, by a few statements for all."""
    rows: dict[int, dict[Ref, int]] = {holder.pk: {} for holder in wanted}
    found = model._base_manager.filter(**{f"{model.holder}__in": list(rows)}).order_by()
    for holder_id, pk, *ref in found.values_list(f"{model.holder}_id", "pk", "entity", "object_id"):
        rows[holder_id][tuple(ref)] = pk
    seen = seen_refs((ref for refs in rows.values() for ref in refs), user)
    dropped: list[int] = []
    added: list[FurtherRecord] = []
    changed, too_many = set(), set()
    for holder, refs in wanted.items():
        there, first = rows[holder.pk], model.first_of(holder)
        kept = [ref for ref in dict.fromkeys(refs) if ref not in first]
        gone = [pk for ref, pk in there.items() if ref in seen and ref not in kept]
        new = [ref for ref in kept if ref not in there]
        if len(there) - len(gone) + len(new) > AT_MOST:
            too_many.add(holder.pk)
            continue
        dropped += gone
        added += [model(entity=name, object_id=pk, **{model.holder: holder}) for name, pk in new]
        if new or any(there[ref] in gone for ref in there.keys() - first):
            changed.add(holder.pk)
    if dropped:
        model._base_manager.filter(pk__in=dropped).delete()
    model._base_manager.bulk_create(added)
    return Replaced(frozenset(changed), frozenset(too_many))


def shown(model: type[FurtherRecord], ids: Sequence[int], user: Any) -> dict[int, list[dict[str, Any]]]:
    """The further records of activities or tasks that the user sees, by the holder's id, in the order in
    which they were added; one statement where there are none."""
    rows = list(
        model._base_manager.filter(model.is_further(), **{f"{model.holder}__in": ids})
        .order_by("pk")
        .values_list(f"{model.holder}_id", "entity", "object_id")
    )
    names = seen_refs(((entity, pk) for _, entity, pk in rows), user)
    found: dict[int, list[dict[str, Any]]] = {}
    for holder, entity, pk in rows:
        found.setdefault(holder, []).extend(named([(entity, pk)], names))
    return found


def named(refs: Iterable[Ref], names: Mapping[Ref, str]) -> list[dict[str, Any]]:
    """Those of the records that have a name, as answers show them."""
    return [{"entity": ref[0], "id": ref[1], "name": names[ref]} for ref in refs if ref in names]


def in_words(model: type[FurtherRecord], ids: Sequence[int], user: Any) -> dict[int, str]:
    """By holder: "contact 12 Ada Byron; opportunity 5 Difference Engine"."""
    return {
        holder: "; ".join(f"{one['entity']} {one['id']} {one['name']}" for one in records)
        for holder, records in shown(model, ids, user).items()
    }


def holders_of(model: type[FurtherRecord], entity: str, ids: Iterable[int]) -> QuerySet:
    """The ids of the activities or tasks that are further about any of these records."""
    rows = model._base_manager.filter(entity=entity, object_id__in=list(ids)).order_by()
    return rows.values(f"{model.holder}_id")


def on_timeline(model: type[FurtherRecord], subject: RecordRef) -> Q:
    """The condition of what is further about the record of a timeline."""
    return Q(pk__in=holders_of(model, subject.entity.name, [subject.pk]))


_MOVE = """
WITH there AS (
    DELETE FROM {table} t WHERE entity = %(source)s AND object_id = %(source_id)s AND EXISTS (
        SELECT 1 FROM {table} k WHERE k.{holder}_id = t.{holder}_id
        AND k.entity = %(target)s AND k.object_id = %(target_id)s)
    RETURNING id
)
UPDATE {table} SET entity = %(target)s, object_id = %(target_id)s
WHERE entity = %(source)s AND object_id = %(source_id)s AND id NOT IN (SELECT id FROM there)
"""


def move(model: type[FurtherRecord], asked: RelationMove) -> int:
    """What was further about one record is about the other from now on, once; how many there were."""
    (source, source_id), (target, target_id) = asked.source, asked.target
    statement = _MOVE.format(table=model._meta.db_table, holder=model.holder)
    params: dict[str, Any] = {
        "source": source,
        "source_id": source_id,
        "target": target,
        "target_id": target_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.rowcount


def copy(model: type[FurtherRecord], source: Any, target: Any) -> None:
    """Give an activity or task the further records of another one."""
    model._base_manager.bulk_create(
        model(entity=row.entity, object_id=row.object_id, **{model.holder: target})
        for row in model.of(source)
    )


def refs_in(text: str) -> list[Ref]:
    """Records written as "contact 5, opportunity 7". Raises InvalidError."""
    found = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = part.lower().partition(" ")
        if not number.strip().isascii() or not number.strip().isdigit() or len(number) > 18:
            raise InvalidError.of("records", gettext('Expected "contact 5, opportunity 7".'))
        found.append((name, int(number)))
    return found


def as_text(records: Iterable[Mapping[str, Any]]) -> str:
    """Shown records as `refs_in` reads them."""
    return ", ".join(f"{one['entity']} {one['id']}" for one in records)
