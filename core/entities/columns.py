"""Columns: the fields of an entity under their public names, each with its kind."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.entities import kinds
from core.entities.kinds import Kind


@dataclass(frozen=True)
class Column:
    """One field of an entity.

    `path` is the ORM path it is read from and filtered by; a derived column has an `expression` instead.
    `required` columns must be given on creation and never be emptied. `aliases` are further names accepted
    on input.
    """

    name: str
    kind: Kind
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
    default: Any = None
    aliases: tuple[str, ...] = ()
    expression: Any = field(default=None, compare=False)
    help_text: str = ""

    @property
    def target(self) -> Any:
        """What lookups and orderings are built on: the expression, or the path."""
        return self.expression if self.expression is not None else models.F(self.path)

    @property
    def empty(self) -> Any:
        """What "no value" is stored as."""
        if isinstance(self.kind, kinds.TextList | kinds.MultiChoice):
            return []
        return None if self.nullable else self.kind.empty

    @property
    def cleared(self) -> Any:
        """What clearing the field leaves: nothing, or the default where the table takes no nothing."""
        takes_nothing = self.nullable or (self.empty is not None and self.blank)
        return self.default if not takes_nothing and self.default is not None else self.empty


def column(model: type[models.Model], name: str, **overrides: Any) -> Column:
    """The column of a model's field; `overrides` replace what the field itself says."""
    source = model._meta.get_field(name)
    made = Column(
        name=name,
        kind=overrides.pop("kind", None) or kind_of(source),
        path=source.attname,
        label=str(source.verbose_name).capitalize(),
        required=_is_required(source),
        nullable=source.null,
        blank=source.blank,
        writable=source.editable,
        help_text=str(source.help_text),
        default=_default_of(source),
    )
    return replace(made, **overrides)


def columns(model: type[models.Model], *names: str) -> tuple[Column, ...]:
    """The columns of several fields, each as the field itself says."""
    return tuple(column(model, name) for name in names)


def derived(name: str, kind: Kind, expression: Any, **overrides: Any) -> Column:
    """A read-only column computed by the database."""
    label = name.replace("_", " ").capitalize()
    return Column(
        name=name, kind=kind, path=name, label=label, writable=False, expression=expression, **overrides
    )


def _is_required(source: models.Field) -> bool:
    return not (source.blank or source.null or source.has_default())


def _default_of(source: models.Field) -> Any:
    return source.get_default() if source.has_default() and not callable(source.default) else None


def _text_kind(source: Any) -> Kind:
    if source.choices:
        return kinds.Choice(choices=tuple(str(value) for value, _ in source.flatchoices))
    return kinds.Text(max_length=source.max_length)


def _bounds(source: Any) -> dict[str, Any]:
    """The bounds that the field's own validators state."""
    limits = {v.code: v.limit_value for v in source.validators if getattr(v, "code", "") in _LIMITS}
    return {_LIMITS[code]: value for code, value in limits.items()}


_LIMITS = {"min_value": "minimum", "max_value": "maximum"}


def _reference(source: Any) -> Kind:
    target = source.related_model
    return kinds.Reference(target=getattr(target, "entity_name", target._meta.model_name))


def _money(source: Any) -> Kind:
    return kinds.Money(max_digits=source.max_digits, places=source.decimal_places, **_bounds(source))


# The first that fits: subclasses stand before their bases.
_KINDS: list[tuple[type[models.Field], Callable[[Any], Kind]]] = [
    (models.GeneratedField, lambda f: kind_of(f.output_field)),
    (models.ForeignKey, _reference),
    (models.EmailField, lambda f: kinds.Email(max_length=f.max_length)),
    (models.URLField, lambda f: kinds.Url(max_length=f.max_length)),
    (models.CharField, _text_kind),
    (models.TextField, lambda f: kinds.Text(max_length=f.max_length or 50_000, trim=False)),
    (models.BooleanField, lambda f: kinds.Boolean()),
    (models.FloatField, lambda f: kinds.Float(**_bounds(f))),
    (
        models.DecimalField,
        lambda f: kinds.Money(max_digits=f.max_digits, places=f.decimal_places, **_bounds(f)),
    ),
    (models.BigIntegerField, lambda f: kinds.Integer(maximum=kinds.BIGINT_MAX)),
    (models.IntegerField, lambda f: kinds.Integer(**_bounds(f))),
    (models.AutoField, lambda f: kinds.Integer(maximum=kinds.BIGINT_MAX)),
    (models.DateTimeField, lambda f: kinds.DateTime()),
    (models.DateField, lambda f: kinds.Date()),
    (ArrayField, lambda f: kinds.TextList(item=kind_of(f.base_field))),
    (models.JSONField, lambda f: kinds.Json()),
]


def kind_of(source: Any) -> Kind:
    """The kind of a model field. Raises TypeError for a field no kind stands for."""
    for field_type, make in _KINDS:
        if isinstance(source, field_type):
            return make(source)
    raise TypeError(f"no kind for {source!r}")
