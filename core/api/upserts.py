"""Creating many records by one request, and writing records by the id that another system knows them by.

Each record goes the way of a single one: the entity's serializer cleans and stores it. Of many, each has a
savepoint of its own and an answer of its own.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.api.bulk import FieldIssueSerializer
from core.api.problems import issues_of
from core.api.strict import StrictFieldsMixin
from core.entities import Entity, aliases, writing
from core.entities.cleaning import clean_value
from core.entities.duplicate_rules import lock_refusing, warnings_of_rules
from core.entities.field_types import refuse
from core.errors import (
    ConflictError,
    DomainError,
    FieldIssue,
    InvalidError,
    NotVisibleError,
    ValueRefusedError,
)
from core.models.uniqueness import TAKEN

EXTERNAL_ID = "external_id"
ITEMS_AT_MOST = 1_000

# A serializer for one record: of a new one, or of the record that is to be changed.
SerializerFor = Callable[..., serializers.Serializer]


def external_id_of(entity: Entity, raw: Any) -> str:
    """An external id as it is stored; "" for none. Raises InvalidError."""
    try:
        return clean_value(entity.by_name[EXTERNAL_ID], raw) or ""
    except ValueRefusedError as error:
        raise InvalidError.of(EXTERNAL_ID, error.message, error.code) from error


def with_external_id(entity: Entity, external_id: str, data: Any) -> dict[str, Any]:
    """The body with the id of its address; another one in it is refused. Raises InvalidError."""
    if not isinstance(data, Mapping):
        raise InvalidError.of("", _("Expected an object."), "not_an_object")
    if EXTERNAL_ID in data and external_id_of(entity, data[EXTERNAL_ID]) != external_id:
        raise InvalidError.of(EXTERNAL_ID, _("The address names another external id."), "mismatch")
    return {**data, EXTERNAL_ID: external_id}


def locked_by_external_id(entity: Entity, external_id: str, user: Any) -> Any | None:
    """The living record of this external id under its row's lock, or the one that a record of this external
    id was merged into; None where there is none.

    Raises ConflictError for a record that `user` does not see, as the unique constraint would, and
    ForbiddenError for one that they see and may not change.
    """
    rows = entity.model.objects.filter(external_id=external_id, archived_at=None)
    pk = rows.values_list("pk", flat=True).first() or _survivor(entity, external_id)
    if pk is None:
        return None
    try:
        return writing.locked(entity, pk, user)
    except NotVisibleError as error:
        issues = [FieldIssue(EXTERNAL_ID, "unique", _(TAKEN))]
        raise ConflictError(_(TAKEN), code="unique", issues=issues) from error


def _survivor(entity: Entity, external_id: str) -> int | None:
    """The living record that answers to a former external id."""
    pk = aliases.known_by(entity, external_id)
    return pk if pk and entity.model.objects.filter(pk=pk, archived_at=None).exists() else None


def upsert(
    serializer_for: SerializerFor,
    entity: Entity,
    user: Any,
    data: Mapping[str, Any],
    *,
    partial: bool,
    check: Callable[[Any], None] = lambda record: None,
) -> tuple[Any, bool]:
    """The record of `data`'s external id, created or changed, and whether it is new.

    `check` looks at the locked record (None for a new one) before it is changed. Where another transaction
    creates the record at the same time, its record is changed.
    """
    record = locked_by_external_id(entity, data[EXTERNAL_ID], user)
    if record is None:
        check(None)
        try:
            with transaction.atomic():
                return _saved(serializer_for(data=data)), True
        except (ValidationError, ConflictError):
            record = locked_by_external_id(entity, data[EXTERNAL_ID], user)
            if record is None:
                raise
    check(record)
    # One that answers to a former id keeps its own.
    data = {**data, EXTERNAL_ID: record.external_id or data[EXTERNAL_ID]}
    return _saved(serializer_for(record, data=data, partial=partial)), False


def _saved(serializer: serializers.Serializer) -> Any:
    serializer.is_valid(raise_exception=True)
    return serializer.save()


class ItemsField(serializers.ListField):
    """The records of a request, each an object that is looked at by itself."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list) or not data:
            raise refuse("not_a_list", _("Expected a list of objects."))
        if len(data) > ITEMS_AT_MOST:
            raise refuse(
                "max_length", _("At most %(items_at_most)s items.") % {"items_at_most": f"{ITEMS_AT_MOST:,}"}
            )
        return data


