"""JSON by orjson: dates as ISO 8601 in UTC, decimals as strings."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.translation import gettext
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from core.api.body_limits import JSON, BodyLimit, body_limit
from core.models.folding import nfc

# More than any request needs; deep input would end in the recursion limits of what handles it.
MAX_NESTING = 64
OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, set | tuple):
        return list(value)
    return str(value)  # lazy translations, DRF's ErrorDetail


def dumps(value: Any) -> bytes:
    """`value` as JSON bytes."""
    try:
        return orjson.dumps(value, default=_default, option=OPTIONS)
    except TypeError:
        # 1e20 is a whole number once it was in a jsonb column, and one that orjson does not write.
        return orjson.dumps(_as_floats(value), default=_default, option=OPTIONS)


def _as_floats(value: Any) -> Any:
    """`value` with whole numbers of more than 64 bits as the numbers they came as."""
    if isinstance(value, Mapping):
        return {key: _as_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_as_floats(item) for item in value]
    is_large = isinstance(value, int) and not -(2**63) <= value < 2**64
    return _as_float(value) if is_large else value


def _as_float(whole: int) -> float | str:
    try:
        return float(whole)
    except OverflowError:
        return str(whole)


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        if data is None:
            return b""
        indented = bool((renderer_context or {}).get("indent"))
        return (
            orjson.dumps(orjson.loads(dumps(data)), option=orjson.OPT_INDENT_2) if indented else dumps(data)
        )


class JSONParser(BaseParser):
    """Strict JSON: neither NaN nor Infinity nor trailing text."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        request = (parser_context or {}).get("request")
        limit = body_limit(request.path) if request is not None else JSON
        text = _bounded(stream, limit.size)
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ParseError(gettext("Malformed JSON: %(error)s") % {"error": error}) from None
        # Cheap for nearly every body: what opens few brackets cannot nest deeply.
        if text.count(b"[") + text.count(b"{") > MAX_NESTING and is_deeper(value, MAX_NESTING):
            raise ParseError(
                gettext("JSON may nest %(max_nesting)s levels deep.") % {"max_nesting": MAX_NESTING}
            )
        # As cheap: so many keys or items are separated by as many commas.
        if text.count(b",") >= min(limit.keys, limit.items):
            _check_width(value, limit)
        # Only what is not plain ASCII can hold letters that are composed differently.
        return value if text.isascii() and b"\\u" not in text else composed(value)


def composed(value: Any) -> Any:
    """A JSON value, all texts of which are in Unicode's composed form (NFC), as text is stored."""
    if isinstance(value, str):
        return nfc(value)
    if isinstance(value, dict):
        return {nfc(name): composed(item) for name, item in value.items()}
    return [composed(item) for item in value] if isinstance(value, list) else value


def _bounded(stream: Any, limit: int) -> bytes:
    """All of the body. Raises RequestDataTooBig before more than the limit, or Django's, is in memory."""
    limit = min(limit, settings.DATA_UPLOAD_MAX_MEMORY_SIZE or limit)
    text = stream.read(limit + 1)
    if len(text) > limit:
        raise RequestDataTooBig(gettext("At most %(limit)s bytes.") % {"limit": limit})
    return text


def _check_width(value: Any, limit: BodyLimit) -> None:
    """Raises ParseError where an object or list in `value` has more members than the limit."""
    layer = [value]
    while layer:
        for outer in layer:
            if isinstance(outer, dict) and len(outer) > limit.keys:
                raise ParseError(gettext("A JSON object may have %(keys)s keys.") % {"keys": limit.keys})
            if isinstance(outer, list) and len(outer) > limit.items:
                raise ParseError(gettext("A JSON list may have %(items)s items.") % {"items": limit.items})
        layer = [item for outer in layer for item in _items(outer) if isinstance(item, dict | list)]


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects in `value` stand more than `levels` deep in each other."""
    layer = [value]
    for _ in range(levels):
        layer = [item for outer in layer for item in _items(outer)]
        if not layer:
            return False
    return any(isinstance(item, dict | list) for item in layer)


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
