"""Bulk bodies: `{"ids": […] | "filter": {…}, "action": …, "data": {…}, "mode": "partial" | "atomic"}`."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.access import Permission
from core.api.strict import StrictFieldsMixin
from core.conditions import parse, record_q
from core.conditions.relative_dates import in_zone_of
from core.conf import conf
from core.entities import Entity
from core.entities.assignment import METHODS, shares, working_members
from core.entities.bulk import Bulk, BulkResult
from core.entities.field_types import Reference, refuse
from core.entities.references import existing_ids
from core.errors import InvalidError

_ID = Reference()


class IdsField(serializers.ListField):
    """A list of ids, read in one go: there may be thousands."""

    child = Reference()

    def to_internal_value(self, data: Any) -> list[int]:
        return ids_in(data)


def ids_in(data: Any) -> list[int]:
    """The ids in a list. Raises ValueRefusedError."""
    if not isinstance(data, list) or not data:
        raise refuse("not_a_list", _("Expected a list of ids."))
    if len(data) > conf.BULK_LIMIT:
        raise refuse("max_length", _("At most %(bulk_limit)s ids.") % {"bulk_limit": conf.BULK_LIMIT})
    return [_ID.to_internal_value(item) for item in data]


class RecordsSerializer(StrictFieldsMixin, serializers.Serializer):
    """Which records: by their ids, or by a condition in place of them."""

    ids = IdsField(required=False)
    filter = serializers.JSONField(required=False, help_text="A condition in place of `ids`.")
    mode = serializers.ChoiceField(["partial", "atomic"], default="partial")
    bulk_class: type[Bulk] = Bulk

    @property
    def entity(self) -> Entity:
        return self.context["entity"]

    @property
    def user(self) -> Any:
        return self.context["request"].user

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("ids" in attrs) == ("filter" in attrs):
            raise ValidationError({"ids": _('Give either "ids" or "filter".')}, code="required")
        return attrs

    def bulk(self, permission: str) -> Any:
        """The change of those records that are named. Raises InvalidError."""
        given = self.validated_data
        ids = (
            given["ids"]
            if "ids" in given
            else matching_ids(self.entity, self.user, given["filter"], permission)
        )
        return self.bulk_class(self.entity, self.user, ids, atomic=given["mode"] == "atomic")


def matching_ids(entity: Entity, user: Any, raw: Any, permission: str) -> list[int]:
    """Ids of the records a filter names; more than the limit is an error, never a part of them."""
    if not raw:
        raise InvalidError.of("filter", _("An empty filter would name every record."), "blank")
    rows = entity.visible_to(user, permission).filter(archived_at=None)
    with in_zone_of(user):
        condition = parse(entity.for_user(user), raw, name="filter")
        found = rows.filter(record_q(condition, user=user)).order_by("pk")
    ids = list(found.values_list("pk", flat=True)[: conf.BULK_LIMIT + 1])
    if len(ids) > conf.BULK_LIMIT:
        raise InvalidError.of(
            "filter",
            _("More than %(bulk_limit)s records match.") % {"bulk_limit": conf.BULK_LIMIT},
            "max_length",
        )
    return ids


class AssigneesSerializer(StrictFieldsMixin, serializers.Serializer):
    """To whom: one user, several, or the members of a team."""

    assigned_to = Reference("user", required=False)
    users = IdsField(required=False)
    team = Reference("team", required=False)
    method = serializers.ChoiceField(METHODS, default=METHODS[0])

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in ("assigned_to", "users", "team") if name in attrs]
        if len(given) != 1:
            message = _('Give one of "assigned_to", "users", "team".')
            raise ValidationError({"assigned_to": message}, code="required")
        attrs["assignees"] = _assignees(given[0], attrs[given[0]], self.context["request"].user)
        return super().validate(attrs)


def _assignees(name: str, value: Any, user: Any) -> list[int]:
    """Ids of the users named; all of them must be there and active. Raises ValidationError."""
    ids = value if name == "users" else [value]
    if name == "team":
        ids = working_members(value)
    if not ids or set(ids) - existing_ids("user", ids, user):
        message = _("There is no such active user, or no team member who may change records.")
        raise ValidationError({name: message}, code="does_not_exist")
    return ids


class AssignSerializer(AssigneesSerializer, RecordsSerializer):
    """`{"ids": […], "assigned_to": 5}`, or `users` or a `team` with a `method`."""

    def save(self, **kwargs: Any) -> dict[str, Any]:
        return assigned(self.bulk(Permission.CHANGE), self.validated_data)


class BulkSerializer(RecordsSerializer):
    """A change of many records at once. `data` holds the fields to set; for `assign`, to whom."""

    action = serializers.ChoiceField(["update", "delete", "assign"])
    data = serializers.JSONField(default=dict)  # type: ignore[assignment]  # a field; DRF takes it off

    class Meta:
        example = {"ids": [1, 2], "action": "update", "data": {"tags": ["vip"]}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if attrs["action"] == "delete" and attrs["data"]:
            raise ValidationError({"data": _("Deleting takes no data.")}, code="unknown_field")
        if attrs["action"] == "assign":
            given = attrs["data"] if isinstance(attrs["data"], Mapping) else {}
            below = AssigneesSerializer(data=given, context=self.context)
            if not below.is_valid():
                found = below.errors.items()
                raise ValidationError({n if n in below.fields else f"data.{n}": e for n, e in found})
            attrs["data"] = below.validated_data
        return attrs

    def save(self, **kwargs: Any) -> dict[str, Any]:
        given = self.validated_data
        if given["action"] == "assign":
            return assigned(self.bulk(Permission.CHANGE), given["data"])
        if given["action"] == "delete":
            return answer(self.bulk(Permission.DELETE).archive(), "deleted")
        return answer(self.bulk(Permission.CHANGE).update(given["data"]), "updated")


class BulkErrorSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    code = serializers.CharField()
    message = serializers.CharField()


class BulkItemSerializer(serializers.Serializer):
    index = serializers.IntegerField()
    id = serializers.IntegerField()
    status = serializers.CharField()
    code = serializers.CharField(required=False)
    message = serializers.CharField(required=False)


class FieldIssueSerializer(serializers.Serializer):
    """What is wrong with, or doubtful about, one field of a record."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class BulkResultSerializer(serializers.Serializer):
    """The result for each record, in the order of the request."""

    success = serializers.BooleanField()
    updated = serializers.IntegerField(required=False)
    deleted = serializers.IntegerField(required=False)
    errors = BulkErrorSerializer(many=True)  # type: ignore[assignment]  # a field; DRF takes it off
    results = BulkItemSerializer(many=True)
    warnings = FieldIssueSerializer(many=True, required=False)


def assigned(bulk: Bulk, given: Mapping[str, Any]) -> dict[str, Any]:
    """Assign the records of a bulk change to the `assignees`."""
    people, method, team = given["assignees"], given["method"], given.get("team")
    return answer(bulk.assign(lambda ids: shares(bulk.entity, ids, people, method, team)), "updated")


def answer(result: BulkResult, word: str) -> dict[str, Any]:
    """`results` in the order of the request."""
    results = [_item(result, i, pk, word) for i, pk in enumerate(result.order)]
    return {
        "success": not result.failed or bool(result.done),
        word: len(result.done),
        "errors": [{k: r[k] for k in ("id", "code", "message")} for r in results if "code" in r],
        "results": results,
        **({"warnings": result.warnings} if result.warnings else {}),
    }


def _item(result: BulkResult, index: int, pk: int, word: str) -> dict[str, Any]:
    if pk in result.failed:
        code, message = result.failed[pk]
        return {"index": index, "id": pk, "status": "error", "code": code, "message": message}
    return {"index": index, "id": pk, "status": word}
