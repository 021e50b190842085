"""Changing many records in one transaction, with an answer for each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from core.access import Action
from core.entities.cleaning import clean
from core.entities.entity import Entity
from core.entities.writing import values_of
from core.errors import ForbiddenError, InvalidError

Values = dict[str, Any]
# custom_fields are merged with each record's own; everything else is the same for all of them.
MERGED = "custom_fields"


@dataclass
class BulkResult:
    """Ids done, and what was wrong with the others; `order` is the order of the request."""

    order: list[int]
    done: set[int] = field(default_factory=set)
    failed: dict[int, tuple[str, str]] = field(default_factory=dict)

    def fail(self, pk: int, code: str, message: str) -> None:
        self.failed[pk] = (code, message)


class Bulk:
    """One bulk change. `atomic` means all or none: the first failure undoes everything (InvalidError)."""

    def __init__(self, entity: Entity, user: Any, ids: Iterable[int], *, atomic: bool = False) -> None:
        self.entity, self.user, self.atomic = entity, user, atomic
        self.result = BulkResult(list(dict.fromkeys(ids)))

    def update(self, data: Mapping[str, Any]) -> BulkResult:
        """Set the same fields on all records. Raises InvalidError where the fields themselves are wrong."""
        probe = clean_shared(self.entity, data, self.user)
        self._write({r.pk: self._values(r, data, probe) for r in self._locked(Action.CHANGE)})
        return self.result

    def assign(self, assignees: Mapping[int, int]) -> BulkResult:
        """Give each record (id) to a user (id)."""
        rows = self._locked(Action.CHANGE)
        self._write({r.pk: {"assigned_to_id": assignees[r.pk]} for r in rows})
        return self.result

    def archive(self) -> BulkResult:
        rows = self._locked(Action.DELETE)
        now = timezone.now()
        self._write({r.pk: {"archived_at": now} for r in rows}, check=False)
        return self.result

    def restore(self) -> BulkResult:
        """Bring archived records back."""
        rows = self._locked(Action.CHANGE, archived=True)
        self._write({r.pk: {"archived_at": None} for r in rows})
        return self.result

    def _locked(self, action: str, *, archived: bool = False) -> list[Any]:
        """The records `user` may change, locked in order of their ids; the others have failed."""
        reached = self.entity.visible_to(self.user, action)
        named = reached.filter(archived_at__isnull=not archived, pk__in=self.result.order)
        rows = list(named.order_by("pk").select_for_update(of=("self",)))
        for pk in set(self.result.order) - {row.pk for row in rows}:
            self.result.fail(pk, "not_found", "Not found.")
        self._stop_if_atomic()
        return rows

    def _values(
        self, record: Any, data: Mapping[str, Any], shared: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        before = values_of(record)
        try:
            if MERGED in data:
                return clean(self.entity, data, user=self.user, before=before, partial=True)
            values = dict(shared)
            for rule in self.entity.rules:
                rule(values, before)
            return values
        except InvalidError as error:
            self.result.fail(record.pk, error.issues[0].code, str(error))
            self._stop_if_atomic()
            return None

    def _write(self, wanted: Mapping[int, Values | None], *, check: bool = True) -> None:
        """One UPDATE for each set of equal values; records put out of reach are left as they were."""
        values = {pk: v for pk, v in wanted.items() if v is not None}
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
                        pk, "permission_denied", "This would put the record out of your own reach."
                    )
                    del values[pk]
                self._stop_if_atomic()
        self.result.done = set(values)

    def _store(self, values: Mapping[int, dict[str, Any]]) -> None:
        groups: dict[str, tuple[dict[str, Any], list[int]]] = {}
        for pk, row in values.items():
            groups.setdefault(repr(sorted(row.items())), (row, []))[1].append(pk)
        for row, pks in groups.values():
            if row:
                self.entity.model.objects.filter(pk__in=pks).update(**row)

    def _lost(self, values: Mapping[int, Any]) -> set[int]:
        reached = self.entity.visible_to(self.user, Action.CHANGE).filter(pk__in=values)
        return set(values) - set(reached.values_list("pk", flat=True))

    def _stop_if_atomic(self) -> None:
        if self.atomic and self.result.failed:
            pk, (code, message) = next(iter(self.result.failed.items()))
            raise InvalidError.of(f"ids[{self.result.order.index(pk)}]", f"{pk}: {message}", code)


class _OutOfReachError(ForbiddenError):
    def __init__(self, pks: set[int]) -> None:
        super().__init__("out of reach")
        self.pks = pks


def clean_shared(entity: Entity, data: Mapping[str, Any], user: Any) -> dict[str, Any]:
    """The values all records get, checked once, without the rules that look at each record."""
    if not isinstance(data, Mapping) or not data:
        raise InvalidError.of("data", "Expected the fields to set.", "required")
    try:
        return clean(replace(entity, rules=()), data, user=user, before={MERGED: {}, "id": 0}, partial=True)
    except InvalidError as error:
        raise InvalidError([replace(i, field=f"data.{i.field}") for i in error.issues]) from error
