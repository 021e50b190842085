"""Rates from a source: the European Central Bank's format, read from a server on loopback."""

from datetime import date

import pytest

from core import tasks
from core.currencies import fetching
from core.currencies.fetching import PublishedRate, in_base
from core.currencies.models import ExchangeRate
from core.currencies.tests.factories import ExchangeRateFactory

pytestmark = pytest.mark.django_db
BODY = b"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
                 xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
  <gesmes:subject>Reference rates</gesmes:subject>
  <Cube><Cube time="2026-11-27">
    <Cube currency="USD" rate="1.25"/><Cube currency="JPY" rate="160"/><Cube currency="XXQ" rate="2"/>
  </Cube></Cube>
</gesmes:Envelope>"""


@pytest.fixture
def bank(peer, settings):
    """The bank on loopback, named as the source."""
    peer.answer = lambda request: (200, {"Content-Type": "text/xml"}, BODY)
    settings.CRM = {
        **settings.CRM,
        "EXCHANGE_RATE_SOURCE": "core.currencies.ecb.daily_rates",
        "EXCHANGE_RATE_URL": peer.url("/eurofxref-daily.xml"),
    }
    return peer


def kept():
    rows = ExchangeRate.objects.order_by("currency")
    return [
        (r.currency, str(r.date), str(r.rate.normalize()), r.closing_rate == r.rate, r.source) for r in rows
    ]


def test_the_days_rates_are_stored_in_the_organisations_currency(bank):
    assert tasks.fetch_exchange_rates() == 2
    assert bank.requests[0].path == "/eurofxref-daily.xml"
    assert kept() == [
        ("EUR", "2026-11-27", "1.25", True, "feed"),
        ("JPY", "2026-11-27", "0.0078125", True, "feed"),
    ]
    assert tasks.fetch_exchange_rates() == 0


def test_what_was_entered_by_hand_stays(bank):
    ExchangeRateFactory(date=date(2026, 11, 27), rate="1.3")
    assert tasks.fetch_exchange_rates() == 1
    assert kept()[0] == ("EUR", "2026-11-27", "1.3", True, "manual")


@pytest.mark.parametrize(
    "answer",
    [
        (503, {}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"<Envelope/>"),
        (200, {}, BODY.replace(b'"160"', b'"many"')),
        (200, {}, BODY.replace(b"2026-11-27", b"today")),
        (200, {}, b'<!DOCTYPE x [<!ENTITY a "a">]>' + BODY.partition(b"?>")[2]),
    ],
)
def test_an_answer_that_is_none_stores_nothing(bank, answer):
    bank.answer = lambda request: answer
    assert tasks.fetch_exchange_rates() == 0
    assert kept() == []


def test_an_address_inside_is_not_called(bank, settings):
    settings.CRM = {**settings.CRM, "OUTBOUND_ALLOWED_HOSTS": []}
    assert tasks.fetch_exchange_rates() == 0
    assert bank.requests == []


def test_without_a_source_nothing_is_fetched(peer):
    assert tasks.fetch_exchange_rates() == 0
    assert peer.requests == []


def test_a_source_that_does_not_know_the_organisations_currency_gives_no_rates():
    day = date(2026, 1, 1)
    assert list(in_base([PublishedRate("EUR", "JPY", day, 160)], "USD")) == []


def own_source():
    """A source as somebody writes one of their own."""
    return [PublishedRate("USD", "GBP", date(2026, 1, 1), 2)]


def test_any_callable_can_be_the_source(settings):
    settings.CRM = {"EXCHANGE_RATE_SOURCE": f"{__name__}.own_source"}
    assert fetching.fetch().written == 1
    assert kept() == [("GBP", "2026-01-01", "0.5", True, "feed")]
