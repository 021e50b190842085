"""Finding a person: the records that are theirs, and what they are redacted by anywhere else.

A record is the person's where one of its own columns holds an address or a number that was asked for, whole,
or where the request names it. Nothing else leads to a record: not what a record had before, not its further
addresses, not text. Such values are redacted where they stand, unless a record of somebody else has them.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import connection, models
from django.utils.translation import gettext

from core.entities import entities
from core.errors import DomainError
from core.personal_data import (
    RECORDS,
    RELATED,
    AddressColumns,
    PersonEntity,
    address_columns,
    attached_records,
    person_entities,
    related_records,
)
from core.privacy import patterns
from core.privacy.subject import AskedSubject, DataSubject

# More records, or addresses and numbers, than a person has.
AT_MOST = 100

# The values that a record had before.
_FORMER = f"""
SELECT DISTINCT v.value #>> '{{}}' FROM core_change c
JOIN {RECORDS} ON c.entity = p.entity AND c.object_id = p.id
CROSS JOIN LATERAL jsonb_each(c.changes) e
CROSS JOIN LATERAL jsonb_path_query(e.value, 'strict $.** ? (@.type() == "string")') v (value)
WHERE c.entity = %(entity)s AND e.key = ANY(%(columns)s)
"""  # noqa: S608 (constants)
_MERGED = f"""
SELECT a.entity, a.object_id FROM core_recordalias a JOIN {RECORDS}
  ON a.entity = p.entity AND a.merged_id = p.id
UNION SELECT a.entity, a.merged_id FROM core_recordalias a JOIN {RECORDS}
  ON a.entity = p.entity AND a.object_id = p.id WHERE a.merged_id IS NOT NULL
"""  # noqa: S608 (constants)


class SeveralPersonsError(DomainError):
    """What was asked for is that of several people."""

    code = "several_persons"


def find(asked: AskedSubject, before: DataSubject | None = None) -> DataSubject:
    """Everything that belongs to the person; with what was found `before`, no further records. Raises
    SeveralPersonsError."""
    found = before or _first(asked)
    _values(asked, found)
    _hanging(found)
    return found


# ---- The person's records ----


def _first(asked: AskedSubject) -> DataSubject:
    found = DataSubject(records=set(asked.records), terms=set(asked.terms))
    matched = {
        (name, pk): patterns.same_name(f"{name}:{pk}", *names)
        for name, person in person_entities.items()
        for pk, *names in _having(person, asked)
    }
    _ensure_one_person(matched, _named(found))
    found.records |= set(matched)
    found.others = _others(found)
    found.versions = versions_of(found)
    return found


def _named(found: DataSubject) -> dict[tuple[str, int], str]:
    """The names of the records that the request names; of those that are gone, none."""
    return {
        (name, pk): patterns.same_name(f"{name}:{pk}", *names)
        for name, person in person_entities.items()
        for pk, *names in _rows(
            f"SELECT t.id, {_columns(person.names)} FROM {person.table} t WHERE t.id = ANY(%(ids)s)",  # noqa: S608
            {"ids": found.ids(name)},
        )
    }


def _columns(names: Iterable[str]) -> str:
    return ", ".join(f"t.{name}" for name in names)


def versions_of(found: DataSubject) -> set[tuple[str, int, int]]:
    """The person's records as they are, locked until the transaction ends."""
    return {
        (name, pk, version)
        for name, _ in person_entities.items()
        for pk, version in _locked(name, found.ids(name)).values_list("pk", "version")
    }


def _locked(name: str, ids: list[int]) -> Any:
    rows = entities[name].model._base_manager.filter(pk__in=ids)
    return rows.select_for_update(of=("self",)).order_by("pk")


def _having(person: PersonEntity, asked: AskedSubject) -> list[tuple[Any, ...]]:
    """Ids and names of the records whose own columns hold what was asked for."""
    emails = [f"lower(t.{column}) = ANY(%(emails)s)" for column in person.own_emails]
    phones = [f"crm_phone_key(t.{column}) = ANY(%(keys)s)" for column in person.own_phones]
    shown = _columns((*person.names, *person.own_emails, *person.own_phones))
    sql = f"SELECT t.id, {shown} FROM {person.table} t WHERE {' OR '.join([*emails, *phones])}"  # noqa: S608
    rows = _rows(sql, {"emails": list(asked.emails), "keys": _keys(asked.phones)})
    wanted, named = {*asked.emails, *asked.phones}, len(person.names) + 1
    return [row[:named] for row in rows if wanted & {_normal(value) for value in row[named:] if value}]


