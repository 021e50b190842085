"""Who is meant: the records of a person, and what the person is redacted by anywhere else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.personal_data import person_entities
from core.privacy import patterns


@dataclass(frozen=True)
class AskedSubject:
    """Whom a request names: by addresses, numbers (E.164), records ((entity, id)), or further words."""

    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    records: tuple[tuple[str, int], ...] = ()
    terms: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        records = [{"entity": entity, "id": pk} for entity, pk in self.records]
        return {
            "emails": list(self.emails),
            "phones": list(self.phones),
            "records": records,
            "terms": list(self.terms),
        }

    @property
    def names_somebody(self) -> bool:
        return bool(self.emails or self.phones or self.records)


def asked_from(stored: Mapping[str, Any]) -> AskedSubject:
    """What `as_json` gave, or a request's body."""
    return AskedSubject(
        tuple(stored.get("emails") or ()),
        tuple(stored.get("phones") or ()),
        tuple((one["entity"], one["id"]) for one in stored.get("records") or ()),
        tuple(stored.get("terms") or ()),
    )


@dataclass
class DataSubject:
    """What was found.

    `records` are the person's own, `attached` hang on them alone. `shared` hang on records of others as well
    (a meeting with two persons), `related` are kept and about the person among others (a deal, and what hangs
    on it). Only `emails` and `phones` that no other record has are redacted: those that others have are
    counted in `held`, as (email or phone, how many). `names` are full names, `terms` the operator's words.
    `others` may be the person's too; `versions` are those of the records when they were found.
    """

    records: set[tuple[str, int]] = field(default_factory=set)
    attached: set[tuple[str, int]] = field(default_factory=set)
    shared: set[tuple[str, int]] = field(default_factory=set)
    related: set[tuple[str, int]] = field(default_factory=set)
    others: set[tuple[str, int]] = field(default_factory=set)
    versions: set[tuple[str, int, int]] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    phones: set[str] = field(default_factory=set)
    held: list[tuple[str, int]] = field(default_factory=list)
    held_values: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    terms: set[str] = field(default_factory=set)

    def as_json(self) -> dict[str, Any]:
        return {name: sorted(values) for name, values in vars(self).items()}

    def ids(self, entity: str) -> list[int]:
        """Ids of the person's own records of an entity."""
        return sorted(pk for name, pk in self.records if name == entity)

    def params(self) -> dict[str, Any]:
        """The parameters of what rooms register (core.personal_data), and of core.privacy.tables.

        `values`, `named` and `own` are what is replaced: everywhere; in rows about records that name the
        person; in rows about the person and others.
        """
        emails = list(map(patterns.email, self.emails))
        values = [*emails, *filter(None, map(patterns.phone, self.phones))]
        named = values + list(map(patterns.word, filter(patterns.is_long_enough, self.names)))
        own = named + list(map(patterns.word, self.terms))
        return {
            **_records("", self.records | self.attached),
            **_records("shared_", self.shared),
            **_records("related_", self.related),
            "addresses": sorted(self.emails),
            "anywhere": patterns.anywhere(self.emails, self.phones),
            "emails": patterns.any_of(emails),
            "values": patterns.any_of(values),
            "named": patterns.any_of(named),
            "own": patterns.any_of(own),
        }


def _records(prefix: str, records: Iterable[tuple[str, int]]) -> dict[str, list[Any]]:
    given = sorted(records)
    return {
        f"{prefix}entities": [entity for entity, _ in given],
        f"{prefix}ids": [pk for _, pk in given],
    }


def found_from(stored: Mapping[str, Any]) -> DataSubject:
    """What `DataSubject.as_json` gave."""
    found = DataSubject()
    for name, present in vars(found).items():
        values = [tuple(one) if isinstance(one, list) else one for one in stored.get(name, ())]
        setattr(found, name, type(present)(values))
    return found


def entities_of_persons() -> list[str]:
    """Names of the entities whose records are persons."""
    return person_entities.keys()
