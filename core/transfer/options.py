"""What whoever imports asks for: checked before anything is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import orjson

from core.accounts.models import time_zones
from core.entities.field_types import Boolean, Integer
from core.entities.field_types.text import checked_texts
from core.entities.regions import region_of
from core.errors import FieldIssue, InvalidError, ValueRefusedError
from core.transfer import formats
from core.transfer.reading import Asked, dialect, encoding

DUPLICATES = ("skip", "update", "create", "error")
ON_BAD_VALUE = ("warn", "error")
AUTOMATION = ("run", "suppress")
# Headers of a mapping, or words of a table of values.
MAX_WORDS = 2_000


@dataclass(frozen=True)
class Options:
    """The settings of one import; None is "find out". See docs/import-export.md for each."""

    mapping: dict[str, str] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header_row: int | None = None
    skip_rows: int = 0
    sheet: str | None = None
    duplicates: str = "skip"
    match_on: tuple[str, ...] | None = None
    skip_errors: bool = True
    dry_run: bool = False
    clear_blank: bool = False
    create_missing: bool = False
    automation: str = "run"
    date_format: str | None = None
    decimal_separator: str | None = None
    timezone: str | None = None
    phone_region: str | None = None
    on_bad_value: str = "warn"
    default_values: dict[str, Any] = field(default_factory=dict)
    value_mapping: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def asked(self) -> Asked:
        return Asked(self.encoding, self.delimiter, self.header_row, self.skip_rows, self.sheet)

    def shown(self) -> dict[str, Any]:
        """As jobs and saved mappings keep it; `parse` reads it back."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "match_on": list(self.match_on) if self.match_on is not None else None
        }


def parse(given: Mapping[str, Any], base: Options | None = None) -> Options:
    """Options from form fields or JSON, over `base`. Raises InvalidError naming every one that is wrong."""
    found: dict[str, Any] = {}
    issues: list[FieldIssue] = []
    for name, raw in given.items():
        reader = _READERS.get(name)
        if reader is None:
            known = ", ".join(sorted(_READERS))
            issues.append(FieldIssue(str(name)[:100], "unknown_field", f"Unknown option. Known: {known}."))
        elif raw is not None and raw != "":
            _take(found, issues, name, reader, raw)
    if issues:
        raise InvalidError(issues)
    if found.pop("update_existing", False):
        found.setdefault("duplicates", "update")
    return replace(base or Options(), **found)


def _take(
    found: dict[str, Any], issues: list[FieldIssue], name: str, reader: Callable[[Any], Any], raw: Any
) -> None:
    try:
        found[name] = reader(checked_texts(raw))
    except ValueRefusedError as error:
        issues.append(FieldIssue(name, error.code, error.message))
    except InvalidError as error:
        issues.extend(FieldIssue(name, i.code, i.message) for i in error.issues)


def _object(raw: Any) -> dict[str, Any]:
    if isinstance(raw, str | bytes):
        try:
            raw = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ValueRefusedError(f"Not JSON: {error}.", code="invalid_json") from None
    if not isinstance(raw, Mapping):
        raise ValueRefusedError("Expected a JSON object.", code="not_an_object")
    if len(raw) > MAX_WORDS:
        raise ValueRefusedError(f"At most {MAX_WORDS} keys.", code="max_length")
    return checked_texts({str(key): value for key, value in raw.items()})


def _mapping(raw: Any) -> dict[str, str]:
    found = _object(raw)
    if not all(value is None or isinstance(value, str) for value in found.values()):
        raise ValueRefusedError("Expected field names as text.", code="invalid")
    return {key: value or "" for key, value in found.items()}


def _tables(raw: Any) -> dict[str, dict[str, str]]:
    found = {key: _object(value) for key, value in _object(raw).items()}
    if not all(isinstance(ours, str | int | float) for table in found.values() for ours in table.values()):
        raise ValueRefusedError("Expected a text for each of their words.", code="invalid")
    return {key: {word: _worded(ours) for word, ours in table.items()} for key, table in found.items()}


def _worded(ours: str | float) -> str:
    return str(ours).lower() if isinstance(ours, bool) else str(ours)


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def read(raw: Any) -> str:
        if not isinstance(raw, str) or raw.lower() not in allowed:
            raise ValueRefusedError(f"Expected one of: {', '.join(allowed)}.", code="invalid_choice")
        return raw.lower()

    return read


def _names(raw: Any) -> tuple[str, ...]:
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueRefusedError("Expected names of fields, separated by commas.", code="invalid")
    return tuple(part.strip() for part in parts if part.strip())


def _zone(raw: Any) -> str:
    if not isinstance(raw, str) or raw not in time_zones():
        raise ValueRefusedError("Expected an IANA time zone such as Europe/Berlin.")
    return raw


def _region(raw: Any) -> str:
    region = region_of(raw) if isinstance(raw, str) else ""
    if not region:
        raise ValueRefusedError("Expected a country such as DE.")
    return region


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or len(raw) > 200 or "\x00" in raw:
        raise ValueRefusedError("Expected a short text.")
    return raw


def _date_format(raw: Any) -> str:
    formats.check_format(_text(raw))
    return raw


_FLAG = Boolean().to_internal_value
_READERS: dict[str, Callable[[Any], Any]] = {
    "mapping": _mapping,
    "encoding": lambda raw: encoding.check(_text(raw)),
    "delimiter": lambda raw: dialect.check(_text(raw)),
    "header_row": Integer(min_value=0, max_value=1_000).to_internal_value,
    "skip_rows": Integer(min_value=0, max_value=1_000).to_internal_value,
    "sheet": _text,
    "duplicates": _one_of(*DUPLICATES),
    "update_existing": _FLAG,
    "match_on": _names,
    "skip_errors": _FLAG,
    "dry_run": _FLAG,
    "clear_blank": _FLAG,
    "create_missing": _FLAG,
    "automation": _one_of(*AUTOMATION),
    "date_format": _date_format,
    "decimal_separator": lambda raw: formats.check_mark(_text(raw)),
    "timezone": _zone,
    "phone_region": _region,
    "on_bad_value": _one_of(*ON_BAD_VALUE),
    "default_values": _object,
    "value_mapping": _tables,
}
