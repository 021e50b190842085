"""Serializers made from an entity's columns."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import orjson
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from core.api.rendering import dumps
from core.entities import Column, Entity, writing
from core.entities.cleaning import clean
from core.entities.field_types import Money
from core.entities.reading import Reader
from core.errors import InvalidError

# What answers hold beside the record's own fields.
ANSWERED = frozenset(("possible_duplicates", "warnings"))


class DuplicateSerializer(serializers.Serializer):
    """A record that may be the same as a new one."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class GroupValueSerializer(serializers.Serializer):
    """A value that figures are grouped by; null where records have none."""

    field = serializers.CharField()
    value = serializers.CharField(allow_null=True)
    label = serializers.CharField()  # type: ignore[assignment]  # a field; DRF takes it off


class GroupFiguresSerializer(serializers.Serializer):
    """The figures of one group. `metrics` and `by_currency` hold what `metrics` names; null where no record
    has a value."""

    groups = GroupValueSerializer(many=True)
    count = serializers.IntegerField()
    metrics = serializers.DictField(child=serializers.FloatField(allow_null=True))
    by_currency = serializers.DictField(
        child=serializers.DictField(child=Money(decimal_places=4, allow_null=True)),
        help_text="Money, by currency.",
    )


class StatisticsSerializer(serializers.Serializer):
    """Totals of the records that the list's filters name."""

    total = serializers.IntegerField()
    groups = GroupFiguresSerializer(
        many=True,
        required=False,
        help_text="Where `group_by` or `metrics` is given: the largest group first.",
    )


class CountsField(serializers.DictField):
    """How many records have each value of a field."""

    child = serializers.IntegerField()


