"""Numbers and dates as people of different countries write them; settled per column, never cell by cell.

"1.234" is a thousand in Berlin and a bit over one in London: what a column's values prove decides for all of
it, and what they leave open is said in the preview.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils.translation import gettext

from core.errors import InvalidError

# ---- Numbers ----

_MONEY_SIGNS = re.compile(
    r"[\s\u00a0\u202f']|[$€£¥₹₽₩]|(?:\b(?:USD|EUR|GBP|CHF|JPY|CAD|AUD|INR|kr)\b)", re.IGNORECASE
)
_PLAIN = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?%?\Z", re.ASCII)
_BRACKETS = re.compile(r"^\((.*)\)$")


_BARE = re.compile(r"[\s\d.,()+\-'%eE\u2019\u00a0\u202f]*\Z")


def is_bare_number(text: str) -> bool:
    """Whether nothing but what belongs to a number stands in the text: no sign of a currency."""
    return _BARE.match(text) is not None


def decimal_mark(values: Iterable[str]) -> str | None:
    """The decimal separator that the column's values prove, "." or ","; None where they prove nothing."""
    proven: set[str | None] = set()
    for value in values:
        text = _MONEY_SIGNS.sub("", value)
        comma, point = text.rfind(","), text.rfind(".")
        if comma >= 0 and point >= 0:
            proven.add("," if comma > point else ".")
        elif comma >= 0:
            proven.add(_alone(text, ",", "."))
        elif point >= 0:
            proven.add(_alone(text, ".", ","))
    proven.discard(None)
    return proven.pop() if len(proven) == 1 else None


def _alone(text: str, mark: str, other: str) -> str | None:
    """What a number with one kind of mark proves: three digits behind it may be thousands."""
    if text.count(mark) > 1:
        return other
    return None if re.match(rf"^[+-]?[1-9]\d{{0,2}}\{mark}\d{{3}}$", text) else mark


def plain_number(text: str, mark: str) -> str:
    """The number as our field types read it; text that is none comes back as it is, to be refused there.

    `mark` is the decimal separator; blanks, currency signs, thousands and a trailing % are taken off, and
    (1.00) is negative.
    """
    if _PLAIN.match(text) and (mark == "." or "." not in text):
        return text.removesuffix("%")
    bare = _MONEY_SIGNS.sub("", text)
    bracketed = _BRACKETS.match(bare)
    if bracketed:
        bare = "-" + bracketed.group(1)
    bare = bare.removesuffix("%").removesuffix("-" if bare.endswith((",-", ".-")) else "")
    thousands = "," if mark == "." else "."
    whole, _, fraction = bare.partition(mark)
    if thousands in whole and not re.match(
        rf"^[+-]?\d{{1,3}}(\{thousands}\d{{2,3}})*\{thousands}\d{{3}}$", whole
    ):
        return text
    plain = whole.replace(thousands, "") + (f".{fraction}" if fraction else "")
    return plain if _PLAIN.match(plain) else text


def check_mark(text: str) -> str:
    """The decimal separator a user named. Raises InvalidError."""
    if text not in (".", ","):
        raise InvalidError.of("decimal_separator", gettext('Expected "." or ",".'))
    return text


# ---- Dates ----

_TOKENS = {
    "YYYY": "%Y", "YY": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%m", "DD": "%d", "D": "%d",
    "HH": "%H", "H": "%H", "hh": "%I", "h": "%I", "mm": "%M", "ss": "%S", "A": "%p", "a": "%p",
}  # fmt: skip
_TOKEN = re.compile(r"YYYY|YY|MMMM|MMM|MM|M|DD|D|HH|H|hh|h|mm|ss|A|a")
_THREE = re.compile(r"^(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?:[T ,]|$)")
ORDERS = ("DMY", "MDY", "YMD")
_MONTHS = {
    name: number
    for number, names in enumerate(
        [
            "jan january januar janvier enero gennaio", "feb february februar février febrero febbraio",
            "mar march märz mars marzo mrz", "apr april avril abril aprile", "may mai mayo maggio",
            "jun june juni juin junio giugno", "jul july juli juillet julio luglio",
            "aug august août agosto", "sep sept september septembre septiembre settembre",
            "oct october oktober octobre octubre ottobre okt", "nov november novembre noviembre",
            "dec december dezember décembre diciembre dicembre dez",
        ],
        1,
    )
    for name in names.split()
}  # fmt: skip
_WORDED = re.compile(
    r"^(?:\w{2,9}\.?,? )?"
    r"(?:(\d{1,2})\.?[ -]([^\W\d]+)\.?,?[ -](\d{2,4})|([^\W\d]+)\.? (\d{1,2}),? (\d{4}))"
)
_TIME = re.compile(
    r"^[T ,]*(?:at )?(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6})\d*)?)?\s*([AaPp])?\.?[Mm]?\.?\s*"
    r"(Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?$"
)
_ISO = re.compile(r"^\d{4}-\d{2}-\d{2}(?:$|[T ]\d{2}:\d{2})")


@dataclass(frozen=True)
class DateFormat:
    """How a column writes dates: an order of day, month and year, or one exact strptime format."""

    order: str = "MDY"
    format: str = ""
    proven: bool = False
    # Some values can only begin with the day, and too many others only with the month.
    mixed: bool = False
    # Whether a bare number is a spreadsheet's day number.
    serials: bool = False


# One value in so many that contradicts the others is a slip of the pen.
SLIP = 20


