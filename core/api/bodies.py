"""Small request bodies of verbs, checked by kinds."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from rest_framework.request import Request

from core.entities.field_types import FieldType
from core.errors import FieldIssue, InvalidError, ValueRefusedError, unknown


def body_of(request: Request) -> Mapping[str, Any]:
    """The body, which must be an object; none, and null, is an empty one. Raises InvalidError."""
    body = {} if request.data is None else request.data
    if not isinstance(body, Mapping):
        raise InvalidError.of("", "Expected an object.", "not_an_object")
    return body


def validated_body(request: Request, known: Mapping[str, FieldType]) -> dict[str, Any]:
    """The clean values of the body's fields; nothing but `known` may be in it. Null means not given.

    Raises InvalidError naming every field that is wrong.
    """
    issues: list[FieldIssue] = []
    values: dict[str, Any] = {}
    for name, raw in body_of(request).items():
        if name not in known:
            issues.append(unknown(name, sorted(known)))
        elif raw is not None:
            _take(values, issues, name, known[name], raw)
    if issues:
        raise InvalidError(issues)
    return values


def takes_no_body(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler of requests without a body: what stands in one is refused, not passed over."""

    @wraps(handler)
    def run(view: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        validated_body(request, {})
        return handler(view, request, *args, **kwargs)

    return run


def _take(values: dict[str, Any], issues: list[FieldIssue], name: str, kind: FieldType, raw: Any) -> None:
    try:
        values[name] = kind.to_internal_value(raw)
    except ValueRefusedError as error:
        issues.append(FieldIssue(name, error.code, error.message))