def _normal(value: str) -> str | None:
    return value.lower() if "@" in value else patterns.e164(value)


def _keys(phones: Iterable[str]) -> list[str]:
    rows = _rows("SELECT crm_phone_key(n) FROM unnest(%(phones)s::text[]) n", {"phones": list(phones)})
    return [key for (key,) in rows if key]


def _ensure_one_person(matched: dict[tuple[str, int], str], named: dict[tuple[str, int], str]) -> None:
    """An address that records with different names have, or with none, is several persons': the request has
    to name those that are meant. Those that it names are compared with those that it does not."""
    if set(matched) <= set(named):
        return
    if len({*matched.values(), *named.values()}) > 1 or len(matched) > AT_MOST:
        shown = ", ".join(f"{entity}:{pk}" for entity, pk in sorted(matched)[:20])
        message = gettext(
            "%(count)s records have this address or number, and not one full name in common: "
            "name those of the person by their id (%(shown)s)."
        ) % {"count": len(matched), "shown": shown}
        raise SeveralPersonsError(message)


def _others(found: DataSubject) -> set[tuple[str, int]]:
    """Records that were merged or converted into the person's, or these into them: they may be the person's
    as well, and are for the operator to name."""
    params = _params(found.records)
    rows = _rows(_MERGED, params)
    for person in person_entities:
        if person.same:
            rows += _rows(person.same.format(records=RECORDS), params)
    return {(entity, pk) for entity, pk in rows if entity in person_entities} - found.records


# ---- Values ----


def _values(asked: AskedSubject, found: DataSubject) -> None:
    """The addresses, numbers and names that are redacted, and how many others have the rest."""
    known = found.held_values | found.emails | found.phones
    emails = {*asked.emails, *(value for value in known if "@" in value)}
    phones = {*asked.phones, *(value for value in known if "@" not in value)}
    for name, person in person_entities.items():
        if ids := found.ids(name):
            emails |= {value.lower() for value in _texts(name, person.emails, ids) if "@" in value}
            numbers = map(patterns.e164, _texts(name, person.phones, ids))
            phones |= {number for number in numbers if number}
            found.names |= _names(person, found)
    if len(emails) + len(phones) > AT_MOST:
        raise SeveralPersonsError(
            gettext("More than %(at_most)s addresses and numbers: name single records.")
            % {"at_most": AT_MOST}
        )
    others_emails, others_phones = _held_emails(emails, found), _held_phones(phones, found)
    found.emails, found.phones = emails - set(others_emails), phones - set(others_phones)
    held = [("email", n) for n in others_emails.values()] + [("phone", n) for n in others_phones.values()]
    found.held, found.held_values = sorted(held), {*others_emails, *others_phones}


def _texts(name: str, columns: tuple[str, ...], ids: list[int]) -> set[str]:
    model: type[models.Model] = entities[name].model
    rows = model._base_manager.filter(pk__in=ids).values_list(*columns)
    params = {"entities": [name] * len(ids), "ids": ids, "entity": name, "columns": list(columns)}
    values = [value for row in rows for value in row] + [value for (value,) in _rows(_FORMER, params)]
    texts = (text for value in values for text in (value if isinstance(value, list) else [value]))
    return {text.strip() for text in texts if text.strip()}


def _names(person: PersonEntity, found: DataSubject) -> set[str]:
    """The full names of records; not those that somebody else has too, of whichever kind."""
    sql = f"SELECT {_columns(person.names)} FROM {person.table} t WHERE t.id = ANY(%(own_0)s)"  # noqa: S608
    params = {"own_0": [pk for table, own in _holders(found) if table.table == person.table for pk in own]}
    holders = [(table, own) for table, own in _holders(found) if table.names]
    for number, (table, own) in enumerate(holders, 1):
        same = " AND ".join(
            f"crm_fold(o.{other}) = crm_fold(t.{name})"
            for other, name in zip(table.names, person.names, strict=True)
        )
        sql += (
            f" AND NOT EXISTS (SELECT FROM {table.table} o WHERE NOT o.id = ANY(%(own_{number})s) AND {same})"
        )
        params[f"own_{number}"] = own
    return {name for row in _rows(sql, params) for name in patterns.full_names(*row)}


