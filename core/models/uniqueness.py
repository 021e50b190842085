"""Which fields a unique constraint is about, so that a refusal of the database names the field."""

from typing import Any

from django.db import IntegrityError, connection, models
from django.utils.translation import gettext_noop

UNIQUE_VIOLATION = "23505"
TAKEN = gettext_noop("Another record already has this value.")


def is_unique(field: models.Field) -> bool:
    """Whether no two living records may have one value of this field, by itself: `unique=True`, or a
    UniqueConstraint of the field alone."""
    if field.primary_key:
        return False
    alone = (c.fields for c in field.model._meta.constraints if isinstance(c, models.UniqueConstraint))
    return field.unique or any(tuple(names) == (field.name,) for names in alone)


def violated_fields(model: type[models.Model], error: IntegrityError) -> list[str] | None:
    """Names of the fields whose values another row has already; None where `error` is about something else.

    Empty where the constraint is on expressions alone. Asks the database what the constraint covers.
    """
    diagnosis = getattr(error.__cause__, "diag", None)
    if diagnosis is None or diagnosis.sqlstate != UNIQUE_VIOLATION:
        return None
    declared: Any = next((c for c in model._meta.constraints if c.name == diagnosis.constraint_name), None)
    if isinstance(declared, models.UniqueConstraint) and declared.fields:
        return list(declared.fields)
    with connection.cursor() as cursor:
        known: dict[str, Any] = connection.introspection.get_constraints(cursor, model._meta.db_table)
    columns = known.get(diagnosis.constraint_name or "", {}).get("columns") or []
    names = {field.column: field.name for field in model._meta.concrete_fields}
    return [names[column] for column in columns if column in names]
