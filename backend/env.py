"""Typed readers of environment variables: a wrong value names the variable and the form it should have.

An empty value counts as unset, so `NAME=` in a `.env` file or a compose file means "the default". A secret
may be kept in a file instead, as container platforms hand it over: `NAME_FILE` holds the path.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values

BASE_DIR = Path(__file__).resolve().parent.parent

T = TypeVar("T")
Number = TypeVar("Number", int, float)

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})
DURATION_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
RATE_PERIODS = frozenset({"second", "minute", "hour", "day"})
DURATION_FORM = re.compile(r"(\d+)\s*(ms|s|m|h|d)?")


class ConfigurationError(Exception):
    """The environment asks for something that cannot be; the message is one sentence for the operator."""


@contextmanager
def problems_as_a_sentence() -> Iterator[None]:
    """A configuration that cannot be ends the process with one sentence, not a traceback."""
    try:
        yield
    except ConfigurationError as problem:
        sys.exit(f"Error: {problem}")


def load_dotenv(path: Path, environ: MutableMapping[str, str] = os.environ) -> None:
    """Add the variables of a `.env` file; what the environment already holds wins."""
    if not path.is_file():
        return
    for name, value in dotenv_values(path).items():
        if value is not None:
            environ.setdefault(name, value)


class Env:
    """Reads variables from a mapping. A reader without a default makes the variable required."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    def is_set(self, name: str) -> bool:
        """Whether the variable, or the file that holds it, is there and not empty."""
        return bool(self._given(name))

    def text(self, name: str, default: str | None = None) -> str:
        """The text, without surrounding white space."""
        return self._read(name, default, "a text", lambda text: text)

    def flag(self, name: str, default: bool | None = None) -> bool:
        """1/true/yes/on or 0/false/no/off, in any case."""
        return self._read(name, default, "one of 1, true, yes, on, 0, false, no, off", _parse_bool)

    def integer(
        self, name: str, default: int | None = None, minimum: int | None = None, maximum: int | None = None
    ) -> int:
        """A whole number within the bounds, both included."""
        form = "a whole number" + _bounds(minimum, maximum)
        return self._read(name, default, form, lambda text: _within(int(text), minimum, maximum))

    def number(
        self,
        name: str,
        default: float | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> float:
        """A finite number within the bounds, both included."""
        form = "a number" + _bounds(minimum, maximum)
        return self._read(name, default, form, lambda text: _within(_finite(text), minimum, maximum))

    def words(self, name: str, default: list[str] | None = None) -> list[str]:
        """Texts separated by commas; empty items are dropped."""
        return self._read(name, default, "texts separated by commas", _parse_list)

    def pairs(
        self, name: str, default: dict[str, str] | None = None, values: Iterable[str] | None = None
    ) -> dict[str, str]:
        """`name=value` separated by commas, in their order; a name stands once. `values` are all known."""
        known = list(values or ())
        form = "pairs like name=value separated by commas"
        form += f", each value one of {', '.join(known)}" if known else ""
        return self._read(name, default, form, lambda text: _parse_pairs(text, known))

    def integers(
        self,
        name: str,
        default: list[int] | None = None,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> list[int]:
        """Whole numbers within the bounds, both included, separated by commas."""
        form = f"whole numbers{_bounds(minimum, maximum)}, separated by commas"
        return self._read(
            name, default, form, lambda text: [_within(int(n), minimum, maximum) for n in _parse_list(text)]
        )

    def choice(self, name: str, choices: Iterable[str], default: str | None = None) -> str:
        """One of the given words, in any case."""
        known = list(choices)
        return self._read(name, default, "one of " + ", ".join(known), lambda text: _one_of(text, known))

    def url(self, name: str, schemes: Iterable[str], default: str | None = None) -> str:
        """A URL with one of the schemes and a host."""
        known = list(schemes)
        form = "a URL like " + " or ".join(f"{scheme}://host" for scheme in known)
        return self._read(name, default, form, lambda text: _parse_url(text, known))

    def pattern(self, name: str, fields: Iterable[str], default: str | None = None) -> str:
        """A text with some of the fields in braces, to be filled by `str.format`."""
        known = list(fields)
        form = "a text with " + ", ".join(f"{{{field}}}" for field in known)
        return self._read(name, default, form, lambda text: _parse_pattern(text, known))

    def duration(self, name: str, default: timedelta | None = None) -> timedelta:
        """A length of time: `90` and `90s` are seconds; ms, m, h and d are understood as well."""
        return self._read(name, default, "a length of time such as 30s, 10m, 12h or 7d", parse_duration)

    def time_zone(self, name: str, default: str | None = None) -> str:
        """The name of a zone of the IANA database."""
        return self._read(name, default, "an IANA time zone such as Europe/Berlin", _parse_zone)

    def rate(self, name: str, default: str | None = None) -> str:
        """Requests per period as `100/hour`; a bare number counts requests per hour."""
        return self._read(name, default, "a rate such as 100/hour, 1200/minute or 20/second", parse_rate)

    def _given(self, name: str) -> str:
        text = self._environ.get(name, "").strip()
        path = self._environ.get(f"{name}_FILE", "").strip()
        if text or not path:
            return text
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigurationError(f"{name}_FILE names {path}, which cannot be read: {problem}.") from None

    def _read(self, name: str, default: T | None, form: str, parse: Callable[[str], T]) -> T:
        text = self._given(name)
        if not text:
            if default is None:
                raise ConfigurationError(f"{name} must be set: {form} is expected.")
            return default
        try:
            return parse(text)
        except ValueError:
            # The value may hold a password, so it is not repeated.
            raise ConfigurationError(f"{name} is not understood: {form} is expected.") from None


def parse_duration(text: str) -> timedelta:
    """The length of time written as `90`, `90s`, `10m`, `12h`, `7d` or `500ms`.

    Raises ValueError for anything else.
    """
    match = DURATION_FORM.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(text)
    return int(match[1]) * DURATION_UNITS[match[2] or "s"]


def parse_rate(text: str) -> str:
    """`100` and `100/hour` as `100/hour`.

    Raises ValueError for anything but a positive whole number per second, minute, hour or day.
    """
    count, _, period = text.replace(" ", "").lower().partition("/")
    period = period or "hour"
    if int(count) < 1 or period not in RATE_PERIODS:
        raise ValueError(text)
    return f"{int(count)}/{period}"


def _parse_zone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(str(error)) from error


def _parse_bool(text: str) -> bool:
    word = text.lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError(text)
    return word in TRUE_WORDS


def _parse_list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _parse_pattern(text: str, known: list[str]) -> str:
    try:
        text.format(**dict.fromkeys(known, ""))
    except (KeyError, IndexError, AttributeError) as error:
        raise ValueError(str(error)) from error
    return text


def _parse_pairs(text: str, known: list[str]) -> dict[str, str]:
    pairs = [[part.strip() for part in pair.split("=", 1)] for pair in _parse_list(text)]
    whole = all(len(pair) == 2 and all(pair) for pair in pairs)
    if not whole or len(dict(pairs)) < len(pairs):
        raise ValueError(text)
    return {name: _one_of(value, known) if known else value for name, value in pairs}


def _one_of(text: str, known: list[str]) -> str:
    for word in known:
        if word.lower() == text.lower():
            return word
    raise ValueError(text)


def _parse_url(text: str, schemes: list[str]) -> str:
    parts = urlsplit(text)
    if parts.scheme not in schemes or not (parts.hostname or parts.scheme == "unix"):
        raise ValueError(text)
    parts.port  # noqa: B018  raises ValueError for a port that is not a number
    return text


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:  # infinities and NaN
        raise ValueError(text)
    return number


def _within(number: Number, minimum: Number | None, maximum: Number | None) -> Number:
    if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
        raise ValueError(number)
    return number


def _bounds(minimum: object, maximum: object) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum} to {maximum}"
    if minimum is not None:
        return f" of at least {minimum}"
    return f" of at most {maximum}" if maximum is not None else ""
