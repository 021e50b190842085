"""Numbers, dates, headers and formulas as others write them."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidError
from core.transfer.csv_injection import DANGEROUS, escape, unescape
from core.transfer.formats import (
    DateFormat,
    ambiguous,
    check_format,
    date_format_of,
    decimal_mark,
    iso_date,
    iso_moment,
    plain_number,
)
from core.transfer.headers import normalised


@pytest.mark.parametrize(
    ("text", "mark", "plain"),
    [
        ("1.234,56", ",", "1234.56"),
        ("$1,200.50", ".", "1200.50"),
        ("50 000 €", ",", "50000"),
        ("(12.50)", ".", "-12.50"),
        ("1,00,000", ".", "100000"),
        ("12.50", ",", "12.50"),
        ("1'234.50", ".", "1234.50"),
        ("12%", ".", "12"),
        ("1,23,4", ".", "1,23,4"),
        ("twelve", ".", "twelve"),
    ],
)
def test_numbers_lose_their_dress_and_nothing_else(text, mark, plain):
    assert plain_number(text, mark) == plain


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        (["1,5", "2,25"], ","),
        (["1.234,56"], ","),
        (["1,234"], None),
        (["1,234,567"], "."),
        (["1,5", "1.5"], None),
        (["12"], None),
    ],
)
def test_the_decimal_mark_is_what_the_column_proves(values, mark):
    assert decimal_mark(values) == mark


def test_day_and_month_are_settled_by_the_whole_column():
    assert date_format_of(["01/02/2030", "13/02/2030"]) == DateFormat("DMY", proven=True)
    assert date_format_of(["01/02/2030", "02/13/2030"]) == DateFormat("MDY", proven=True)
    assert date_format_of(["01.02.2030"]).order == "DMY"
    assert ambiguous(["01/02/2030"])
    assert not ambiguous(["2030-01-02"])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("31/12/2024", "2024-12-30T23:00:00+00:00"),
        ("31.12.24 10:30", "2024-12-31T09:30:00+00:00"),
        ("2024-08-13T18:04:34.666+00:00", "2024-08-13T18:04:34.666000+00:00"),
        ("5 Mar 2024 3:04 PM", "2024-03-05T14:04:00+00:00"),
        ("Thu, 12 Dec 2024 10:00:00 +0100", "2024-12-12T09:00:00+00:00"),
        ("31/31/2024", "31/31/2024"),
        ("soon", "soon"),
    ],
)
def test_moments_are_meant_in_the_zone_that_is_given(text, moment):
    assert iso_moment(text, DateFormat("DMY"), ZoneInfo("Europe/Berlin")) == moment


def test_dates_lose_their_time():
    assert iso_date("Jan 5, 2024", DateFormat()) == "2024-01-05"
    assert iso_date("2006-06-15T20:47:07.000Z", DateFormat()) == "2006-06-15"


@pytest.mark.parametrize("text", ["DD/MM/YYYY", "%d/%m/%Y", "dmy"])
def test_date_formats_are_named_in_three_ways(text):
    assert iso_date("03/04/2030", check_format(text)) == "2030-04-03"


def test_a_date_format_that_is_none_is_refused():
    with pytest.raises(InvalidError):
        check_format("tomorrow")


@given(st.text())
def test_guarded_text_is_harmless_and_comes_back(text):
    assert unescape(escape(text)) == text
    assert not escape(text) or escape(text)[0] not in DANGEROUS


def test_headers_are_compared_without_their_dress():
    assert normalised("E-Mail Address*") == "e mail address"
    assert normalised("firstName") == "first name"
    assert normalised("\u200bCompany\u00a0 Name ") == "company name"
    assert normalised("☎ Contact") != "contact"
