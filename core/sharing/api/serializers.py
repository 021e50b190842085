"""Shares as JSON."""

from typing import Any

from django.db.models import QuerySet, Value
from django.db.models.functions import Lower
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.accounts.models import User
from core.api.bulk import RecordsSerializer, answer
from core.api.strict import StrictFieldsMixin
from core.entities.field_types import Reference
from core.entities.reading import user_brief
from core.entities.references import referable
from core.errors import ValueRefusedError
from core.sharing.models import Share
from core.sharing.operations import Grant, ShareBulk


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string"}]})
class NamedField(serializers.Field):
    """A user or team by id or name; hidden, inactive and missing ones look alike."""

    default_error_messages = {"does_not_exist": "There is no such {target}."}

    def __init__(self, target: str, **options: Any) -> None:
        super().__init__(**options)
        self.target = target

    def to_internal_value(self, data: Any) -> Any:
        rows = referable(self.target, self.context["request"].user)
        found = self._by_id(rows, data) or self._by_name(rows, data)
        if found is None:
            self.fail("does_not_exist", target="active user" if self.target == "user" else self.target)
        return found

    def _by_id(self, rows: QuerySet, data: Any) -> Any:
        try:
            return rows.filter(pk=Reference().to_internal_value(data)).first()
        except ValueRefusedError:
            return None

    def _by_name(self, rows: QuerySet, data: Any) -> Any:
        """By the name; a user also by the e-mail address, where whoever asks may know it."""
        if not isinstance(data, str) or not data or "\x00" in data or len(data) > 254:
            return None
        if self.target == "team":
            return self._called(rows, "name", data)
        known = User.policy.details_of(self.context["request"].user)
        reachable = rows if known is None else rows.filter(pk__in=known)
        by_address = self._called(reachable, "email", data) if "@" in data else None
        return self._called(rows, "username", data) or by_address

    def _called(self, rows: QuerySet, field: str, text: str) -> Any:
        return rows.alias(lowered=Lower(field)).filter(lowered=Lower(Value(text))).first()


class GranteeSerializer(StrictFieldsMixin, serializers.Serializer):
    """Either a user or a team: by id or name, users also by the e-mail address that one may know."""

    user = NamedField("user", required=False)
    team = NamedField("team", required=False)

    class Meta:
        example: dict[str, Any] = {"user": 5}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("user" in attrs) == ("team" in attrs):
            raise ValidationError({"user": _('Give either "user" or "team".')}, code="required")
        return super().validate(attrs)

    @property
    def grant(self) -> Grant:
        names = ("user", "team", "access", "expires_at")
        return Grant(**{name: self.validated_data[name] for name in names if name in self.validated_data})


class GrantSerializer(GranteeSerializer):
    """With whom something is shared, whether to read or to change it, and until when."""

    access = serializers.ChoiceField(Share.Access.choices, default=Share.Access.READ)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)

    class Meta:
        example: dict[str, Any] = {"user": 5, "access": "write"}


class BulkGrantSerializer(GrantSerializer, RecordsSerializer):
    """`{"ids": […], "user": 5, "access": "read"}`: which records, and with whom they are shared."""

    bulk_class = ShareBulk

    class Meta:
        example: dict[str, Any] = {"ids": [1, 2], "user": 5, "access": "write"}

    def save(self, **kwargs: Any) -> dict[str, Any]:
        return answer(self.bulk("share").share(self.grant), "updated")


class BulkGranteeSerializer(GranteeSerializer, RecordsSerializer):
    """`{"ids": […], "user": 5}`: which records, and whom they are no longer shared with."""

    bulk_class = ShareBulk

    class Meta:
        example: dict[str, Any] = {"ids": [1, 2], "user": 5}

    def save(self, **kwargs: Any) -> dict[str, Any]:
        return answer(self.bulk("share").unshare(self.grant), "updated")


class ShareUserSerializer(serializers.Serializer):
    """A user's name, as everyone may see it."""

    id = serializers.IntegerField()
    username = serializers.CharField()
    full_name = serializers.CharField()


class ShareTeamSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class ShareSerializer(serializers.Serializer):
    """A share: with a user or a team."""

    id = serializers.IntegerField()
    user = ShareUserSerializer(allow_null=True)
    team = ShareTeamSerializer(allow_null=True)
    access = serializers.ChoiceField(Share.Access.choices)
    expires_at = serializers.DateTimeField(allow_null=True)
    created_by = ShareUserSerializer(allow_null=True)
    created_at = serializers.DateTimeField()


class SharePageSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ShareSerializer(many=True)


def shown(share: Share) -> dict[str, Any]:
    """A share as the API gives it."""
    return {
        "id": share.pk,
        "user": person(share.user),
        "team": {"id": share.team.pk, "name": share.team.name} if share.team else None,
        "access": share.access,
        "expires_at": share.expires_at,
        "created_by": person(share.created_by),
        "created_at": share.created_at,
    }


def person(user: Any) -> dict[str, Any] | None:
    """The short form of a user."""
    names = ("id", "username", "first_name", "last_name")
    return user_brief({name: getattr(user, name) for name in names}) if user else None
