"""What free JSON may hold so that it can be stored and read back."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from core.errors import InvalidError

# What orjson and most clients take as a number; PostgreSQL keeps 1e300 as a number of 301 digits.
LIMIT = 2**63
# As deep as a request to the API may be.
MAX_NESTING = 64


def exceeds_64_bits(value: Any) -> bool:
    """Whether a value is a number beyond 64 bits."""
    return isinstance(value, int | float) and not -LIMIT <= value < LIMIT


def check(value: Any, name: str) -> None:
    """Raises InvalidError under `name` for a text with a NUL in it, which PostgreSQL's JSON refuses, for
    a number beyond 64 bits, which could be stored but not read back, and for what nests very deeply."""
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_NESTING:
            raise InvalidError.of(
                name,
                _("JSON may nest %(max_nesting)s levels deep.") % {"max_nesting": MAX_NESTING},
                "too_deep",
            )
        if isinstance(item, str) and "\x00" in item:
            raise InvalidError.of(
                name, _("A text cannot hold NUL characters."), "null_characters_not_allowed"
            )
        if exceeds_64_bits(item):
            raise InvalidError.of(name, _("A number has at most 64 bits."), "max_value")
        inner = [*item.keys(), *item.values()] if isinstance(item, Mapping) else item
        stack += [(below, depth + 1) for below in inner] if isinstance(inner, list) else []