def _holders(found: DataSubject) -> Iterable[tuple[AddressColumns, list[int]]]:
    """What has addresses and names, each with the ids of the person's own."""
    yield from ((columns, []) for columns in address_columns)
    yield from ((person, found.ids(name)) for name, person in person_entities.items())


def _held_emails(emails: set[str], found: DataSubject) -> Counter[str]:
    """Address → how many records of others have it."""
    held: Counter[str] = Counter()
    for table, own in _holders(found):
        for column in table.emails:
            source = _from(table, column)
            sql = f"SELECT lower({{0}}), count(*) FROM {source} WHERE lower({{0}}) = ANY(%(emails)s)"  # noqa: S608
            rows = _rows(
                _of_others(sql, table, column) + " GROUP BY 1", {"emails": sorted(emails), "own": own}
            )
            held.update(dict(rows))
    return held


def _held_phones(phones: set[str], found: DataSubject) -> Counter[str]:
    """Number → how many records of others have it, or one that may be it."""
    held: Counter[str] = Counter()
    keys = {number: _keys([number]) for number in phones}
    wanted = sorted({key for found_keys in keys.values() for key in found_keys})
    for table, own in _holders(found):
        for column in table.phones:
            source, key = _from(table, column), "crm_phone_key({0})"
            sql = f"SELECT {{0}}, {key} FROM {source} WHERE {key} = ANY(%(keys)s)"  # noqa: S608
            for value, its_key in _rows(_of_others(sql, table, column), {"keys": wanted, "own": own}):
                written = patterns.e164(value)
                held.update(n for n in phones if written == n or (written is None and its_key in keys[n]))
    return held


def _is_list(table: AddressColumns, column: str) -> bool:
    return column in table.lists


def _from(table: AddressColumns, column: str) -> str:
    source = f"{table.table} t"
    return f"{source} CROSS JOIN LATERAL unnest(t.{column}) x (value)" if _is_list(table, column) else source


def _of_others(sql: str, table: AddressColumns, column: str) -> str:
    value = "x.value" if _is_list(table, column) else f"t.{column}"
    return sql.format(value) + " AND NOT t.id = ANY(%(own)s)"


# ---- What hangs on records ----


def _hanging(found: DataSubject) -> None:
    """What hangs on the person's records, alone or with others; what is kept and names the person, with what
    hangs on that. What was found before stays what it was."""
    own, known = _params(found.records), found.attached | found.shared
    for name, attached in attached_records.items():
        rows = {pk for (pk,) in _rows(attached.sql.format(records=RECORDS), own)}
        new = rows - {pk for entity, pk in known if entity == name}
        shared = _shared(attached.of_others, own, new)
        found.shared |= {(name, pk) for pk in shared}
        found.attached |= {(name, pk) for pk in new - shared}
    for _, (entity, sql) in related_records.items():
        found.related |= {(entity, pk) for (pk,) in _rows(sql.format(records=RECORDS), own)}
    related = _params(found.related, "related_")
    for name, attached in attached_records.items():
        rows = {(name, pk) for (pk,) in _rows(attached.sql.format(records=RELATED), related)}
        found.related |= rows - found.attached - found.shared


def share_again(found: DataSubject) -> bool:
    """Whether what hung on the person's records alone hangs on others' as well by now: it is theirs too."""
    own, shared = _params(found.records), set()
    for name, attached in attached_records.items():
        ids = {pk for entity, pk in found.attached if entity == name}
        shared |= {(name, pk) for pk in _shared(attached.of_others, own, ids)}
    found.attached -= shared
    found.shared |= shared
    return bool(shared)


def _shared(sql: str, own: dict[str, Any], ids: set[int]) -> set[int]:
    if not sql or not ids:
        return set()
    rows = _rows(sql.format(records=RECORDS), {**own, "attached": sorted(ids)})
    return {pk for (pk,) in rows}


def _params(records: set[tuple[str, int]], prefix: str = "") -> dict[str, Any]:
    given = sorted(records)
    return {f"{prefix}entities": [e for e, _ in given], f"{prefix}ids": [pk for _, pk in given]}


def _rows(sql: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()