def date_format_of(values: Iterable[str], *, day_first: bool = False) -> DateFormat:
    """What the values prove about the order of day and month; `day_first` settles what they do not."""
    days = months = 0
    dotted = False
    for value in values:
        found = _THREE.match(value.strip())
        if not found or len(found.group(1)) == 4:
            continue
        dotted |= found.group(2) == "."
        days += int(found.group(1)) > 12
        months += int(found.group(3)) > 12
    if min(days, months) * SLIP > max(days, months):
        return DateFormat("DMY" if days >= months else "MDY", mixed=True)
    if days or months:
        return DateFormat("DMY" if days > months else "MDY", proven=True)
    return DateFormat("DMY" if dotted or day_first else "MDY", proven=dotted)


def ambiguous(values: Sequence[str]) -> bool:
    """Whether the values are dates whose day and month could be swapped."""
    dates = [m for m in (_THREE.match(value.strip()) for value in values) if m and len(m.group(1)) < 4]
    return bool(dates) and not date_format_of(values).proven


def check_format(text: str) -> DateFormat:
    """The date format a user named: DMY, MDY, YMD, DD/MM/YYYY or %d/%m/%Y. Raises InvalidError."""
    if text.upper() in ORDERS:
        return DateFormat(text.upper(), proven=True)
    pattern = text if "%" in text else _TOKEN.sub(lambda m: _TOKENS[m.group(0)], text)
    # strftime never fails on a bad pattern everywhere alike; reading back what it wrote does.
    try:
        datetime.strptime(datetime(2031, 12, 24, 13, 5, 6).strftime(pattern), pattern)  # noqa: DTZ001, DTZ007
    except (ValueError, re.error):  # strptime makes a regular expression of it, which may name a group twice
        pattern = ""
    if "%" not in pattern or len(text) > 40:
        raise InvalidError.of(
            "date_format", gettext("Expected DMY, MDY, YMD, or a format such as DD/MM/YYYY.")
        )
    return DateFormat(format=pattern, proven=True)


def iso_date(text: str, written: DateFormat) -> str:
    """The date in ISO 8601 as our field types read it; text that is none comes back as it is."""
    if _ISO.match(text):
        return text[:10]
    found = _of_serial(text) if written.serials else None
    found = found or _moment(text, written)
    return found.date().isoformat() if found else text


def iso_moment(text: str, written: DateFormat, zone: ZoneInfo) -> str:
    """The moment in UTC, ISO 8601. What has no offset is meant in `zone`."""
    if _ISO.match(text):
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            return text
    else:
        read = (_of_serial(text) if written.serials else None) or _moment(text, written)
        if read is None:
            return text
        found = read
    aware = found if found.tzinfo else found.replace(tzinfo=zone)
    try:
        return aware.astimezone(UTC).isoformat()
    except OverflowError:
        return text


# Spreadsheets count days from here (1900 is a leap year to them); numbers of five digits are 1927 to 2173.
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001  (a day of the calendar)
_SERIAL = re.compile(r"[1-9]\d{4}(\.\d+)?\Z", re.ASCII)


def _of_serial(text: str) -> datetime | None:
    """The day, and time of day, that a spreadsheet's number stands for."""
    if not _SERIAL.match(text):
        return None
    return _FIRST_DAY + timedelta(seconds=round(float(text) * 86_400))


def holds_date(text: str) -> bool:
    """Whether the text is or begins with a date, in whatever order its parts stand."""
    return bool(_ISO.match(text) or _THREE.match(text) or _WORDED.match(text))


def _moment(text: str, written: DateFormat) -> datetime | None:
    try:
        if written.format:
            return datetime.strptime(text, written.format)  # noqa: DTZ007  (the zone is added by the caller)
        day, rest = _day(text, written.order)
        return _with_time(day, rest) if day else None
    except (ValueError, OverflowError):
        return None


def _day(text: str, order: str) -> tuple[date | None, str]:
    """The date a text begins with, and what follows it."""
    found = _THREE.match(text)
    if found:
        parts = [found.group(1), found.group(3), found.group(4)]
        letters = "YMD" if len(parts[0]) == 4 else order if order != "YMD" else "DMY"
        part = dict(zip(letters, parts, strict=True))
        return date(_year(part["Y"]), int(part["M"]), int(part["D"])), text[found.end(4) :]
    worded = _WORDED.match(text)
    if not worded:
        return None, text
    day, name, year = worded.group(1, 2, 3) if worded.group(1) else worded.group(5, 4, 6)
    month = _MONTHS.get(name.casefold())
    return (date(_year(year), month, int(day)), text[worded.end() :]) if month else (None, text)


def _year(text: str) -> int:
    """Two digits are this century up to 68, the last one from 69 (POSIX)."""
    year = int(text)
    if len(text) > 2:
        return year
    return year + (2000 if year < 69 else 1900)


def _with_time(day: date, rest: str) -> datetime | None:
    if not rest.strip():
        return datetime(day.year, day.month, day.day)  # noqa: DTZ001
    found = _TIME.match(rest)
    if not found:
        return None
    hour, minute, second, fraction, half, offset = found.groups()
    hour = int(hour) % 12 + 12 * (half in "pP") if half else int(hour)
    micro = int((fraction or "0").ljust(6, "0"))
    moment = datetime(day.year, day.month, day.day, hour, int(minute), int(second or 0), micro)  # noqa: DTZ001
    if not offset:
        return moment
    if offset in ("Z", "UTC", "GMT"):
        return moment.replace(tzinfo=UTC)
    # fromisoformat takes +01, +0100 and +01:00 alike.
    return datetime.fromisoformat(moment.isoformat() + offset)
