"""Phone numbers read by the country of their row, and without their parser where that says the same."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.entities.field_types.dialling import is_plain_e164
from core.transfer.phones import region_of


@pytest.mark.parametrize(
    ("country", "region"),
    [
        ("GB", "GB"),
        ("U.K.", "GB"),
        ("Deutschland", "DE"),
        ("États-Unis", "US"),
        ("USA", "US"),
        ("Atlantis", ""),
    ],
)
def test_countries_are_known_by_code_and_by_name(country, region):
    assert region_of(country) == region


CODES = st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


@given(CODES, st.from_regex(r"\A[0-9]{4,13}\Z"))
def test_the_short_way_says_what_the_parser_says(code, national):
    text = f"+{code}{national}"
    if not is_plain_e164(text):
        return
    parsed = phonenumbers.parse(text, "US")
    assert phonenumbers.is_possible_number(parsed)
    assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == text
