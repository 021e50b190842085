"""What the columns of other programs' files mean: tables written as data, applied without guessing.

A program recognised by its signature comes first, then our own names, then the general table, then nothing:
what is only similar is never mapped.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.registry import Registry

ALIASES = Path(__file__).parent / "aliases"
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Pictures stay: a "☎ Contact" is no contact.
_RUN = re.compile("[^\\w#%\u2600-\u27bf\U0001f300-\U0001faff]+|_+")


@lru_cache(maxsize=20_000)
def normalised(text: str) -> str:
    """A header or value for comparison: "E-Mail Address*" is "e mail address", "firstName" "first name"."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).strip().rstrip("*?:")
    text = _CAMEL.sub(" ", text)
    return _RUN.sub(" ", text).strip().casefold()


def spellings(text: str) -> tuple[str, str]:
    """The ways a word may stand in a table: LinkedIn is both "linked in" and "linkedin"."""
    return normalised(text), normalised(text.casefold())


def lookup_word(table: Mapping[str, str], text: str) -> str | None:
    """The value of a text in a table of normalised words, however it is spelled."""
    first, second = spellings(text)
    return table.get(first) or table.get(second)


@dataclass(frozen=True)
class SourceSystem:
    """A program whose files are known. `fields` maps its headers; "" is left out on purpose."""

    name: str
    signature: frozenset[str]
    fields: Mapping[str, str]


@dataclass(frozen=True)
class OptOut:
    """Words of a status that say somebody wants no mail: they raise a flag, whatever else the column says."""

    field: str
    columns: frozenset[str]
    words: frozenset[str]


@dataclass(frozen=True)
class Headers:
    """What an entity's importer knows of headers and of other programs' words for our choices."""

    fields: Mapping[str, str] = field(default_factory=dict)
    # Headers that may stand in for a field where no other column gives it.
    instead: Mapping[str, str] = field(default_factory=dict)
    systems: tuple[SourceSystem, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Columns that identify a row, the strongest first.
    match_on: tuple[str, ...] = ("external_id",)
    # Flags that an import may raise and never lowers: who opted out stays out.
    one_way: frozenset[str] = frozenset()
    # Further columns in which a value that cannot be read refuses the row.
    decisive: frozenset[str] = frozenset()
    # Values of fields that a rule requires and a file does not give.
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    opt_out: OptOut | None = None
    # Columns that are derived here, which other systems' files give: import rules read them.
    derived: frozenset[str] = frozenset()
    # What other systems call such a record where they name its id (`Account ID`), without blanks.
    called: frozenset[str] = frozenset()
    # What they call it in files of such records alone, where elsewhere it means another entity.
    also_called: frozenset[str] = frozenset()

    def system_of(self, headers: Iterable[str]) -> SourceSystem | None:
        """The program that wrote these (normalised) headers."""
        present = {header.replace(" ", "") for header in headers}
        found = [s for s in self.systems if {sig.replace(" ", "") for sig in s.signature} <= present]
        return max(found, key=lambda s: len(s.signature), default=None)


headers_of: Registry[Headers] = Registry("header table")


def load(*paths: Path) -> Headers:
    """The tables in TOML files as one; what a later file says of a header or program stands. A program
    without a signature adds to the one of that name in a file before."""
    parts = [tomllib.loads(path.read_text(encoding="utf-8")) for path in paths]
    fields: dict[str, str] = {}
    instead: dict[str, str] = {}
    systems: dict[str, dict[str, Any]] = {}
    values: dict[str, dict[str, str]] = {}
    for part in parts:
        fields |= _inverted(part.get("fields", {}))
        instead |= _inverted(part.get("instead", {}))
        for name, raw in part.get("systems", {}).items():
            known = {} if "signature" in raw else systems[name]
            systems[name] = known | raw | {"map": known.get("map", {}) | raw.get("map", {})}
        for column, table in part.get("values", {}).items():
            values.setdefault(column, {}).update(_inverted(table))
    match_on = [tuple(part["match_on"]) for part in parts if "match_on" in part]
    opt_outs = [_opt_out(part["opt_out"]) for part in parts if "opt_out" in part]
    return Headers(
        fields,
        instead,
        tuple(_system(name, raw) for name, raw in systems.items()),
        values,
        match_on=(match_on or [("external_id",)])[-1],
        one_way=frozenset(name for part in parts for name in part.get("one_way", ())),
        decisive=frozenset(name for part in parts for name in part.get("decisive", ())),
        fallbacks={name: text for part in parts for name, text in part.get("fallbacks", {}).items()},
        opt_out=opt_outs[-1] if opt_outs else None,
        derived=frozenset(name for part in parts for name in part.get("derived", ())),
        called=_squeezed(parts, "called"),
        also_called=_squeezed(parts, "also_called"),
    )


def alias_files_for_people() -> tuple[Path, Path]:
    """The tables for lists of people."""
    return (ALIASES / "record.toml", ALIASES / "person.toml")


def alias_files_for_records() -> tuple[Path]:
    """The table for records of any kind."""
    return (ALIASES / "record.toml",)


def _opt_out(raw: Mapping[str, Any]) -> OptOut:
    words = frozenset(normalised(word) for word in raw["words"])
    return OptOut(raw["field"], frozenset(raw["columns"]), words)


def _squeezed(parts: Iterable[Mapping[str, Any]], key: str) -> frozenset[str]:
    return frozenset(name.replace(" ", "") for part in parts for name in part.get(key, ()))


def _inverted(table: Mapping[str, list[str]]) -> dict[str, str]:
    return {normalised(alias): name for name, aliases in table.items() for alias in aliases}


def _system(name: str, raw: Mapping[str, Any]) -> SourceSystem:
    return SourceSystem(
        name,
        frozenset(normalised(header) for header in raw["signature"]),
        {normalised(header): target for header, target in raw.get("map", {}).items()},
    )