class BulkWriteSerializer(StrictFieldsMixin, serializers.Serializer):
    """`{"items": [{…}, …], "mode": "partial" | "atomic"}`."""

    items = ItemsField()
    mode = serializers.ChoiceField(["partial", "atomic"], default="partial")


class WrittenItemSerializer(serializers.Serializer):
    """The result for an item: the record's id, or what was wrong."""

    index = serializers.IntegerField()
    status = serializers.ChoiceField(["created", "updated", "error"])
    id = serializers.IntegerField(required=False)
    external_id = serializers.CharField(required=False)
    code = serializers.CharField(required=False)
    message = serializers.CharField(required=False)
    errors: Any = FieldIssueSerializer(many=True, required=False)
    warnings = FieldIssueSerializer(many=True, required=False)


class BulkWriteResultSerializer(serializers.Serializer):
    """The result for each item, in the order of the request."""

    success = serializers.BooleanField()
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    failed = serializers.IntegerField()
    results = WrittenItemSerializer(many=True)


class BulkWriter:
    """Writes items one by one; `atomic` raises InvalidError at the first that is refused."""

    def __init__(self, serializer_for: SerializerFor, entity: Entity, user: Any, *, atomic: bool) -> None:
        self.serializer_for, self.entity, self.user, self.atomic = serializer_for, entity, user, atomic

    def create(self, items: list[Any]) -> dict[str, Any]:
        """New records of all items."""
        return self._each(items, lambda item: (_saved(self.serializer_for(data=item)), True))

    def upsert(self, items: list[Any]) -> dict[str, Any]:
        """Records created, or changed where there is one of the item's external id."""
        return self._each(items, self._upserted)

    def _upserted(self, item: Any) -> tuple[Any, bool]:
        external_id = external_id_of(self.entity, item.get(EXTERNAL_ID)) if isinstance(item, Mapping) else ""
        data = with_external_id(self.entity, external_id, item)
        if not external_id:
            raise InvalidError.of(EXTERNAL_ID, _("This field is required."), "required")
        return upsert(self.serializer_for, self.entity, self.user, data, partial=True)

    def _each(self, items: list[Any], write: Callable[[Any], tuple[Any, bool]]) -> dict[str, Any]:
        """In the order of external ids, so that two requests about the same records wait for each other and
        not each for the other; answered in the order of the request."""
        lock_refusing(self.entity)
        order = sorted(range(len(items)), key=lambda index: _sort_key(items[index]))
        found = {index: self._one(index, items[index], write) for index in order}
        return _answer([found[index] for index in range(len(items))])

    def _one(self, index: int, item: Any, write: Callable[[Any], tuple[Any, bool]]) -> dict[str, Any]:
        try:
            with transaction.atomic():
                record, is_new = write(item)
        except (DomainError, ValidationError) as error:
            return self._refused(index, error)
        named = {EXTERNAL_ID: record.external_id} if record.external_id else {}
        warnings = warnings_of_rules(record)
        return {
            "index": index,
            "status": "created" if is_new else "updated",
            "id": record.pk,
            **named,
            **({"warnings": warnings} if warnings else {}),
        }

    def _refused(self, index: int, error: Exception) -> dict[str, Any]:
        issues = issues_of(error)
        if self.atomic:
            at = f"items[{index}]"
            named = ((f"{at}.{i['field']}" if i["field"] else at, i["code"], i["message"]) for i in issues)
            raise InvalidError([FieldIssue(*issue) for issue in named]) from error
        code = error.code if isinstance(error, DomainError) else "invalid"
        message = "; ".join(": ".join(filter(None, (i["field"], i["message"]))) for i in issues)
        return {"index": index, "status": "error", "code": code, "message": message, "errors": issues}


def _sort_key(item: Any) -> str:
    return str(item.get(EXTERNAL_ID) or "") if isinstance(item, Mapping) else ""


def _answer(results: list[dict[str, Any]]) -> dict[str, Any]:
    counts = {status: _count(results, status) for status in ("created", "updated")}
    failed = _count(results, "error")
    return {"success": failed < len(results), **counts, "failed": failed, "results": results}


def _count(results: Iterable[Mapping[str, Any]], status: str) -> int:
    return sum(result["status"] == status for result in results)
