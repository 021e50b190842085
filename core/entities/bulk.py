"""Changing many records in one transaction, with an answer for each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import IntegrityError, transaction
from django.db.models import F, JSONField, TextField, Value
from django.db.models.expressions import CombinedExpression
from django.utils import timezone
from django.utils.translation import gettext as _

from core.access import Permission
from core.entities import aliases, custom
from core.entities.cleaning import MAY_NOT_CHANGE, clean, taken, unique_values, warnings_of
from core.entities.entity import Entity
from core.entities.field_types import Money
from core.entities.money import CURRENCY_FIELD
from core.entities.regions import COUNTRY_FIELD, region_at
from core.entities.writing import MERGED as WAS_MERGED
from core.entities.writing import NOT_THEIRS, values_of
from core.errors import FieldIssue, ForbiddenError, InvalidError
from core.models.uniqueness import TAKEN, violated_fields

Values = dict[str, Any]
# Merged with each record's own by the database; everything else is the same for all of them.
MERGED = "custom_fields"


@dataclass
class BulkResult:
    """Ids done, and what was wrong with the others; `order` are the ids as the request names them: one that
    is named twice is changed once and answered twice."""

    order: list[int]
    done: set[int] = field(default_factory=set)
    failed: dict[int, tuple[str, str]] = field(default_factory=dict)
    # What is doubtful about the values that the done ones got.
    warnings: list[dict[str, str]] = field(default_factory=list)

    def fail(self, pk: int, code: str, message: str) -> None:
        self.failed[pk] = (code, message)


class Bulk:
    """One bulk change. `atomic` means all or none: the first failure undoes everything (InvalidError)."""

    def __init__(self, entity: Entity, user: Any, ids: Iterable[int], *, atomic: bool = False) -> None:
        self.entity, self.user, self.atomic = entity, user, atomic
        self.result = BulkResult(list(ids))
        self.ids = list(dict.fromkeys(self.result.order))
        # What every UPDATE sets besides: the merged custom fields.
        self.merged: dict[str, Any] = {}

    def update(self, data: Mapping[str, Any]) -> BulkResult:
        """Set the same fields on all records. Raises InvalidError where the fields themselves are wrong."""
        shared = clean_shared(self.entity, data, self.user, self.ids)
        if MERGED in shared:
            self.merged = {MERGED: merging(shared.pop(MERGED), data[MERGED] or {})}
        rows = self._locked(Permission.CHANGE)
        given = self._by_record(rows, data, shared)
        self._write({row.pk: self._values(row, given[row.pk]) for row in rows})
        self._warn(data, [given[pk] for pk in sorted(self.result.done)])
        return self.result

    def _by_record(self, rows: Sequence[Any], data: Mapping[str, Any], shared: Values) -> dict[int, Values]:
        """Id → the values it gets: what is read by a record's country or currency is read once for each of
        them, as a change of one record reads it."""
        if not any(map(self._is_local, data)):
            return dict.fromkeys((row.pk for row in rows), shared)
        places = {row.pk: _place(row) for row in rows}
        read = {}
        for place in set(places.values()):
            read[place] = clean_shared(self.entity, data, self.user, self.ids, dict(place))
            read[place].pop(MERGED, None)
        return {pk: read[place] for pk, place in places.items()}

    def _is_local(self, name: str) -> bool:
        """Whether a field's values are read by the country or the currency of their record."""
        column = self.entity.by_input_name.get(name)
        kind = column.field_type if column else None
        return kind is not None and (kind.is_regional or type(kind) is Money)

    def _warn(self, data: Mapping[str, Any], written: Iterable[Values]) -> None:
        """Name what is doubtful about the values that records got, each once."""
        for values in written:
            found = warnings_of(self.entity, SimpleNamespace(**values), data)
            self.result.warnings += [warning for warning in found if warning not in self.result.warnings]

    def assign(self, shares: Callable[[list[int]], Mapping[int, int]]) -> BulkResult:
        """Give each record to a user: `shares` says whom each of these records (ids) goes to (ids)."""
        found = {row.pk: row for row in self._locked(Permission.CHANGE)}
        assignees = shares([pk for pk in self.result.order if pk in found])
        given: dict[int, Values] = {pk: {"assigned_to_id": assignees[pk]} for pk in found}
        allowed = {pk for pk in given if self._may_give(pk, values_of(found[pk]), given[pk])}
        self._write({pk: given[pk] for pk in sorted(allowed)})
        return self.result

    def archive(self) -> BulkResult:
        rows = self._locked(Permission.DELETE)
        now = timezone.now()
        self._write({r.pk: {"archived_at": now} for r in rows}, check=False)
        return self.result

    def restore(self) -> BulkResult:
        """Bring archived records back."""
        rows = self._locked(Permission.DELETE, archived=True)
        self._write({pk: {"archived_at": None} for pk in self._free(rows)})
        return self.result

    def _free(self, rows: Sequence[Any]) -> Iterator[int]:
        """Ids of those whose unique values nobody took meanwhile, nor another of them."""
        seen: set[tuple[str, str]] = set()
        survivors = aliases.survivors_of(self.entity, [row.pk for row in rows])
        for pk, survivor in survivors.items():
            self.result.fail(pk, "merged", WAS_MERGED.format(survivor))
            self._stop_if_atomic()
        rows = [row for row in rows if row.pk not in survivors]
        for pk, values in unique_values(self.entity, rows).items():
            if values & seen or taken(self.entity, pk, values):
                self.result.fail(pk, "unique", _("Another record has one of its unique values by now."))
                self._stop_if_atomic()
                continue
            seen |= values
            yield pk

    def _locked(self, action: str, *, archived: bool = False) -> list[Any]:
        """The records `user` may change, locked in order of their ids; the others have failed."""
        reached = self.entity.visible_to(self.user, action)
        named = reached.filter(archived_at__isnull=not archived, pk__in=self.ids)
        rows = list(named.order_by("pk").select_for_update(of=("self",)))
        for pk in set(self.ids) - {row.pk for row in rows}:
            self.result.fail(pk, "not_found", _("Not found."))
        self._stop_if_atomic()
        return rows

    def _values(self, record: Any, shared: Mapping[str, Any]) -> Values | None:
        """The values for one record, which its own rules may complete; None where they refuse."""
        values, before = dict(shared), values_of(record)
        try:
            for rule in self.entity.rules:
                rule(values, before)
            return values if self._may_give(record.pk, before, values) else None
        except InvalidError as error:
            self.result.fail(record.pk, error.issues[0].code, str(error))
            self._stop_if_atomic()
            return None

    def _may_give(self, pk: int, before: Values, values: Values) -> bool:
        """Whether the user may give the record to whom the values say; else it has failed."""
        if not self.entity.model.policy.gives_away(self.user, before, values):
            return True
        self.result.fail(pk, "permission_denied", _(NOT_THEIRS))
        self._stop_if_atomic()
        return False

    def _write(self, wanted: Mapping[int, Values | None], *, check: bool = True) -> None:
        """One UPDATE for each set of equal values; records put out of reach are left as they were."""
        self.result.done = self._written({pk: v for pk, v in wanted.items() if v is not None}, check)

    def _written(self, values: dict[int, Values], check: bool) -> set[int]:
        """Ids of those that could be written; by halves, where a unique constraint refuses one of them."""
        while values:
            try:
                with transaction.atomic():
                    self._store(values)
                    lost = self._lost(values) if check else set()
                    if lost:
                        raise _OutOfReachError(lost)
                break
            except _OutOfReachError as error:
                for pk in error.pks:
                    self.result.fail(
                        pk, "permission_denied", _("This would put the record out of your own reach.")
                    )
                    del values[pk]
                self._stop_if_atomic()
            except IntegrityError as error:
                names = violated_fields(self.entity.model, error)
                if names is None:
                    raise
                return self._written_by_halves(values, check, names)
        return set(values)

    def _written_by_halves(self, values: dict[int, Values], check: bool, names: list[str]) -> set[int]:
        if len(values) > 1:
            items = sorted(values.items())
            half = len(items) // 2
            return self._written(dict(items[:half]), check) | self._written(dict(items[half:]), check)
        [pk] = values
        self.result.fail(pk, "unique", f"{', '.join(names)}: {TAKEN}")
        self._stop_if_atomic()
        return set()

    def _store(self, values: Mapping[int, Values]) -> None:
        groups: dict[str, tuple[Values, list[int]]] = {}
        for pk, row in values.items():
            groups.setdefault(repr(sorted(row.items())), (row, []))[1].append(pk)
        for row, pks in groups.values():
            if row or self.merged:
                self.entity.model.objects.filter(pk__in=pks).update(**row, **self.merged)

    def _lost(self, values: Mapping[int, Any]) -> set[int]:
        reached = self.entity.visible_to(self.user, Permission.CHANGE).filter(pk__in=values)
        return set(values) - set(reached.values_list("pk", flat=True))

    def _stop_if_atomic(self) -> None:
        if self.atomic and self.result.failed:
            pk, (code, message) = next(iter(self.result.failed.items()))
            raise InvalidError.of(f"ids[{self.result.order.index(pk)}]", f"{pk}: {message}", code)


