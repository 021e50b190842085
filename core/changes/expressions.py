"""Being one of many ids, in SQL."""

from collections.abc import Iterable
from typing import Any

from django.db.models import BooleanField, Func


class EqualsAny(Func):
    """`column = ANY(array)`: thousands of ids as one parameter, where `IN` would take one each, and Django
    would look at each."""

    template = "%(expressions)s"
    output_field = BooleanField()

    def __init__(self, column: Any, ids: Iterable[int]) -> None:
        super().__init__(column)
        self.ids = list(ids)

    # Django's compilers call it like this, whatever its stubs say.
    def as_sql(  # type: ignore[override]
        self, compiler: Any, connection: Any, **extra: Any
    ) -> tuple[str, list[Any]]:
        column, given = compiler.compile(self.source_expressions[0])
        return f"{column} = ANY(%s::bigint[])", [*given, self.ids]
