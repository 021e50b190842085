"""What a person is redacted by in text: regular expressions (PostgreSQL's) of addresses, numbers, names.

Two kinds. The exact ones say what is replaced: one whole address, number or name and never a part of another,
so what is in doubt stays. The loose ones (`anywhere`) choose the rows that are looked at, in JSON with its
escapes too, and replace nothing.
"""

import re
from collections.abc import Iterable, Iterator

import phonenumbers

from core.conf import conf
from core.entities.field_types import Phone
from core.errors import DomainError
from core.models.folding import fold

# Never found: an "a" before the beginning.
NOTHING = r"a\A"
SHORTEST_PHONE, SHORTEST_NAME, SHORTEST_CJK_NAME = 7, 4, 2
_OTHER = re.compile(r"[^\w]|_")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
# An address goes on with letters, digits and what may stand in it; a dot at the end of a sentence is not its.
_ADDRESS_BEFORE = r"(?<![[:alnum:]@._+%\\-])(?<![[:alnum:]][!#$&'*^`{|}~])"
_ADDRESS_AFTER = r"(?![[:alnum:]_@])(?!\.+[[:alnum:]])(?!-+[[:alnum:]])"
# Between the digits of a number; digits beyond these make it a longer number, or an amount.
_BETWEEN = "[ \u00a0()./-]{0,2}"
_NUMBER_BEFORE = "(?<![[:alnum:]+])(?<![0-9][ \u00a0.,()/-]{1,2})"
_NUMBER_AFTER = "(?![[:alnum:]])(?![ \u00a0.,()/-]{1,2}[0-9])"
# "Ann Lee" is neither in "Ann Lee-Smith" nor in "Mary-Ann Lee", and is in "Ann Lee's".
_WORD_BEFORE = "(?<![[:alnum:]_])(?<![[:alnum:]]['\u2019-])"
_WORD_AFTER = "(?![[:alnum:]_])(?!-[[:alnum:]])(?!['\u2019][[:alnum:]]{2})"


def any_of(parts: Iterable[str]) -> str:
    """An expression that finds any of the parts; NOTHING without one."""
    given = sorted(set(parts), key=lambda part: (-len(part), part))
    return f"(?:{'|'.join(given)})" if given else NOTHING


def literal(text: str) -> str:
    return _OTHER.sub(lambda found: "\\" + found[0], text)


# ---- Addresses ----


def email(address: str) -> str:
    """The whole address, also as it stands in a web address."""
    return f"{_ADDRESS_BEFORE}{_address(address)}{_ADDRESS_AFTER}"


def _address(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{literal(local)}(?:@|%40){literal(domain)}"


# ---- Numbers ----


def e164(text: str) -> str | None:
    """The number as it is stored (`+14155550123`, an extension behind `;ext=`); None where its country is not
    known."""
    try:
        stored = Phone().to_internal_value(text)
    except (DomainError, ValueError, phonenumbers.NumberParseException):
        return None
    return stored if stored.startswith("+") else None


def phone(number: str) -> str | None:
    """The whole number (in E.164) with its country, or as it is dialled in the country of the installation;
    None of one with an extension, or that is too short."""
    if ";" in number:
        return None
    parsed = phonenumbers.parse(number)
    national = phonenumbers.national_significant_number(parsed)
    if len(national) < SHORTEST_PHONE:
        return None
    forms = any_of([_international(str(parsed.country_code), national), *_dialled(parsed, national)])
    return f"{_NUMBER_BEFORE}{forms}{_NUMBER_AFTER}"


def _international(country: str, national: str) -> str:
    trunk = rf"(?:\(0\){_BETWEEN})?"
    return rf"(?:\+|00){_BETWEEN}{_BETWEEN.join(country)}{_BETWEEN}{trunk}{_BETWEEN.join(national)}"


def _dialled(parsed: phonenumbers.PhoneNumber, national: str) -> Iterator[str]:
    """With its leading 0; where there is none, in groups alone, for ten digits in a row may be any number."""
    region = conf.DEFAULT_PHONE_REGION
    if not region or phonenumbers.country_code_for_region(region) != parsed.country_code:
        return
    groups = re.findall("[0-9]+", phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL))
    dialled = "".join(groups)
    if dialled != national:
        yield rf"\(?{_BETWEEN.join(dialled)}"
    elif len(groups) > 1:
        yield rf"\(?{'[ ().-]{1,2}'.join(groups)}"


# ---- Names ----


def is_long_enough(name: str) -> bool:
    """Whether a name is told from the words around it: four letters, two of Chinese, Japanese or Korean."""
    shortest = SHORTEST_CJK_NAME if _CJK.fullmatch(name) else SHORTEST_NAME
    return len(name) >= shortest


def full_names(first: str, last: str) -> list[str]:
    """How a person is called in full. One part alone is a name of many; the last name before the first one
    stands in lists of others too ("Bob Lee, Ann Smith"), but in Chinese, Japanese and Korean."""
    first, last = first.strip(), last.strip()
    if not first or not last:
        return []
    is_cjk = _CJK.fullmatch(first + last)
    return [f"{first} {last}", *([f"{last}{first}", f"{last} {first}"] if is_cjk else [])]


def word(text: str) -> str:
    """The text as a whole word or several, in any case; not as a part of a name with a hyphen."""
    return f"{_WORD_BEFORE}{literal(text)}{_WORD_AFTER}"


def same_name(record: str, first: str, last: str) -> str:
    """What two records of one person have in common; the record itself where its full name is not known, for
    many have none, or are called Anna."""
    first, last = first.strip(), last.strip()
    return fold(f"{first} {last}") if first and last else record


# ---- Rows to look at ----


def anywhere(emails: Iterable[str], numbers: Iterable[str], words: Iterable[str] = ()) -> str:
    """Finds at least what the exact expressions find, and more."""
    digits = (re.sub("[^0-9]", "", number.partition(";")[0]) for number in numbers)
    endings = ("[^0-9[:alnum:]]{0,4}".join(found[-SHORTEST_PHONE:]) for found in digits)
    return any_of([*map(_address, emails), *(end for end in endings if end), *map(literal, words)])
