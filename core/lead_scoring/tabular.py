"""Any labelled table as a frame: kinds guessed column by column, oddities named and not fatal.

Only the evaluation command and its tests use this; pandas is imported inside.
"""

import codecs
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.lead_scoring.features import FeatureSpec, Frame, Kind, level, values_of
from core.lead_scoring.words import BLANKS, MONTHS, NEGATIVE, NO, POSITIVE, YES

MOSTLY = 0.95
DATE_SHARE = 0.9
DAY_NS = 86_400 * 10**9
_NUMBER_NOISE = re.compile(r"[,\s$€£¥%]")
_SHORT_DATE = re.compile(r"(\d{1,2})([./-])\d{1,2}[./-]\d{2,4}\b")
_YEAR_FIRST = r"\d{4}\D"
_LIST = re.compile(r"\s*[;|]\s*")
# Pairs of numbers of which 1 is won.
CLEAR_NUMBERS = ({"0", "1"}, {"-1", "1"})
ROW_ORDER = ("", "row", "rows", "index")


class TableError(ValueError):
    """The table cannot be evaluated; the message says why."""


class UnclearOutcomeError(TableError):
    """Which outcome means won is not clear: somebody has to say it. `values` are the outcomes there are."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.values = sorted(counts)
        shown = ", ".join(f"{value!r} ({counts[value]} rows)" for value in self.values[:10])
        super().__init__(f"which outcome means won is not clear; say it with --won. There are: {shown}")


@dataclass(frozen=True)
class LabelledTable:
    """Leads in time order with outcomes (0.0 or 1.0); `notes` say what was decided on the way."""

    frame: Frame
    won: np.ndarray
    notes: list[str] = field(default_factory=list)


def read_table(
    path: Path, outcome: str, time: str, exclude: Sequence[str] = (), won: Sequence[str] = ()
) -> LabelledTable:
    """A CSV file as a labelled table; `won` are the outcomes that mean won, where their words do not say it.

    Raises TableError, UnclearOutcomeError where `won` is needed.
    """
    import pandas as pd  # heavy; web processes never evaluate

    content = path.read_bytes()
    encoding = _encoding(content)
    if content.startswith(b"PK") or "\0" in content[:4096].decode(encoding, "replace"):
        raise TableError("this is no CSV file: save the table as CSV")
    first = content.decode(encoding).lstrip("\ufeff").split("\n", 1)[0]
    try:
        data = pd.read_csv(
            path,
            sep=_separator(first),
            dtype=str,
            keep_default_na=False,
            encoding=encoding,
            skipinitialspace=True,
            index_col=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError) as error:
        raise TableError(f"cannot be read as CSV: {error}") from error
    return label_table(data, outcome, time, exclude, won)


def _encoding(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1252" if _decodes(content, "cp1252") else "latin-1"
    return "utf-8-sig"


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _separator(header: str) -> str:
    return max(",;\t|", key=header.count)


def label_table(
    data: Any, outcome: str, time: str, exclude: Sequence[str] = (), won: Sequence[str] = ()
) -> LabelledTable:
    """A DataFrame of texts as a labelled table. Raises TableError for unknown columns or outcomes."""
    data = data.rename(columns=lambda name: str(name).strip())
    data = data.loc[:, ~data.columns.duplicated()].reset_index(drop=True)
    wanted = [outcome, *([] if time.lower() in ROW_ORDER and time not in data else [time]), *exclude]
    unknown = [name for name in wanted if name not in data.columns]
    if outcome == time:
        raise TableError(f"{outcome!r} cannot be both the outcome and the time")
    if unknown:
        raise TableError(f"no column {', '.join(map(repr, unknown))}; there are: {', '.join(data.columns)}")
    notes: list[str] = []
    outcomes, labelled = outcomes_of(texts(data[outcome]), notes, won)
    moments, is_date = (
        moments_of(texts(data[time]), notes) if time in data else (np.arange(len(data)) * 1.0, False)
    )
    rows = np.flatnonzero(labelled & ~np.isnan(moments))
    if len(rows) < labelled.sum():
        notes.append(f"{labelled.sum() - len(rows)} rows without a time were left out")
    rows = rows[np.argsort(moments[rows], kind="stable")]
    data = data.drop(columns=[outcome, *([time] if time in data else []), *exclude]).iloc[rows]
    frame = _frame(data, moments[rows] if is_date else None, notes)
    return LabelledTable(frame, outcomes[rows], notes)


def texts(column: Any) -> list[str | None]:
    """A column's values as trimmed texts, blanks of every spelling as None."""
    values = ["" if value is None or value != value else str(value).strip() for value in column]
    return [None if value.casefold() in BLANKS else value for value in values]


