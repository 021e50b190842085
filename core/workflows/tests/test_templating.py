"""Templates that users write reach nothing but what they are given, and land escaped."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.workflows.templating import (
    HEADER,
    HTML,
    TEXT,
    URL,
    TemplateRefusedError,
    check,
    check_value,
    names_read,
    render,
    value,
)

NAMES = {"lead": {"first_name": {}, "owner": {}, "tags": {}, "amount": {}, "custom_fields": None}, "now": {}}
EVIL = "<b>Grace\nBcc: x@y</b>"
CONTEXT = {"lead": {"first_name": EVIL, "owner": 5, "tags": ["a", "b"], "amount": 7}, "now": "2026-01-01"}


@pytest.mark.parametrize(
    ("landing", "expected"),
    [
        (HTML, "Hi &lt;b&gt;Grace\nBcc: x@y&lt;/b&gt;"),
        (HEADER, "Hi <b>Grace Bcc: x@y</b>"),
        (URL, "Hi %3Cb%3EGrace%0ABcc%3A%20x%40y%3C%2Fb%3E"),
        (TEXT, "Hi <b>Grace\nBcc: x@y</b>"),
    ],
)
def test_output_is_escaped_for_where_it_lands(landing, expected):
    assert render("Hi {{ lead.first_name }}", CONTEXT, landing) == expected


def test_a_header_without_a_template_is_one_line_too():
    assert render("a\r\nBcc: b", {}, HEADER) == "a Bcc: b"


def test_values_in_json_keep_their_type_and_cannot_break_out():
    raw = {
        "amount": "{{lead.amount}}",
        "deep": [{"who": 'x "{{lead.first_name}}"'}],
        "none": "{{lead.nope}}",
        "n": 1,
    }
    assert value(raw, CONTEXT) == {"amount": 7, "deep": [{"who": f'x "{EVIL}"'}], "none": None, "n": 1}


@pytest.mark.parametrize(
    "text",
    [
        "{{lead.first_name",
        "{{lead.__class__}}",
        "{{lead.owner.password}}",
        "{{ lead['__class__'] }}",
        "{{ unknown }}",
        "{{ lead[lead.first_name] }}",
        "{% include 'x' %}",
        "{% render 'x' %}",
        "{% capture x %}{% endcapture %}",
        "{% liquid echo lead.first_name %}",
        "{% if %}",
        "{{ 'x' | safe }}",
        "{{ lead.tags | replace: 'a', 'b' }}",
        "{{ lead.first_name | nope }}",
        "x" * 100_001,
        "{% if a %}" * 40,
        "{% for i in lead.__dict__ %}{% endfor %}",
    ],
)
def test_what_reads_the_unknown_or_cannot_be_parsed_is_refused_when_saved(text):
    with pytest.raises(TemplateRefusedError):
        check(text, NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "{{lead.first_name}}",
        "{{ lead.first_name | default: 'you' | upcase }}",
        "{{ lead.custom_fields.anything }}",
        "{% if lead.amount > 3 %}a{% else %}b{% endif %}",
        "{% for t in lead.tags %}{{ t }}{{ forloop.index }}{% endfor %}",
        "{{ lead.tags.size }}",
        "{% assign x = lead.amount | times: 2 %}{{ x }}",
        "plain",
    ],
)
def test_what_reads_known_names_is_accepted(text):
    check(text, NAMES)
    check_value({"a": [text]}, NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in (1..1000000000) %}x{% endfor %}",
        "{% for i in (1..900) %}{% for j in (1..900) %}xxxxxxxxxx{% endfor %}{% endfor %}",
        "{% assign x = 'aaaaaaaaaa' %}" + "{% assign x = x | append: x %}" * 40 + "{{ x }}",
        "{{ 9 " + "| times: 999999999999 " * 30 + "}}",
        "{{ lead.first_name | append: lead.first_name " + "| append: lead.first_name" * 5_000 + "}}",
    ],
)
def test_a_template_that_would_grow_without_end_is_stopped_soon(text):
    started = time.monotonic()
    with pytest.raises(TemplateRefusedError):
        render(text, CONTEXT | {"lead": CONTEXT["lead"] | {"first_name": "y" * 40_000}})
    assert time.monotonic() - started < 2


@given(st.text(alphabet="{}%| .'\"[]():,abclead_first_name0129<>=\n", max_size=60))
def test_no_input_gets_more_than_the_context_or_any_other_error(text):
    try:
        check(text, NAMES)
        rendered = render(text, CONTEXT)
    except TemplateRefusedError:
        return
    assert "object at 0x" not in rendered
    assert "<class" not in rendered


def test_the_names_a_value_reads_are_known_beforehand():
    assert names_read({"a": "{{lead.email}}", "b": ["{% assign x = now %}{{x}}"], "c": "plain"}) == {
        "lead",
        "now",
    }
