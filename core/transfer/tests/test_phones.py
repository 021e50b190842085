"""Phone numbers read without their parser where that says the same."""

import phonenumbers
from hypothesis import given
from hypothesis import strategies as st

from core.entities.field_types.dialling import is_plain_e164

CODES = st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


@given(CODES, st.from_regex(r"\A[0-9]{4,13}\Z"))
def test_the_short_way_says_what_the_parser_says(code, national):
    text = f"+{code}{national}"
    if not is_plain_e164(text):
        return
    parsed = phonenumbers.parse(text, "US")
    assert phonenumbers.is_possible_number(parsed)
    assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == text