def outcomes_of(
    values: list[str | None], notes: list[str], won: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """(1.0 for won, which rows have an outcome at all). `won` are the outcomes that mean won, any other is
    lost then; without it their words say it.

    Raises UnclearOutcomeError where they do not: nothing is concluded from how often an outcome occurs.
    """
    lowered = [level(value) for value in values]
    counts = Counter(value for value in lowered if value is not None)
    if len(counts) < 2:
        known = ", ".join(sorted(counts)) or "nothing"
        raise TableError(f"the outcome column has no two sides; it holds: {known}")
    good, bad = _sides_named(counts, won) if won else _sides_by_words(counts)
    left_out = sum(value not in good and value not in bad for value in lowered)
    if left_out:
        notes.append(f"{left_out} rows without an outcome were left out")
    notes.append(f"won is {' or '.join(sorted(good))}, lost is {' or '.join(sorted(bad))}")
    labelled = np.array([value in good or value in bad for value in lowered])
    return np.array([float(value in good) for value in lowered]), labelled


def _sides_named(counts: Mapping[str, int], won: Sequence[str]) -> tuple[set[str], set[str]]:
    good = {level(value) or "" for value in won}
    unknown = sorted(good - set(counts))
    if unknown:
        known = ", ".join(sorted(counts)[:10])
        raise TableError(f"the outcome column has no {unknown[0]!r}; it holds: {known}")
    if good == set(counts):
        raise TableError("every outcome there is means won: nothing is left to be lost")
    return good, set(counts) - good


def _sides_by_words(counts: Mapping[str, int]) -> tuple[set[str], set[str]]:
    """Outcomes whose words mean won, and lost. Of two a word on one side says what the other is; of numbers
    only 0 or -1 and 1 are clear."""
    plain = {value: _plain(value) for value in counts}
    numbers = {word for word in plain.values() if word.lstrip("-").replace(".", "", 1).isdigit()}
    if len(numbers) == len(counts) and numbers not in CLEAR_NUMBERS:
        raise UnclearOutcomeError(counts)
    good = {value for value, word in plain.items() if word in POSITIVE}
    bad = {value for value, word in plain.items() if word in NEGATIVE}
    if len(counts) == 2 and len(good) + len(bad) == 1:
        good, bad = (good, set(counts) - good) if good else (set(counts) - bad, bad)
    if not good or not bad:
        raise UnclearOutcomeError(counts)
    return good, bad


def _plain(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return re.sub(r"[\s_-]+", " ", value)
    return str(int(number)) if number.is_integer() else value


def moments_of(values: list[str | None], notes: list[str]) -> tuple[np.ndarray, bool]:
    """Each row's place in time (NaN for none) and whether it is in days of the calendar."""
    if not any(values):
        raise TableError("the time column is empty; --time row takes the order of the file")
    numbers = as_numbers(values)
    if numbers is not None:
        return numbers, False
    dates = as_days(values)
    if dates is not None:
        return dates, True
    months = [MONTHS.get(value.casefold()[:3]) if value else None for value in values]
    if sum(m is not None for m in months) >= MOSTLY * sum(v is not None for v in values):
        notes.append(
            "months without years: taken in the order of the file, a new year where they start again"
        )
        return unrolled(np.array([np.nan if m is None else m for m in months])), False
    notes.append("the time column is neither number nor date: sorted as text")
    order = {value: i for i, value in enumerate(sorted({v for v in values if v is not None}))}
    return np.array([np.nan if value is None else order[value] for value in values]), False


def unrolled(months: np.ndarray) -> np.ndarray:
    """Months counted on through the years when the file is in their order; else as they are."""
    known = months[~np.isnan(months)]
    changes = np.flatnonzero(np.diff(known))
    if len(changes) > len(known) / 10:
        return months
    found = months.copy()
    found[~np.isnan(months)] = known + 12 * np.concatenate([[0], np.cumsum(np.diff(known) < 0)])
    return found


def as_numbers(values: list[str | None]) -> np.ndarray | None:
    """The column as numbers (currency signs, thousands and percent signs aside); None where it is none."""
    import pandas as pd

    known = [value for value in values if value is not None]
    if not known:
        return None
    found = pd.to_numeric(pd.Series([_bare(v) for v in values], dtype=object), errors="coerce").to_numpy(
        np.float64
    )
    found = np.where(np.isfinite(found), found, np.nan)
    return found if (~np.isnan(found)).sum() >= MOSTLY * len(known) else None


def _bare(value: str | None) -> str | None:
    return _NUMBER_NOISE.sub("", value) if value is not None else None


def as_days(values: list[str | None]) -> np.ndarray | None:
    """The column as days since 1970; None where it is none.

    Where only numbers stand, the day is first if a dot follows it or a 13th month says so.
    """
    import pandas as pd

    known = [value for value in values if value is not None]
    if not known or not all(any(c.isdigit() for c in value) for value in known[:200]):
        return None
    series = pd.Series(values, dtype=object)
    # A year that comes first is followed by the month, whatever order the other dates have.
    year_first = series.str.match(_YEAR_FIRST, na=False)
    found = pd.to_datetime(series.where(year_first), errors="coerce", format="mixed", utc=True)
    others = series.where(~year_first)
    found = found.fillna(
        pd.to_datetime(others, errors="coerce", format="mixed", dayfirst=_day_first(known), utc=True)
    )
    if found.notna().sum() < DATE_SHARE * len(known):
        return None
    days = found.to_numpy(dtype="datetime64[ns]").astype(np.int64) / DAY_NS
    return np.where(found.isna().to_numpy(), np.nan, days)


def _day_first(known: list[str]) -> bool:
    parts = [match.groups() for match in map(_SHORT_DATE.match, known) if match]
    return any(int(first) > 12 or mark == "." for first, mark in parts)


def _frame(data: Any, moments: np.ndarray | None, notes: list[str]) -> Frame:
    specs, columns = [], {}
    for name in data.columns:
        kind, values = typed(texts(data[name]), moments)
        if kind == Kind.DATE and moments is not None and (values > 0).mean() > 0.5:
            notes.append(f"{name} lies after the time of its row: known only later, left out")
            continue
        specs.append(FeatureSpec(name, name, kind))
        columns[name] = values
    return Frame(tuple(specs), columns, len(data))


def typed(values: list[str | None], moments: np.ndarray | None = None) -> tuple[Kind, np.ndarray]:
    """The kind of a column of texts and its values; dates in days from the row's own moment where known."""
    known = {value.casefold() for value in values if value is not None}
    if known and known <= YES | NO and len(known) <= 2:
        flags = [None if value is None else float(value.casefold() in YES) for value in values]
        return Kind.BOOLEAN, values_of(Kind.BOOLEAN, flags)
    numbers = as_numbers(values)
    if numbers is not None:
        return Kind.NUMBER, numbers
    days = as_days(values)
    if days is not None:
        return Kind.DATE, days if moments is None else days - moments
    listed = [_LIST.split(value) if value is not None else None for value in values]
    if sum(len(parts) > 1 for parts in listed if parts) > 0.1 * len(values):
        return Kind.MULTI, values_of(Kind.MULTI, listed)
    return Kind.CATEGORY, values_of(Kind.CATEGORY, values)
