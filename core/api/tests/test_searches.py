"""Searches that look into custom fields as well: what they find, and that an index answers them."""

import re

import pytest
from django.db import connection

from core.customization.tests.factories import CustomFieldFactory
from core.entities.finding import _PUNCTUATION, _WORD_START, search
from core.models.folding import fold
from lead_management.entity import LEAD
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
MANY = 30_000


@pytest.fixture(autouse=True)
def fields(db):
    for key, kind, searchable in (
        ("note", "text", True), ("plan", "choice", True), ("size", "number", True), ("silent", "text", False),
    ):  # fmt: skip
        choices = ["Gold", "Silver"] if kind == "choice" else []
        CustomFieldFactory(entity="lead", key=key, type=kind, searchable=searchable, choices=choices)


def lead(name="Ada", **custom):
    return LeadFactory(first_name=name, custom_fields=custom)


def found(text):
    return sorted(row.first_name for row in search(LEAD, Lead.objects.order_by(), text))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Blue moon", "mOON"),
        ("Blue moon", "mo"), ("new\nline", "li"), ("naïve Ångström", "angstrom"),
        ("\uff26\uff35\uff2c\uff2c width", "full"), ("grand opening", "GR"),
        ('a "quoted" word', '"quoted"'), ("back\\slash", "k\\s"), ("100%", "00%"),
        ("under_score", "r_s"), ("Łódź", "łódź"), ("straße", "STRAß"), ("new\nline", "line"),
        ("tab\x01bed", "b\x01b"), ("<b>&amp;", "<B>&"), ("日本語", "本"), ("it's", "t's"),
        ("{curly: [1]}", "[1]}"),
    ],
)  # fmt: skip
def test_a_word_is_found_in_a_searchable_field_whatever_its_letters(value, text):
    lead("Ada", note=value)
    lead("Bob", silent=value)
    lead("Cy")
    assert found(text) == ["Ada"]


def test_words_may_be_in_different_places():
    lead("Ada", note="moon", size=41)
    lead("Bob", note="moon", size=42)
    assert found("moon") == ["Ada", "Bob"]
    assert found("bob moon") == found("42 MOON") == ["Bob"]
    assert found("moon sun") == []


def test_names_of_fields_and_what_is_not_searchable_are_not_found():
    lead("Ada", note="moon", silent="sun", plan="Gold")
    assert found("note") == found("sun") == found("custom") == []
    assert found("gold") == ["Ada"]


@pytest.fixture
def many(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO lead_management_lead (first_name, company_name, custom_fields)"
            " SELECT 'Lead ' || n, 'Common Company', CASE WHEN n %% 2 = 0 THEN"
            " jsonb_build_object('note', 'call of ' || md5(n::text), 'silent', md5((-n)::text))"
            " ELSE '{}' END FROM generate_series(1, %s) n",
            [MANY],
        )
        cursor.execute("ANALYZE lead_management_lead")


@pytest.mark.parametrize("words", ["{}", "call {}"])
def test_both_indexes_answer_a_search_together(many, words):
    with connection.cursor() as cursor:
        cursor.execute("SELECT md5('20000'), md5('-20000')")
        in_note, in_silent = cursor.fetchone()
    rows = search(LEAD, Lead.objects.order_by(), words.format(in_note))
    plan = rows.explain(analyze=True)
    assert "Seq Scan" not in plan, plan
    assert "Bitmap Index Scan on lead_custom_search" in plan, plan
    assert "Bitmap Index Scan on lead_search" in plan, plan
    assert [row.first_name for row in rows] == ["Lead 20000"]
    assert not search(LEAD, Lead.objects.order_by(), in_silent).exists()


@pytest.mark.parametrize("text", ["mo", "M", "ém", "4"])
def test_one_or_two_letters_are_found_where_words_begin_by_an_index(text):
    LeadFactory(first_name="Ada", company_name="(Mo'ore)", job_title="Émile-42")
    LeadFactory(first_name="Bob", company_name="Elmo", job_title="x_Mo")
    Lead.objects.bulk_create(Lead(first_name=f"Other {n}") for n in range(100, 300))
    with connection.cursor() as cursor:
        # A table this small is read as a whole; whether the index answers the question is what is asked.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
    rows = search(LEAD, Lead.objects.order_by("pk"), text, ["search_text"])
    assert "Bitmap Index Scan on lead_word_starts" in rows.explain()
    names = {"mo": ["Ada", "Bob"], "M": ["Ada", "Bob"], "ém": ["Ada"], "4": ["Ada"]}[text]
    assert [row.first_name for row in rows] == names


@pytest.mark.parametrize(
    "text",
    [
        "Ada Byron",
        "o'neil",
        "a.b@c-d.example",
        "x_y{z}",
        "Łódź straße",
        "tab\there\nnew",
        "日本語",
        "«mo»",
        "",
    ],
)
def test_the_beginnings_of_words_are_those_that_the_expression_finds(text):
    folded = f" {fold(text)} "
    with connection.cursor() as cursor:
        cursor.execute("SELECT crm_word_starts(crm_fold(%s))", [f" {text} "])
        [starts] = cursor.fetchone()
    letters = {c for c in folded if not c.isspace()}
    for term in letters | {a + b for a in letters for b in letters}:
        if not _PUNCTUATION.search(term):
            expected = re.search(_WORD_START + re.escape(term), folded) is not None
            assert (term in starts) is expected, term
