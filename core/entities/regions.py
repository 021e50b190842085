"""Countries as people write them, as regions of the phone numbering plan (ISO 3166-1 alpha-2)."""

import re
import unicodedata
from functools import lru_cache

import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.core import get_global

# The field of a record that says where it is.
COUNTRY_FIELD = "country"
# Languages whose names of countries are known: the names of territories come from CLDR.
LANGUAGES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "cs", "hu", "ro", "el", "tr",
    "ru", "uk", "ar", "he", "ja", "zh", "ko",
)  # fmt: skip
# The region of a country that is named and not known (CLDR): nobody can say what a local number there means.
UNKNOWN_REGION = "ZZ"
_SHORT = {
    "uk": "GB", "u k": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "northern ireland": "GB",
    "great britain": "GB", "u s a": "US", "u s": "US", "america": "US", "united states of america": "US",
    "holland": "NL", "the netherlands": "NL", "uae": "AE", "u a e": "AE", "korea": "KR",
    "czech republic": "CZ",
}  # fmt: skip
_NO_LETTERS = re.compile(r"[\W_]+")


@lru_cache(maxsize=4_096)
def region_of(country: str) -> str:
    """The region of a country named by its code (two or three letters) or by its name; "" if unknown."""
    code = country.strip().upper()
    if len(code) == 3:
        code = next(iter(get_global("territory_aliases").get(code, [])), code)
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    plain = _plain(country)
    if not plain:
        return ""
    names = (_regions_by_name(language).get(plain) for language in LANGUAGES)
    return _SHORT.get(plain) or next(filter(None, names), "")


def region_at(country: object, otherwise: str) -> str:
    """The region of a record's local phone numbers: that of its country, and `otherwise` where it names none.
    A country that is not known is none of ours, so its numbers are not read by another's rules."""
    if not isinstance(country, str) or not country.strip():
        return otherwise
    return region_of(country) or UNKNOWN_REGION


def _plain(text: str) -> str:
    return _NO_LETTERS.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()


@lru_cache(maxsize=len(LANGUAGES))
def _regions_by_name(language: str) -> dict[str, str]:
    """Read when it is asked for: a language's names take tens of milliseconds to load."""
    try:
        territories = Locale.parse(language).territories
    except UnknownLocaleError:
        return {}
    found: dict[str, str] = {}
    for code, name in territories.items():
        if code in phonenumbers.SUPPORTED_REGIONS:
            found.setdefault(_plain(name), code)
    return found
