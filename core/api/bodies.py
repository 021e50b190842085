"""Request bodies of actions, checked by serializers."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request

from core.errors import InvalidError, unknown


def body_of(request: Request) -> Mapping[str, Any]:
    """The body, which must be an object; none, and null, is an empty one. Raises InvalidError."""
    body = {} if request.data is None else request.data
    if not isinstance(body, Mapping):
        raise InvalidError.of("", _("Expected an object."), "not_an_object")
    return body


def validated_body(
    request: Request, serializer_class: type[serializers.BaseSerializer], **context: Any
) -> dict[str, Any]:
    """The clean values of the body's fields; null means not given.

    Raises InvalidError or ValidationError, which name every field that is wrong.
    """
    serializer = serializer_class(data=body_of(request), context={"request": request, **context})
    serializer.is_valid(raise_exception=True)
    return {name: value for name, value in serializer.validated_data.items() if value is not None}


def takes_no_body(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler of requests without a body: what stands in one is refused, not passed over."""

    @wraps(handler)
    def run(view: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        issues = [unknown(name, ()) for name in body_of(request)]
        if issues:
            raise InvalidError(issues)
        return handler(view, request, *args, **kwargs)

    return run
