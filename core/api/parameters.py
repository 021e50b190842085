"""Single query parameters and ids in addresses, checked."""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.views import APIView

from core.entities.field_types import BIGINT_MAX, Boolean, Choice, Date, DateTime, FieldType, Integer
from core.errors import InvalidError, NotVisibleError, refused_as


def record_id(text: str) -> int:
    """The id in an address. What is no id is not found, like an id nobody has."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= BIGINT_MAX:
        return int(text)
    raise NotVisibleError(_("Not found."))


PAGES = frozenset(("page", "page_size"))
# Of statistics: what they are grouped by, and what is measured of each group.
GROUPED = ("group_by", "metrics")


class KnownParametersMixin(APIView):
    """Refuses query parameters that would be passed over.

    `allowed_query_params` names those of each action (of each method, where a view has no actions); None
    leaves checking them to the action itself.
    """

    allowed_query_params: Mapping[str, Collection[str] | None] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        known = self.allowed_query_params.get(
            getattr(self, "action", None) or str(request.method).lower(), ()
        )
        if known is not None:
            only_known(request, known)


def only_known(request: Request, names: Collection[str]) -> None:
    """Refuse query parameters that would be passed over. Raises InvalidError."""
    for name in request.query_params:
        if name not in names and name != "format":
            raise InvalidError.unknown(name, sorted(names), "unknown")


def single_valued(request: Request) -> dict[str, str]:
    """Query parameters as one text each; a repeated one (`?type=a&type=b`) means any of these."""
    return {key: ",".join(values) for key, values in request.query_params.lists()}


def flag(request: Request, name: str) -> bool:
    """A true/false query parameter, false by default. Raises InvalidError."""
    return bool(_given(request, name, Boolean()))


def int_param(request: Request, name: str, minimum: int = 1, maximum: int = BIGINT_MAX) -> int | None:
    """A whole number in [minimum, maximum]; None when it is not given. Raises InvalidError."""
    return _given(request, name, Integer(min_value=minimum, max_value=maximum))


def choice_param(request: Request, name: str, choices: Collection[str]) -> str | None:
    """One of `choices`; None when it is not given. Raises InvalidError."""
    return _given(request, name, Choice(choices))


def date_param(request: Request, name: str) -> date | None:
    """A date as YYYY-MM-DD; None when it is not given. Raises InvalidError."""
    return _given(request, name, Date())


def datetime_param(request: Request, name: str) -> datetime | None:
    """A moment as ISO 8601; None when it is not given. Raises InvalidError."""
    return _given(request, name, DateTime())


def _given(request: Request, name: str, kind: FieldType) -> Any:
    text = request.query_params.get(name, "")
    with refused_as(name):
        return kind.to_internal_value(text) if text else None
