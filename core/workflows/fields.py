"""SQL that Django has no words for."""

from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, BooleanField, Func, Value


class AnyOf(Func):
    """`column = ANY(array)`: thousands of ids as one parameter, where `IN` would take one each."""

    template = "%(expressions)s"
    arg_joiner = " = ANY"
    output_field = BooleanField()

    def __init__(self, column: Any, ids: Sequence[int]) -> None:
        super().__init__(column, Value(list(ids), ArrayField(BigIntegerField())))

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:
        column, array = self.source_expressions
        left, left_params = compiler.compile(column)
        right, right_params = compiler.compile(array)
        return f"{left} = ANY({right})", [*left_params, *right_params]
