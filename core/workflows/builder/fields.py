"""The fields that the form offers of a model, and how a value of each is entered."""

from functools import cached_property
from typing import Any

from django.utils.text import capfirst

from core import labels
from core.conditions.grammar import CHANGE_OPERATORS
from core.conditions.related import FarColumns, RelatedColumn, known_related, references, related_column
from core.entities import Column, Entity, entities, field_types
from core.entities.custom import schema
from core.mail.models import EmailTemplate
from core.workflows.builder.shapes import TEXT, InputShape, Pairs, Picked, shape_of_param, shape_of_type
from core.workflows.params import Param

Options = list[tuple[str, str]]
# Of these a select holds; any other is named by the definition all the same.
MAIL_TEMPLATES = 500


class Fields:
    """The fields of one model as a user knows them; none without a model. Definitions of custom fields are
    read once."""

    def __init__(self, entity: Entity | None, user: Any) -> None:
        self.user = user
        self.entity = entity.for_user(user) if entity else None
        self._far = FarColumns()

    @cached_property
    def columns(self) -> dict[str, Column]:
        return dict(schema(self.entity)) if self.entity else {}

    def named(self, name: Any) -> Column | None:
        """The column of a name as conditions take it, one reference away too."""
        if not isinstance(name, str) or self.entity is None:
            return None
        own = self.columns.get(name) or self.entity.by_input_name.get(name)
        return own or related_column(self.columns, name, known=self._far)

    @cached_property
    def groups(self) -> list[tuple[str, Options]]:
        """What conditions can ask: the model's own fields, and for each reference those behind it."""
        own = [(c.name, title(c)) for c in self.columns.values() if c.filterable]
        found = [("", own)]
        for reference in references(self.columns):
            of = title(reference)
            behind = [(name, f"{of}: {title(self.named(name), name)}") for name in known_related(reference)]
            found.append((of, behind))
        return found

    @cached_property
    def mail_templates(self) -> Options:
        rows = EmailTemplate.objects.order_by("name", "id")[:MAIL_TEMPLATES]
        return [(one.key or str(one.pk), one.name) for one in rows]

    def options(self, refers_to: str) -> Options:
        """The fields that a parameter can name."""
        fits = {"writable_field": _is_writable, "date_field": _is_date}.get(refers_to, _is_stored)
        return [(c.name, title(c)) for c in self.columns.values() if fits(c)]

    def operators(self, column: Column, changes: bool) -> list[str]:
        """Of a condition on the column; whether something is filled in is one of its own here."""
        found = [*column.field_type.operators]
        found.insert(found.index("is_empty") + 1 if "is_empty" in found else len(found), "is_filled")
        is_own = not column.custom and column.expression is None and not isinstance(column, RelatedColumn)
        return found + (list(CHANGE_OPERATORS) if changes and is_own else [])

    def shape(self, param: Param, beside: dict[str, Any]) -> InputShape:
        """How a parameter is entered, the others of its action standing `beside` it."""
        if param.refers_to in ("field", "writable_field", "date_field"):
            return Picked(options=tuple(self.options(param.refers_to)), templated=False)
        if param.refers_to == "model":
            return Picked(options=tuple(models()), templated=False)
        if param.refers_to == "email_template":
            return Picked(options=tuple(self.mail_templates), templated=False)
        if param.refers_to == "value_of_field":
            column = self.named(field_named(beside))
            return shape_of_value(column, param.template)
        if param.refers_to == "values_by_field":
            return Fields(entities.get(str(field_named(beside, "model"))), self.user).values_by_field()
        return Pairs() if param.refers_to == "texts_by_name" else shape_of_param(param)

    def values_by_field(self) -> Pairs:
        def typed(name: str, text: str) -> Any:
            column = self.named(name)
            is_typed = column is not None and isinstance(
                column.field_type, field_types.Boolean | field_types.Reference | field_types.Integer
            )
            return shape_of_value(column, True).value(text) if is_typed and text else text

        return Pairs(typed=typed, names=tuple(self.options("writable_field")))


def shape_of_value(column: Column | None, template: bool) -> InputShape:
    """How a value of the column is entered; with `template` also as a template."""
    if column is None:
        return TEXT
    found = shape_of_type(column.field_type)
    return Picked(**{**vars(found), "templated": template}) if isinstance(found, Picked) else found


def field_named(beside: dict[str, Any], name: str = "field") -> Any:
    """The field that stands in a draft, or in parameters, as what was picked or as it is."""
    found = beside.get(name) or ("status" if name == "field" else "")
    return found.get("pick") if isinstance(found, dict) else found


def models() -> Options:
    return [(one.name, str(capfirst(one.model._meta.verbose_name))) for one in entities]


def title(column: Column | None, name: str = "") -> str:
    if column is None:
        return name
    return labels.field_title(column.far if isinstance(column, RelatedColumn) else column)


def _is_stored(column: Column) -> bool:
    return column.filterable and column.expression is None


def _is_writable(column: Column) -> bool:
    return column.writable


def _is_date(column: Column) -> bool:
    return column.expression is None and isinstance(
        column.field_type, field_types.Date | field_types.DateTime
    )
