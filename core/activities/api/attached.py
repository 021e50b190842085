"""What hangs on a record, over HTTP. The record is `{"lead": 5}` or `{"entity": "lead", "object_id": 5}`."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.accounts.models import User
from core.api.resources import ResourceViewSet, StrictSerializer
from core.api.schema.parts import ID, TEXT, object_of
from core.entities import entities
from core.entities.field_types import Reference
from core.entities.reading import user_brief
from core.errors import refused_as


class RelatedRecordField(serializers.IntegerField):
    """The record's id under its entity's name; null where the record is of another entity."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, allow_null=True, min_value=1, **options)

    def get_attribute(self, instance: Any) -> int | None:
        return instance.object_id if instance.entity == self.field_name else None


@extend_schema_field(object_of({"id": ID, "username": TEXT, "full_name": TEXT}))
class AuthorField(serializers.Field):
    """Who wrote it, in short form."""

    def to_representation(self, value: User) -> dict[str, Any]:
        return user_brief(
            {
                "id": value.pk,
                "username": value.username,
                "first_name": value.first_name,
                "last_name": value.last_name,
            }
        )


class AttachedSerializer(StrictSerializer):
    """The record is given by its entity's name (`"lead": 7`) or by `entity` and `object_id`. You must see
    it, and it cannot be changed later."""

    author = AuthorField(read_only=True)

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name in ("entity", "object_id"):
            fields[name].required = False
        return fields | {entity.name: RelatedRecordField() for entity in entities}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        subject = _subject(attrs)
        if self.instance is None:
            attrs["entity"], attrs["object_id"] = _checked(subject, self.context["request"].user)
        elif subject and subject != (self.instance.entity, self.instance.object_id):
            raise ValidationError({subject[0]: _("It stays with its record.")}, code="read_only")
        return super().validate(attrs)


def _subject(attrs: dict[str, Any]) -> tuple[str, int] | None:
    """The one record the body names, taken out of `attrs`. Raises ValidationError for several."""
    pair = attrs.pop("entity", None), attrs.pop("object_id", None)
    named = {(e.name, attrs.pop(e.name)) for e in entities if attrs.get(e.name) is not None}
    for entity in entities:
        attrs.pop(entity.name, None)
    if any(pair):
        named.add(pair)
    if len(named) > 1 or any(None in found for found in named):
        raise ValidationError({"entity": _("Name one record.")}, code="invalid")
    return next(iter(named), None)


def _checked(subject: tuple[str, int] | None, user: Any) -> tuple[str, int]:
    if subject is None:
        known = ", ".join(entities.keys())
        raise ValidationError(
            {"entity": _("Name the record by one of: %(known)s.") % {"known": known}}, code="required"
        )
    entity = entities.get(subject[0])
    if entity is None or not entity.visible_to(user).filter(pk=subject[1], archived_at=None).exists():
        raise ValidationError({subject[0]: _("There is no such record.")}, code="does_not_exist")
    return subject


class AttachedViewSet(ResourceViewSet):
    """Lists are filtered by the record under its entity's name: `?lead=5`."""

    @property
    def parameters(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(entities.keys())

    def filter_queryset(self, rows: QuerySet) -> QuerySet:
        rows = super().filter_queryset(rows)
        for entity in entities:
            text = self.request.query_params.get(entity.name)
            if text is not None:
                rows = self.of_record(rows, entity.name, _id(entity.name, text))
        return rows

    def of_record(self, rows: QuerySet, entity: str, pk: int) -> QuerySet:
        """Those of the rows that hang on the record."""
        return rows.filter(entity=entity, object_id=pk)

    def perform_create(self, serializer: Any) -> None:
        self.saved(serializer, author=self.request.user)


def _id(name: str, text: str) -> int:
    with refused_as(name):
        return Reference().to_internal_value(text)