class _OutOfReachError(ForbiddenError):
    def __init__(self, pks: set[int]) -> None:
        super().__init__("out of reach")
        self.pks = pks


def _place(record: Any) -> tuple[tuple[str, str], ...]:
    """What a record says of how phone numbers and amounts are to be read."""
    region, currency = region_at(getattr(record, COUNTRY_FIELD, ""), ""), getattr(record, CURRENCY_FIELD, "")
    return (COUNTRY_FIELD, region), (CURRENCY_FIELD, currency)


def clean_shared(
    entity: Entity, data: Mapping[str, Any], user: Any, ids: Sequence[int], place: Values | None = None
) -> Values:
    """The values all records get, checked once, without the rules that look at each record. `place` is the
    country and the currency of the records, where these matter."""
    if not isinstance(data, Mapping) or not data:
        raise InvalidError.of("data", _("Expected the fields to set."), "required")
    before: Values = {MERGED: {}, "id": ids[0] if len(ids) == 1 else None} | (place or {})
    try:
        _refuse_locked(entity.for_user(user), data)
        bare = replace(entity.for_user(user), rules=())
        values = clean(bare, data, user=user, before=before, partial=True)
        if len(ids) > 1:
            _refuse_unique(entity, values)
    except InvalidError as error:
        raise InvalidError([replace(i, field=f"data.{i.field}") for i in error.issues]) from error
    return values


