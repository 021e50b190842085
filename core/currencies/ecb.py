"""The daily reference rates of the European Central Bank, or of whoever publishes in its format.

One XML document: a day with what one euro costs in each of some thirty currencies.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from xml.etree import ElementTree

from core.conf import conf
from core.currencies.fetching import PublishedRate, SourceError
from core.outbound.client import Request, UnreachableError, send

BASE = "EUR"
CUBE = "{http://www.ecb.int/vocabulary/2002-08-01/eurofxref}Cube"


def daily_rates() -> list[PublishedRate]:
    """What is published at EXCHANGE_RATE_URL. Raises SourceError."""
    try:
        reply = send(Request(conf.EXCHANGE_RATE_URL, method="GET"))
    except UnreachableError as error:
        raise SourceError(error.args[0]) from error
    if reply.status != 200:
        raise SourceError(f"The answer was {reply.status}.")
    return list(_read(reply.body))


def _read(body: bytes) -> Iterator[PublishedRate]:
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise SourceError("The answer defines entities, which are not expanded.")
    try:
        for day in ElementTree.fromstring(body).iter(CUBE):  # noqa: S314  (entities are refused above)
            for cube in day.findall(CUBE) if "time" in day.attrib else ():
                per_euro = Decimal(cube.attrib["rate"])
                yield PublishedRate(
                    BASE, cube.attrib["currency"], date.fromisoformat(day.attrib["time"]), per_euro
                )
    except (ElementTree.ParseError, KeyError, ValueError, InvalidOperation) as error:
        raise SourceError("The answer is not in the bank's format.") from error
