"""References named in a file: found set by set, inside what the importer may see.

A user is named by username, full name or, by whoever may know it, e-mail address; a record by id, external
id, e-mail, domain or name. None or several are a fault of the row; hidden and missing look alike.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Concat
from django.utils.translation import gettext as _

from core.entities import Column, Entity, entities
from core.entities.cleaning import clean
from core.entities.field_types import trimmed
from core.entities.references import referable, target_model
from core.entities.writing import create_clean
from core.errors import ConflictError, InvalidError, ValueRefusedError
from core.models.folding import Fold, fold
from core.transfer.csv_injection import unescape
from core.transfer.import_fields import ImportField
from core.transfer.values import BLANK, Refusal

# By what a name is looked up, in this order, until something is found.
_USER_PARTS = ("username", "email", "name", "id")
_RECORD_PARTS = ("id", "external_id", "email", "domain", "name")
ID_DIGITS = 18


class Resolver:
    """Remembers what it found: a file names few companies and owners many times."""

    def __init__(self, user: Any, *, create_missing: bool = False) -> None:
        self.user, self.create_missing = user, create_missing
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        self.made: dict[tuple[str, str], Any] = {}

    def read(self, target: ImportField, cells: Sequence[str]) -> list[Any]:
        """Ids, BLANK or Refusal, cell by cell."""
        return self.find(target.refers_to, target.part, [trimmed(unescape(cell)) for cell in cells])

    def find(self, kind: str, part: str, names: Sequence[str]) -> list[Any]:
        """The same of names of one kind; `part` says what of it they are, "" finds out."""
        known = self.known.setdefault((kind, part), {"": BLANK})
        missing = {name for name in names if name not in known}
        if missing:
            known |= self._look_up(kind, part, missing)
        return [known[name] for name in names]

    def _look_up(self, kind: str, part: str, names: set[str]) -> dict[str, Any]:
        parts = (part,) if part else _USER_PARTS if kind == "user" else _RECORD_PARTS
        found: dict[str, Any] = {}
        left = set(names)
        for by in parts:
            hits = self._by(kind, by, left)
            found |= {name: _single(kind, name, ids) for name, ids in hits.items()}
            left -= set(hits)
        return found | {name: self._missing(kind, part, name) for name in sorted(left)}

    def _by(self, kind: str, part: str, names: set[str]) -> dict[str, list[int]]:
        """name → ids of what is called so; names that nothing is called are left out."""
        if not names:
            return {}
        if part in self._hidden(kind):
            return {}
        rows = referable(kind, self.user).order_by()
        if kind == "user" and part == "email":
            rows = self._with_known_address(rows)
        if part == "id":
            return self._by_id(rows, names)
        key = _key(kind, part)
        if key is None:
            return {}
        asked: dict[str, list[str]] = {}
        for name in names:
            asked.setdefault(key.of(name), []).append(name)
        asked.pop("", None)
        hits: dict[str, list[int]] = {}
        if key.skips_blank:
            # Says what the partial index on the column says.
            rows = rows.exclude(**{part: ""})
        pairs = rows.annotate(_key=key.expression).filter(_key__in=list(asked)).values_list("_key", "pk")
        for shown, pk in pairs:
            for name in asked[shown]:
                hits.setdefault(name, []).append(pk)
        return hits

    def _hidden(self, kind: str) -> Collection[str]:
        """Fields that a role's rights hide: by these nothing is found."""
        entity = entities.get(kind)
        return entity.for_user(self.user).hidden if entity else ()

    def _with_known_address(self, rows: QuerySet) -> QuerySet:
        """Whose e-mail address the importer may know: for others known and unknown addresses look alike."""
        known = rows.model.policy.details_of(self.user)
        return rows if known is None else rows.filter(pk__in=known)

    def _by_id(self, rows: QuerySet, names: Iterable[str]) -> dict[str, list[int]]:
        ids = {n: int(n) for n in names if n.isascii() and n.isdigit() and len(n) <= ID_DIGITS}
        there = set(rows.filter(pk__in=set(ids.values())).values_list("pk", flat=True))
        return {name: [pk] for name, pk in ids.items() if pk in there}

    def _missing(self, kind: str, part: str, name: str) -> Any:
        if self.create_missing and create_by_name(kind) and part in ("", "name"):
            key = kind, fold(name)
            if key not in self.made:
                self.made[key] = self._make(entities[kind], name)
            return self.made[key]
        return Refusal(
            "does_not_exist",
            _("There is no %(kind)s %(name)s that you may see.") % {"kind": kind, "name": repr(name[:80])},
        )

    def _make(self, entity: Entity, name: str) -> Any:
        try:
            record = create_clean(
                entity, clean(entity, {entity.display_fields[0]: name}, user=self.user), self.user
            )
        except InvalidError as error:
            issue = error.issues[0]
            return Refusal(
                issue.code,
                _("No %(name)s %(name2)s can be made: %(field)s: %(message)s")
                % {
                    "name": entity.name,
                    "name2": repr(name[:80]),
                    "field": issue.field,
                    "message": issue.message,
                },
            )
        except ConflictError as error:
            return Refusal(
                error.code,
                _("No %(name)s %(name2)s can be made: %(message)s")
                % {"name": entity.name, "name2": repr(name[:80]), "message": error.message},
            )
        return record.pk


def create_by_name(kind: str) -> bool:
    """Whether a name that nothing is called may make one of this kind."""
    entity = entities.get(kind)
    return entity is not None and entity.create_by_name


def _single(kind: str, name: str, ids: list[int]) -> Any:
    unique = set(ids)
    if len(unique) == 1:
        return unique.pop()
    return Refusal(
        "ambiguous",
        _("%(count)s records of %(kind)s are called %(name)s; name its id.")
        % {"count": len(unique), "kind": kind, "name": repr(name[:80])},
    )


@dataclass(frozen=True)
class _Key:
    """What a name is compared with, and how it is written to be compared."""

    expression: Any
    of: Callable[[str], str] = fold
    skips_blank: bool = False


def _key(kind: str, part: str) -> _Key | None:
    """None where the target has no such thing."""
    fields = {f.name: f for f in target_model(kind)._meta.concrete_fields}
    if part == "name" and "name" not in fields:
        if not {"first_name", "last_name"} <= set(fields):
            return _Key(Fold("title")) if "title" in fields else None
        return _Key(Fold(Concat(F("first_name"), Value(" "), F("last_name"))))
    if part not in fields or isinstance(fields[part], ArrayField):
        return None
    entity = entities.get(kind)
    column = entity.by_name.get(part) if entity else None
    if column is None or column.folded:
        return _Key(Fold(part))
    return _Key(F(part), partial(_as_stored, column), skips_blank=column.field_type.empty_value == "")


def _as_stored(column: Column, name: str) -> str:
    """A name as the column would have it; "" where it would not."""
    try:
        return column.field_type.to_internal_value(name)
    except ValueRefusedError:
        return ""
