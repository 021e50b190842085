"""FilterSets of what is no entity: a model's fields by equality, several values meaning any of them."""

from functools import cache
from typing import Any

from django.db.models import QuerySet
from django_filters.filterset import FilterSetMetaclass

from core.conditions.filters import ParameterFilterSet, TypedFilter
from core.entities.columns import column
from core.errors import FieldIssue, InvalidError


class EqualsFilter(TypedFilter):
    """A field equals the value; a parameter given several times means any of its values."""

    def read(self, texts: list[str]) -> list[Any]:
        return [self.field_type.to_internal_value(text) for text in texts]

    def filter(self, qs: QuerySet, value: list[Any] | None) -> QuerySet:
        return qs.filter(**{f"{self.field_name}__in": value}) if value else qs


class ResourceFilterSet(ParameterFilterSet):
    """Filters made from `Meta.model` and `Meta.fields`, their values read as strictly as a record's.

    Further ones are declared as TypedFilter (`created_after = TypedFilter(DateTime(), …)`) or by hand.
    """

    @classmethod
    def filter_for_field(cls, field: Any, field_name: str, lookup_expr: str | None = None) -> EqualsFilter:
        found = column(field.model, field_name)
        return EqualsFilter(found.field_type, field_name=field_name)

    @property
    def checked(self) -> QuerySet:
        """The rows that the parameters name. Raises InvalidError."""
        issues = [
            FieldIssue(name, error.code or "invalid", str(error.message))
            for name, errors in self.errors.as_data().items()
            for error in errors
        ]
        if issues:
            raise InvalidError(issues)
        return self.qs


@cache
def filterset_of_fields(model: Any, fields: tuple[str, ...]) -> type[ResourceFilterSet]:
    """The FilterSet of some fields of a model, made once."""
    meta = type("Meta", (), {"model": model, "fields": fields})
    return FilterSetMetaclass(f"{model.__name__}FilterSet", (ResourceFilterSet,), {"Meta": meta})