class FieldWarningSerializer(serializers.Serializer):
    """A value that was stored although it is doubtful."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class EntityListSerializer(serializers.ListSerializer):
    """Records by their ids (or as instances), all of them read by one statement."""

    child: "EntitySerializer"

    def to_representation(self, data: Any) -> list[Any]:
        return self.child.represent(list(data))


class EntitySerializer(serializers.Serializer):
    """The base of an entity's serializer: `class Meta: entity = LEAD`.

    Its fields are the entity's columns; further ones, or others in their place, are declared as in any
    serializer, as are `validate`, `validate_<field>`, `create` and `update`. Input goes through
    `core.entities.cleaning` (unknown fields, references, custom fields, rules); validated data is by table
    column. PostgreSQL writes the output; fields declared by hand are asked with the model's instance.
    `fields` and `expand` are those of a request. `context["lookups"]` are those of a writer of many.
    """

    refuses_unknown = True
    # An answer holds all fields but these, which stand in answers to writes where there is something to say.
    answers_whole = True
    optional_in_answers = ANSWERED

    class Meta:
        entity: Entity
        list_serializer_class = EntityListSerializer

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not hasattr(cls.Meta, "list_serializer_class"):
            cls.Meta.list_serializer_class = EntityListSerializer

    def __init__(
        self, *args: Any, fields: Sequence[str] = (), expand: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.shown, self.expand = fields, expand

    @cached_property
    def entity(self) -> Entity:
        """The entity as whoever reads or writes knows it."""
        return self.Meta.entity.for_user(self.user)

    @property
    def user(self) -> Any:
        """Who reads or writes: `context["user"]`, or the request's; nobody where there is no request, as for
        the OpenAPI document."""
        if "user" in self.context:
            return self.context["user"]
        request = self.context.get("request")
        return request.user if request is not None else None

    def get_fields(self) -> dict[str, serializers.Field]:
        made = {c.name: _field(c) for c in self.entity.columns if c.name not in self._declared_fields}
        if self.entity.duplicates:
            made["possible_duplicates"] = DuplicateSerializer(many=True, read_only=True, required=False)
        made["warnings"] = FieldWarningSerializer(many=True, read_only=True, required=False)
        return made | super().get_fields()

    # ---- In ----

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        data, own = self._own_values(self._writable(data))
        before = None if self.instance is None else writing.values_of(self.instance)
        try:
            values = clean(
                self.entity,
                data,
                user=self.user,
                before=before,
                partial=self.partial,
                lookups=self.context.get("lookups"),
            )
        except InvalidError as error:
            raise ValidationError(details_of(error)) from error
        self._validate_fields(data, values)
        return values | own

    def _writable(self, data: Any) -> Any:
        """Of a change, the data without read-only fields: a record can be sent back as it was read."""
        if self.instance is None or not isinstance(data, Mapping):
            return data
        known = self.entity.by_input_name
        return {
            name: value
            for name, value in data.items()
            if name not in ANSWERED and (name not in known or known[name].writable or known[name].locked)
        }

    def _own_values(self, data: Any) -> tuple[Any, dict[str, Any]]:
        """What the fields declared by hand make of the data, in place of a column or besides them."""
        own: dict[str, Any] = {}
        if not self._declared_fields or not isinstance(data, Mapping):
            return data, own
        data = dict(data)
        for name, field in self.fields.items():
            if name not in self._declared_fields or field.read_only or name not in data:
                continue
            try:
                value = field.run_validation(data.pop(name))
            except ValidationError as error:
                raise ValidationError({name: error.detail}) from error
            into = data if name in self.entity.by_name else own
            into[name] = value
        return data, own

    def _validate_fields(self, data: Any, values: dict[str, Any]) -> None:
        """`validate_<field>` of the columns that are given."""
        for name in data:
            validate = getattr(self, f"validate_{name}", None)
            if validate is None:
                continue
            path = self.entity.by_input_name[name].path
            if path not in values:
                continue
            try:
                values[path] = validate(values[path])
            except ValidationError as error:
                raise ValidationError({name: error.detail}) from error

    def _read_only_defaults(self) -> dict[str, Any]:
        return {}  # columns have none, and asking makes every field

    def create(self, validated_data: dict[str, Any]) -> Any:
        return writing.create_clean(self.entity, dict(validated_data), self.user)

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        return writing.save_clean(self.entity, instance, validated_data, self.user)

    # ---- Out ----

    @property
    def data(self) -> Any:
        return super(serializers.Serializer, self).data  # as it is: PostgreSQL has written it

    def to_representation(self, instance: Any) -> Any:
        [found] = self.represent([instance])
        return found

    def represent(self, records: Sequence[Any]) -> list[Any]:
        """Records, by id or as instances, in the order given."""
        ids = [record if isinstance(record, int) else record.pk for record in records]
        names = [name for name in self.shown if name not in self._declared_fields]
        fields = names or (["id"] if self.shown else [])
        reader = Reader(self.entity, fields=fields, expand=self.expand, more=self.document_columns())
        found = reader.documents(ids, self.user)
        return self._with_own_fields(ids, found) if self._declared_fields else found

    def document_columns(self) -> Sequence[Column]:
        """What PostgreSQL writes of records beside their columns."""
        return ()

    def _with_own_fields(self, ids: Sequence[int], found: Sequence[Any]) -> list[Any]:
        own = {
            name: field
            for name, field in self.fields.items()
            if name in self._declared_fields
            and not field.write_only
            and (not self.shown or name in self.shown)
        }
        instances = self.entity.model.objects.in_bulk(ids)
        return [
            orjson.loads(dumps(document))
            | {name: _represented(field, instances[pk]) for name, field in own.items()}
            for pk, document in zip(ids, found, strict=True)
        ]


def _represented(field: serializers.Field, instance: Any) -> Any:
    value = field.get_attribute(instance)
    return None if value is None else field.to_representation(value)


def _field(column: Column) -> serializers.Field:
    """The serializer field of a column."""
    options: dict[str, Any] = {"label": column.label, "help_text": column.help_text}
    if not column.writable:
        options["read_only"] = True
    else:
        options["required"] = column.required
    if column.nullable:
        options["allow_null"] = True
    return column.field_type.copy(**options)


def details_of(error: InvalidError) -> dict[str, list[ErrorDetail]]:
    """A domain error's issues as DRF keeps them."""
    found: dict[str, list[ErrorDetail]] = {}
    for issue in error.issues:
        found.setdefault(issue.field or "non_field_errors", []).append(ErrorDetail(issue.message, issue.code))
    return found