def _refuse_locked(entity: Entity, data: Mapping[str, Any]) -> None:
    """One value for many records is a change of those that have another, so that none may be named at all."""
    given = data.get(MERGED)
    keys = entity.locked_keys.intersection(given if isinstance(given, Mapping) else ())
    locked = [f"{custom.PREFIX}{key}" for key in sorted(keys)]
    if locked:
        raise InvalidError([FieldIssue(name, "read_only", _(MAY_NOT_CHANGE)) for name in locked])


def _refuse_unique(entity: Entity, values: Mapping[str, Any]) -> None:
    """Several records cannot get the same value of a unique field."""
    given = values.get(MERGED) or {}
    unique = [c.name for c in entity.columns if c.unique and values.get(c.path)]
    if given:
        unique += [custom.PREFIX + d.key for d in custom.definitions(entity) if d.unique and d.key in given]
    if unique:
        message = _("Several records cannot have the same value of a unique field.")
        raise InvalidError([FieldIssue(name, "unique", message) for name in unique])


def merging(values: Mapping[str, Any], given: Mapping[str, Any]) -> CombinedExpression:
    """A record's custom fields with `values` over them and without the keys that were `given` as empty."""
    gone = Value([key for key in given if key not in values], ArrayField(TextField()))
    kept = CombinedExpression(F(MERGED), "-", gone, output_field=JSONField())
    return CombinedExpression(kept, "||", Value(dict(values), JSONField()), output_field=JSONField())
