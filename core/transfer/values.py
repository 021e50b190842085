"""From the text of a cell to the value to store: the file's format undone, then the field type asked.

So a file is held to the same rules as the API, and what the API refuses is refused with the same words.
"""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from core.entities import Column, field_types
from core.entities.cleaning import clean_value
from core.entities.field_types import trimmed
from core.errors import ValueRefusedError
from core.transfer.csv_injection import unescape
from core.transfer.formats import DateFormat, holds_date, iso_date, iso_moment, plain_number
from core.transfer.headers import lookup_word, normalised

# No value, as programs write it. A text column keeps words among them: Null is a family name.
_NOTHING = frozenset(
    ["null", "(null)", "-none-", "n/a", "na", "-", "--", "none", "#n/a", "\\n", "nan", "nil", "undefined"]
)
_NOTHING_IN_TEXT = frozenset(
    ["\\N", "NaN", "N/A", "n/a", "#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"]
)
_WORDS = {
    **dict.fromkeys(
        ["x", "✓", "✔", "ja", "oui", "si", "sí", "sim", "tak", "wahr", "vrai", "checked", "active"], "true"
    ),
    **dict.fromkeys(["nein", "non", "nao", "não", "nie", "falsch", "faux", "unchecked", "inactive"], "false"),
}
_NO = frozenset(["false", "f", "no", "n", "0", "off"])
CACHE_SIZE = 10_000
Values = dict[str, Any]
# Kinds whose cells are read: their words are not what a column says but how it says it.
_READ = field_types.Integer | field_types.Float | field_types.Money | field_types.DateTime | field_types.Date


class Blank:
    """A cell without a value."""

    def __repr__(self) -> str:
        return "BLANK"


BLANK = Blank()


@dataclass(frozen=True)
class Refusal:
    """Why a cell was not taken."""

    code: str
    message: str


@dataclass(frozen=True)
class ColumnFormat:
    """How one column of the file writes its values."""

    decimal: str = "."
    dates: DateFormat = field(default_factory=DateFormat)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    # Normalised words → ours: what the user gave, over what the entity knows of other programs. Of numbers
    # and times they are as the cells say them: "-5" is not "5".
    words: Mapping[str, str] | None = None
    # A flag whose cells may hold since when it is so.
    since: bool = False


def is_blank_text(cell: str) -> bool:
    """Whether a cell of text is blank, or what programs write for a value they do not have."""
    text = trimmed(cell)
    return not text or text in _NOTHING_IN_TEXT


class CellReader:
    """Reads one column's cells; equal cells are read once."""

    def __init__(self, column: Column, written: ColumnFormat) -> None:
        self.column, self.format = column, written
        self.prepare = _preparer(column.field_type, written)
        self.is_text = type(column.field_type) is field_types.Text
        self.cache: dict[str, Any] = {}

    def read(self, cells: Iterable[str]) -> list[Any]:
        """Values to store, BLANK or Refusal, cell by cell."""
        cache, read_one = self.cache, self.read_one
        if len(cache) > CACHE_SIZE:
            cache.clear()
        found = []
        for cell in cells:
            value = cache.get(cell)
            if value is None:
                value = cache[cell] = read_one(cell)
            found.append(value)
        return found

    def read_one(self, cell: str) -> Any:
        """One cell."""
        if not cell or self.is_blank(cell):
            return BLANK
        try:
            value = self._cleaned(unescape(cell) if cell[0] == "'" else cell)
        except ValueRefusedError as error:
            return Refusal(error.code, error.message)
        return BLANK if value is None or value == "" else value

    def _cleaned(self, text: str) -> Any:
        """The value of a text, or of what stands for anything else ("*"). Raises ValueRefusedError."""
        try:
            return clean_value(self.column, self.prepare(text))
        except ValueRefusedError:
            other = (self.format.words or {}).get("*")
            if other is None or not isinstance(self.column.field_type, _READ | field_types.Boolean):
                raise
            return clean_value(self.column, self.prepare(other))

    def is_blank(self, cell: str) -> bool:
        if self.is_text:
            return is_blank_text(cell)
        text = trimmed(cell)
        return not text or text.casefold() in _NOTHING


def _preparer(kind: field_types.FieldType, written: ColumnFormat) -> Callable[[str], Any]:
    """What turns text in the file's format into what the kind reads."""
    words = written.words or {}
    if isinstance(kind, field_types.Boolean):
        return lambda text: _boolean(trimmed(text), words, since=written.since)
    if isinstance(kind, field_types.Choice):
        return lambda text: _choice(kind, trimmed(text), words)
    if isinstance(kind, field_types.MultiChoice):
        one = field_types.Choice(choices=kind.choices)
        return lambda text: [_choice(one, item, words) for item in _items(text)]
    if isinstance(kind, field_types.TextList):
        return lambda text: [_word(item, words) for item in _items(text)]
    if isinstance(kind, _READ):
        return _reading(kind, written, words)
    if words:
        return lambda text: _word(text, words)
    return _unchanged


def _reading(
    kind: field_types.FieldType, written: ColumnFormat, words: Mapping[str, str]
) -> Callable[[str], Any]:
    """Numbers and times as the file writes them."""
    if isinstance(kind, field_types.DateTime) and kind.takes_days:
        return lambda text: _day_or_moment(_spelled(text, words), written)
    if isinstance(kind, field_types.DateTime):
        return lambda text: iso_moment(_spelled(text, words), written.dates, written.zone)
    if isinstance(kind, field_types.Date):
        return lambda text: iso_date(_spelled(text, words), written.dates)
    return lambda text: plain_number(_spelled(text, words), written.decimal)


def _day_or_moment(text: str, written: ColumnFormat) -> str:
    """A date without a time stays a date."""
    if ":" in text:
        return iso_moment(text, written.dates, written.zone)
    return iso_date(text, written.dates)


def _spelled(text: str, words: Mapping[str, str]) -> str:
    bare = trimmed(text)
    return words.get(bare.casefold(), bare) if words else bare


def _unchanged(text: str) -> str:
    return text


def is_no(cell: str) -> bool:
    """Whether a cell says no, in whatever language."""
    text = trimmed(cell).casefold()
    return _WORDS.get(text, text) in _NO


def _boolean(text: str, words: Mapping[str, str], *, since: bool) -> str:
    found = lookup_word(words, text) or _WORDS.get(text.casefold())
    return found or ("true" if since and holds_date(text) else text)


def _choice(kind: field_types.Choice, text: str, words: Mapping[str, str]) -> str:
    """One of our choices: as it is, in our spelling, or as another program says it ("*" is anything else)."""
    if text.casefold() in kind.folded:
        return text
    plain = normalised(text)
    spelled = plain.replace(" ", "_")
    return lookup_word(words, text) or (spelled if spelled in kind.folded else words.get("*", text))


def _word(text: str, words: Mapping[str, str]) -> str:
    return lookup_word(words, text) or words.get("*", text)


def _items(text: str) -> list[str]:
    """A list: JSON, as exports write it where an item holds a separator, else split at the separator."""
    if text.lstrip().startswith("["):
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            found = None
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return found
    if text.lstrip().startswith('"') and '",' in text:
        # Quoted inside the cell, as by Mailchimp: "vip","new".
        return [item for item in map(trimmed, next(csv.reader([text], skipinitialspace=True), [])) if item]
    if ":::" in text:
        text = text.replace(";", ",").replace(":::", ";")
    separator = ";" if ";" in text else "\n" if "\n" in text.strip() else "|" if "|" in text else ","
    return [item for item in (trimmed(part) for part in text.split(separator)) if item]
