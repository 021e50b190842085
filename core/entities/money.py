"""Currencies (ISO 4217): as a choice every amount's entity offers, and as a sign or code beside an amount."""

import re
from functools import lru_cache

from babel.numbers import list_currencies
from django.utils.translation import gettext as _

from core.entities.field_types import Choice

CURRENCY = Choice(choices=tuple(sorted(list_currencies("en"))))
CURRENCY_FIELD = "currency"

_DOLLARS = ("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "TWD", "ARS", "CLP", "COP", "JMD", "BBD", "TTD")
_CROWNS = ("SEK", "NOK", "DKK", "ISK", "CZK", "EEK", "SKK")
# A sign → the currencies it may stand for. The first is meant where nothing else says; where the first is
# "" where it is not clear.
_SIGNS: dict[str, tuple[str, ...]] = {
    "€": ("EUR",), "euro": ("EUR",), "euros": ("EUR",), "£": ("GBP", "EGP", "GIP", "FKP", "SHP", "LBP"),
    "$": _DOLLARS, "us$": ("USD",), "ca$": ("CAD",), "c$": ("CAD",), "a$": ("AUD",), "au$": ("AUD",),
    "nz$": ("NZD",), "hk$": ("HKD",), "s$": ("SGD",), "r$": ("BRL",), "mx$": ("MXN",), "nt$": ("TWD",),
    "¥": ("JPY", "CNY"), "\uffe5": ("JPY", "CNY"), "円": ("JPY",), "元": ("CNY",), "₩": ("KRW", "KPW"),
    "₹": ("INR",), "rs": ("INR", "PKR", "LKR", "NPR", "MUR"), "₽": ("RUB",), "руб": ("RUB",),  # noqa: RUF001
    "₪": ("ILS",), "₺": ("TRY",), "tl": ("TRY",), "₴": ("UAH",), "₸": ("KZT",), "₼": ("AZN",), "₾": ("GEL",),
    "₦": ("NGN",), "₵": ("GHS",), "₱": ("PHP",), "฿": ("THB",), "₫": ("VND",), "₡": ("CRC",), "₲": ("PYG",),
    "zł": ("PLN",), "zl": ("PLN",), "kč": ("CZK",), "ft": ("HUF",), "lei": ("RON",), "лв": ("BGN",),
    "fr": ("CHF",), "sfr": ("CHF",), "rp": ("IDR",), "rm": ("MYR",), "kr": ("", *_CROWNS),
}  # fmt: skip
# What stands before or behind the digits of an amount; blanks, brackets and signs of plus and minus may stand
# between them.
_BESIDE = re.compile(
    r"^(?P<open>[\s(+\-]*)(?P<before>[^\d\s.,'()+\-]+\.?)?"
    r"(?P<number>[^A-Za-z€£¥₹₽₩]*?\d[\d\s.,'\u2019\u00a0\u202f]*(?:[eE][+-]?\d+)?[-.,\u2013]*%?)"
    r"\s*(?P<behind>[^\d\s.,'()+\-%]+\.?)?(?P<close>[\s)]*)$"
)


@lru_cache(maxsize=20_000)
def split_currency(text: str) -> tuple[str, tuple[str, ...]]:
    """An amount without the currency beside it, and which currencies that may be, the likeliest first (""
    where no one is likelier). `€1,234.56` → (`1,234.56`, (`EUR`,)). Text that is not of this form comes back
    as it is, without currencies."""
    found = _BESIDE.match(text.strip())
    if not found or not (found["before"] or found["behind"]):
        return text, ()
    named = [currencies_of(found[side]) for side in ("before", "behind") if found[side]]
    if not all(named):
        return text, ()
    codes = tuple(code for code in named[-1] if code in named[0])
    return (f"{found['open']}{found['number'].strip()}{found['close']}", codes) if codes else (text, ())


def currencies_of(sign: str) -> tuple[str, ...]:
    """The currencies that a sign or code stands for; none for anything else."""
    plain = sign.strip().rstrip(".")
    code = CURRENCY.folded.get(plain.casefold())
    if code and len(plain) == 3:
        return (code,)
    return _SIGNS.get(plain.casefold()) or _SIGNS.get(sign.strip().casefold()) or ()


def settled(codes: tuple[str, ...], currency: str) -> str | None:
    """The currency that an amount with such a sign is in, where the record says `currency` ("" for nothing);
    None where both contradict each other or it is not clear which one is meant."""
    if currency:
        return currency if currency in codes else None
    return codes[0] or None


def preferred(codes: tuple[str, ...], currency: object) -> str:
    """A currency that is in force already, where a sign that names none may stand for it; else ""."""
    return currency if isinstance(currency, str) and currency in codes else ""


# Thousands that nobody could take for decimals: a decimal point follows them.
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+\Z")


def read_amount(text: str) -> tuple[str, tuple[str, ...]]:
    """An amount in JSON with the currency beside it taken off: `€1,234.56` → (`1234.56`, (`EUR`,))."""
    bare, codes = split_currency(text) if len(text) <= 100 else (text, ())
    if codes and _THOUSANDS.match(bare):
        bare = bare.replace(",", "")
    return bare, codes


def contradiction(text: str, currency: str) -> str:
    """What is wrong with an amount whose sign does not go with the currency of its record."""
    if currency:
        return _("%(text)s is no amount in %(currency)s, which this record is in.") % {
            "text": repr(text[:40]),
            "currency": currency,
        }
    return _("%(text)s may be in several currencies; name the currency.") % {"text": repr(text[:40])}
