"""Columns: the fields of an entity under their public names, each with its field type."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Value
from django.db.models.expressions import CombinedExpression

from core.entities import field_types
from core.entities.field_types import FieldType
from core.labels import english
from core.models.folding import Fold
from core.models.uniqueness import is_unique


@dataclass(frozen=True)
class Column:
    """One field of an entity.

    `path` is the ORM path it is read from and filtered by; a derived column has an `expression` instead.
    `required` columns must be given on creation and never be emptied. `aliases` are further names accepted
    on input.
    """

    name: str
    field_type: FieldType
    path: str
    label: str = ""
    required: bool = False
    nullable: bool = True
    blank: bool = True
    writable: bool = True
    filterable: bool = True
    orderable: bool = True
    custom: bool = False
    unique: bool = False
    searchable: bool = False
    # Text that says the same only letter by letter: an id of another system.
    exact: bool = False
    default: Any = None
    aliases: tuple[str, ...] = ()
    expression: Any = field(default=None, compare=False)
    help_text: str = ""
    # Whether it could be written but for the rights of whoever asks (Entity.for_user): then it is not
    # `writable`, and what is sent may only be what is there.
    locked: bool = False
    # Of `custom_fields`: the keys that are left out, for they are hidden.
    without: tuple[str, ...] = ()
    # Of a reference: the rights with which the fields behind it are looked at.
    rights_behind: Any = field(default=None, compare=False)

    @property
    def target(self) -> Any:
        """What lookups and orderings are built on: the expression, or the path."""
        if self.without:
            keys = Value(list(self.without), ArrayField(models.TextField()))
            return CombinedExpression(models.F(self.path), "-", keys, output_field=models.JSONField())
        return self.expression if self.expression is not None else models.F(self.path)

    @property
    def folded(self) -> bool:
        """Whether its text is compared and ordered without regard to case, accents and width: names and words
        are, codes are not."""
        return type(self.field_type) is field_types.Text and not self.exact

    @property
    def sort_key(self) -> Any:
        """What orderings are built on."""
        return Fold(self.target) if self.folded else self.target

    @property
    def empty(self) -> Any:
        """What "no value" is stored as."""
        if isinstance(self.field_type, field_types.TextList | field_types.MultiChoice):
            return []
        return None if self.nullable else self.field_type.empty_value

    @property
    def cleared(self) -> Any:
        """What clearing the field leaves: nothing, or the default where the table takes no nothing."""
        takes_nothing = self.nullable or (self.empty is not None and self.blank)
        return self.default if not takes_nothing and self.default is not None else self.empty


def column(model: type[models.Model], name: str, **overrides: Any) -> Column:
    """The column of a model's field; `overrides` replace what the field itself says."""
    source = _field_of(model, name)
    made = Column(
        name=name,
        field_type=overrides.pop("field_type", None) or field_type_of(source),
        path=source.attname,
        label=english(source.verbose_name).capitalize(),
        required=_is_required(source),
        nullable=source.null,
        blank=source.blank,
        writable=source.editable,
        unique=is_unique(source),
        help_text=english(source.help_text),
        default=_default_of(source),
    )
    return replace(made, **overrides)


def _field_of(model: type[models.Model], name: str) -> models.Field:
    found = model._meta.get_field(name)
    if not isinstance(found, models.Field):
        raise TypeError(f"{name} of {model.__name__} is a relation from elsewhere and no column")
    return found


def columns(model: type[models.Model], *names: str) -> tuple[Column, ...]:
    """The columns of several fields, each as the field itself says."""
    return tuple(column(model, name) for name in names)


def derived(name: str, field_type: FieldType, expression: Any, **overrides: Any) -> Column:
    """A read-only column computed by the database."""
    label = name.replace("_", " ").capitalize()
    return Column(
        name=name,
        field_type=field_type,
        path=name,
        label=label,
        writable=False,
        expression=expression,
        **overrides,
    )


def _is_required(source: models.Field) -> bool:
    return not (source.blank or source.null or source.has_default())


def _default_of(source: models.Field) -> Any:
    return source.get_default() if source.has_default() and not callable(source.default) else None


def _text(source: Any) -> FieldType:
    if source.choices:
        return field_types.Choice(choices=tuple(str(value) for value, _ in source.flatchoices))
    return field_types.Text(max_length=source.max_length)


def _bounds(source: Any) -> dict[str, Any]:
    """The bounds that the field's own validators state."""
    return {v.code: v.limit_value for v in source.validators if getattr(v, "code", "") in _BOUNDS}


_BOUNDS = ("min_value", "max_value")


def _reference(source: Any) -> FieldType:
    target = source.related_model
    return field_types.Reference(target=getattr(target, "entity_name", target._meta.model_name))


def _money(source: Any) -> FieldType:
    return field_types.Money(source.max_digits, source.decimal_places, **_bounds(source))


def _id(source: Any) -> FieldType:
    return field_types.Integer(max_value=field_types.BIGINT_MAX)


# The first that fits: subclasses stand before their bases.
_FIELD_TYPES: list[tuple[type[models.Field], Callable[[Any], FieldType]]] = [
    (models.GeneratedField, lambda f: field_type_of(f.output_field)),
    (models.ForeignKey, _reference),
    (models.EmailField, lambda f: field_types.Email(max_length=f.max_length)),
    (models.URLField, lambda f: field_types.Url(max_length=f.max_length)),
    (models.CharField, _text),
    (models.TextField, lambda f: field_types.Text(max_length=f.max_length or 50_000, trim_whitespace=False)),
    (models.BooleanField, lambda f: field_types.Boolean()),
    (models.FloatField, lambda f: field_types.Float(**_bounds(f))),
    (models.DecimalField, _money),
    (models.BigIntegerField, _id),
    (models.IntegerField, lambda f: field_types.Integer(**_bounds(f))),
    (models.AutoField, _id),
    (models.DateTimeField, lambda f: field_types.DateTime()),
    (models.DateField, lambda f: field_types.Date()),
    (ArrayField, lambda f: field_types.TextList(child=field_type_of(f.base_field))),
    (models.JSONField, lambda f: field_types.Json()),
]


def field_type_of(source: Any) -> FieldType:
    """The field type of a model field. Raises TypeError for a field that none stands for."""
    for model_field, make in _FIELD_TYPES:
        if isinstance(source, model_field):
            return make(source)
    raise TypeError(f"no field type for {source!r}")
