"""What is no condition is refused, with the path of every fault."""

from datetime import date, datetime

import pytest
import time_machine
from django.http import QueryDict

from core.conditions import fields_of, parse
from core.conditions.filters import filterset_of
from core.conditions.grammar import MAX_DEPTH, MAX_ISSUES, MAX_LEAVES, MAX_LIST
from core.customization.tests.factories import CustomFieldFactory
from core.errors import InvalidError
from lead_management.entity import LEAD
from lead_management.tests.factories import LeadFactory
from opportunities.entity import OPPORTUNITY
from opportunities.models import Pipeline
from opportunities.tests.factories import OpportunityFactory

pytestmark = pytest.mark.django_db


def faults(raw, **options):
    with pytest.raises(InvalidError) as caught:
        parse(LEAD, raw, **options)
    return [(issue.field, issue.code) for issue in caught.value.issues]


def leaf(field, op, value):
    return {"field": field, "op": op, "value": value}


@pytest.mark.parametrize(
    ("raw", "path", "code"),
    [
        ("text", "conditions", "invalid"),
        (7, "conditions", "invalid"),
        (None, "conditions", "invalid"),
        ({"nope": 1}, "conditions.nope", "unknown_field"),
        ({"owner__password": "x"}, "conditions.owner__password", "unknown_field"),
        (
            {"assigned_to__password__startswith": "x"},
            "conditions.assigned_to__password__startswith",
            "unknown_field",
        ),
        ({"_connector": "OR"}, "conditions._connector", "unknown_field"),
        ({"_negated": True}, "conditions._negated", "unknown_field"),
        ({"search_text": "A"}, "conditions.search_text", "unknown_field"),
        ({"custom_fields": {"a": 1}}, "conditions.custom_fields", "unknown_field"),
        ({"custom_fields.nope": 1}, "conditions.custom_fields.nope", "unknown_field"),
        ({"status": "nope"}, "conditions.status", "invalid_choice"),
        ({"status": ""}, "conditions.status", "blank"),
        ({"status": None}, "conditions.status", "blank"),
        ({"status": []}, "conditions.status", "blank"),
        ({"status": ["new", ""]}, "conditions.status", "blank"),
        ({"status": ["new", None]}, "conditions.status", "blank"),
        ({"city": "   "}, "conditions.city", "blank"),
        ({"city": "\u200b"}, "conditions.city", "blank"),
        ({"city": "a\x00b"}, "conditions.city", "null_characters_not_allowed"),
        ({"city": ["Turin", {"a": 1}]}, "conditions.city", "invalid"),
        ({"tags": ["  "]}, "conditions.tags", "blank"),
        ({"lead_score": "x"}, "conditions.lead_score", "invalid"),
        ({"lead_score": 10**30}, "conditions.lead_score", "max_value"),
        ({"estimated_value": "NaN"}, "conditions.estimated_value", "invalid"),
        ({"estimated_value": True}, "conditions.estimated_value", "invalid"),
        ({"do_not_contact": "maybe"}, "conditions.do_not_contact", "invalid"),
        ({"owner": "me"}, "conditions.owner", "incorrect_type"),
        ({"owner": 10**19}, "conditions.owner", "incorrect_type"),
        (leaf("created_at", "eq", [1]), "conditions.created_at", "invalid"),
        (leaf("created_at", "eq", 5), "conditions.created_at", "invalid"),
        (leaf("created_at", "before", "some day"), "conditions.created_at", "invalid"),
        (leaf("created_at", "before", {"fortnights": 1}), "conditions.created_at", "invalid"),
        (leaf("created_at", "before", {}), "conditions.created_at", "invalid"),
        (leaf("created_at", "before", {"days": 1.5}), "conditions.created_at", "invalid"),
        (leaf("created_at", "before", {"days": True}), "conditions.created_at", "invalid"),
        (leaf("created_at", "before", {"weeks": 999_999}), "conditions.created_at", "invalid"),
        (leaf("created_at", "within_last", {"days": -1}), "conditions.created_at", "invalid"),
        (leaf("created_at", "within_last", 7), "conditions.created_at", "invalid"),
        (leaf("created_at", "between", ["2026-01-01"]), "conditions.created_at", "invalid"),
        (leaf("created_at", "between", "2026-01-01"), "conditions.created_at", "not_a_list"),
        (leaf("city", "lt", "A"), "conditions.city", "unknown_operator"),
        (leaf("city", ["eq"], "A"), "conditions.city", "unknown_operator"),
        (leaf("city", {"a": 1}, "A"), "conditions.city", "unknown_operator"),
        (leaf("city", None, "A"), "conditions.city", "unknown_operator"),
        (leaf("city", "regex", "(a+)+$"), "conditions.city", "unknown_operator"),
        (leaf("city", "contains", ""), "conditions.city", "blank"),
        (leaf("city", "contains", 5), "conditions.city", "invalid"),
        (leaf("city", "contains", "x" * 501), "conditions.city", "max_length"),
        (leaf("city", "in", "Turin"), "conditions.city", "not_a_list"),
        (leaf("city", "in", ["x"] * (MAX_LIST + 1)), "conditions.city", "max_length"),
        (leaf("city", "is_empty", "perhaps"), "conditions.city", "invalid"),
        (leaf("city", "is_empty", None), "conditions.city", "invalid"),
        (leaf("city", "changed", True), "conditions.city", "unknown_operator"),
        (leaf(["city"], "eq", "A"), "conditions.['city']", "unknown_field"),
        ({"field": "city"}, "conditions.city", "blank"),
        ({"field": "city", "value": "A", "weight": 2}, "conditions.city", "invalid"),
        ({"all": []}, "conditions.all", "invalid"),
        ({"any": {}}, "conditions.any", "invalid"),
        ({"all": [{"city": "A"}], "city": "B"}, "conditions", "invalid"),
        ({"any": [{}]}, "conditions.any[0]", "blank"),
        ({"not": {}}, "conditions.not", "blank"),
        ([[]], "conditions[0]", "blank"),
        ([{"city": "A"}, {}], "conditions[1]", "blank"),
        (
            {"any": [{"city": "A"}, {"not": {"status": "x"}}]},
            "conditions.any[1].not.status",
            "invalid_choice",
        ),
    ],
)
def test_a_fault_is_named_by_its_path(raw, path, code):
    assert faults(raw) == [(path, code)]


def test_all_faults_come_at_once():
    raw = {"all": [{"nope": 1}, {"city": ""}, {"status": "new"}, leaf("tags", "eq", "x")]}
    assert faults(raw, name="filter") == [
        ("filter.all[0].nope", "unknown_field"),
        ("filter.all[1].city", "blank"),
        ("filter.all[3].tags", "unknown_operator"),
    ]


def nested(depth):
    made = {"city": "Turin"}
    for _ in range(depth):
        made = {"not": made}
    return made


def test_conditions_nest_to_a_limit():
    parse(LEAD, nested(MAX_DEPTH))
    [(path, code)] = faults(nested(MAX_DEPTH + 1))
    assert (path, code) == ("conditions" + ".not" * (MAX_DEPTH + 1), "too_deep")


def test_even_absurd_nesting_is_refused_and_no_crash():
    assert [code for _, code in faults(nested(5_000))] == ["too_deep"]


def test_there_are_so_many_leaves_and_no_more():
    assert len(list(fields_of(parse(LEAD, [{"city": "A"}] * MAX_LEAVES)))) == MAX_LEAVES
    assert faults([{"city": "A"}] * (MAX_LEAVES + 1)) == [(f"conditions[{MAX_LEAVES}]", "too_many")]


def test_a_flood_of_faults_is_answered_with_a_few():
    assert len(faults([5] * 100_000)) == MAX_ISSUES


def test_unknown_fields_are_answered_with_the_known_ones():
    CustomFieldFactory(entity="lead", key="size", type="number")
    with pytest.raises(InvalidError) as caught:
        parse(LEAD, {"custom_fields.colour": "red"})
    assert "custom_fields.size" in caught.value.issues[0].message
    assert "created_at" in caught.value.issues[0].message


def test_custom_fields_are_typed_too():
    CustomFieldFactory(entity="lead", key="size", type="number")
    CustomFieldFactory(entity="contact", key="other", type="number")
    assert faults({"custom_fields.size": "big"}) == [("conditions.custom_fields.size", "invalid")]
    assert faults({"custom_fields.other": 1}) == [("conditions.custom_fields.other", "unknown_field")]
    parse(LEAD, {"custom_fields.size": 5})


def test_definitions_are_read_only_when_a_custom_field_is_spoken_of(django_assert_num_queries):
    with django_assert_num_queries(0):
        parse(LEAD, {"city": "Turin"})
    with django_assert_num_queries(1), pytest.raises(InvalidError):
        parse(LEAD, [{"custom_fields.a": 1}, {"custom_fields.b": 1}])


def test_aliases_are_understood():
    [found] = fields_of(parse(LEAD, {"source": "WEBSITE"}))
    assert (found.column.name, found.value) == ("lead_source", "website")


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("nope", "1", "unknown"),
        ("owner__password__startswith", "x", "unknown"),
        ("status", "", "blank"),
        ("status", "new,nope", "invalid_choice"),
        ("status__in", ",", "blank"),
        ("lead_score__gte", "1,2", "invalid"),
        ("lead_score__near", "5", "unknown_operator"),
        ("lead_score__", "5", "unknown_operator"),
        ("created_at__within_last", "7y", "invalid"),
        ("created_at__within_last", "d", "invalid"),
        ("created_at__within_last", "\u0667d", "invalid"),
        ("created_at__within_last", "99999999d", "invalid"),
        ("created_at__between", "2026-01-01", "invalid"),
        ("city", "x" * 5_001, "invalid"),
        ("city", "a\x00b", "invalid"),
        ("assigned_to_me", "", "invalid"),
        ("min_score", "", "invalid"),
        ("created_after", "soon", "invalid"),
    ],
)
def test_a_bad_filter_in_the_query_is_named(name, text, code, rep):
    with pytest.raises(InvalidError) as caught:
        rows_of({"city": "fine", name: text}, rep)
    assert [(i.field, i.code) for i in caught.value.issues] == [(name, code)]


def test_a_key_may_hold_two_underscores():
    CustomFieldFactory(entity="lead", key="net__worth", label="Net worth", type="number")
    lead = LeadFactory(first_name="Ada", custom_fields={"net__worth": 5})
    LeadFactory(first_name="Bob", custom_fields={"net__worth": 4})
    asked = {"custom_fields.net__worth": "5", "custom_fields.net__worth__gt": "1"}
    assert list(rows_of(asked)) == [lead]


ACME, OTHER, PART = "Acme, Inc.", "Other", "Acme"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("company_name=Acme, Inc.", [ACME]),
        ("company_name=Acme", [PART]),
        ("company_name=Acme, Inc.&company_name=Other", [ACME, OTHER]),
        ('company_name__in="Acme, Inc.",Other', [ACME, OTHER]),
        ("company_name__in=Acme,Other", [OTHER, PART]),
        ("company_name__in=Acme&company_name__in=Other", [OTHER, PART]),
        ('company_name__ne="Acme"', [ACME, OTHER, PART]),
        ("company_name__ne=Acme&company_name__ne=Other", [ACME]),
        ('company_name__not_in="Acme, Inc."', [OTHER, PART]),
        ("company_name__contains=, I", [ACME]),
        ("company_name__starts_with=Oth&company_name__starts_with=Acme,", [ACME, OTHER]),
        ('tags="a,b"', [ACME]),
        ("tags=a,b", [OTHER, PART]),
        ("tags__has_all=a,b", [PART]),
        ('custom_fields.colour="red, dark"', [ACME]),
        ("custom_fields.colour=red, dark", [ACME]),
        ("custom_fields.colour=red,blue", [OTHER, PART]),
        ("custom_fields.note=x, y", [OTHER]),
        ("status=new,contacted", [ACME, OTHER, PART]),
        ("status=new&status=contacted", [ACME, OTHER, PART]),
        ("company_size=1,3", [ACME, PART]),
    ],
)
def test_a_comma_in_a_text_is_a_comma(query, expected):
    for key, kind in {"colour": "choice", "note": "text"}.items():
        choices = ["red", "blue", "red, dark"] if kind == "choice" else []
        CustomFieldFactory(entity="lead", key=key, label=key, type=kind, choices=choices)
    made = {
        ACME: {"tags": ["a,b"], "custom_fields": {"colour": "red, dark"}, "company_size": 1},
        OTHER: {"tags": ["b"], "custom_fields": {"colour": "blue", "note": "x, y"}, "company_size": 2},
        PART: {"tags": ["a", "b"], "custom_fields": {"colour": "red"}, "company_size": 3},
    }
    for name, fields in made.items():
        LeadFactory(first_name="Ada", company_name=name, **fields)
    asked = rows_of(QueryDict(query))
    assert sorted(lead.company_name for lead in asked) == sorted(expected)


@pytest.mark.parametrize("text", ['"Acme', 'a,"b"c'])
def test_quotes_that_are_not_closed_are_refused(text):
    with pytest.raises(InvalidError) as caught:
        rows_of({"company_name__in": text})
    assert [(i.field, i.code) for i in caught.value.issues] == [("company_name__in", "invalid")]


# Of a day in Kiritimati (UTC+14): its first moment, its last, and those just beside it.
BEFORE, FIRST, LAST, AFTER = (
    datetime.fromisoformat(text)
    for text in (
        "2026-11-26T09:59:59.999999+00:00",
        "2026-11-26T10:00:00+00:00",
        "2026-11-27T09:59:59.999999+00:00",
        "2026-11-27T10:00:00+00:00",
    )
)
DAY_ASKED = [
    ("=2026-11-27", [FIRST, LAST]),
    ("__between=2026-11-27,2026-11-27", [FIRST, LAST]),
    ("__in=2026-11-27", [FIRST, LAST]),
    ("__ne=2026-11-27", [BEFORE, AFTER]),
    ("__not_in=2026-11-27", [BEFORE, AFTER]),
    ("__lt=2026-11-27", [BEFORE]),
    ("__before=2026-11-27", [BEFORE]),
    ("__lte=2026-11-27", [BEFORE, FIRST, LAST]),
    ("__gt=2026-11-27", [AFTER]),
    ("__after=2026-11-27", [AFTER]),
    ("__gte=2026-11-27", [FIRST, LAST, AFTER]),
    ("=today", [FIRST, LAST]),
    ("__lte=today", [BEFORE, FIRST, LAST]),
    ("__after=yesterday", [FIRST, LAST, AFTER]),
    ("__lt=0001-01-01", []),
    ("__lte=9999-12-31", [BEFORE, FIRST, LAST, AFTER]),
]


@pytest.mark.parametrize(("query", "expected"), DAY_ASKED)
@pytest.mark.parametrize("field", ["last_contacted_at", "custom_fields.seen"])
def test_a_date_is_that_whole_day_where_whoever_asks_lives(rep, field, query, expected):
    CustomFieldFactory(entity="lead", key="seen", label="Seen", type="datetime")
    for moment in (BEFORE, FIRST, LAST, AFTER):
        kept = {"seen": moment.isoformat()}
        LeadFactory(first_name="Ada", last_contacted_at=moment, custom_fields=kept)
    rep.time_zone = "Pacific/Kiritimati"
    with time_machine.travel("2026-11-26T12:00:00Z", tick=False):
        asked = rows_of(QueryDict(field + query), rep)
        assert sorted(lead.last_contacted_at for lead in asked) == expected


def test_today_is_the_day_of_whoever_asks(rep):
    pipeline = Pipeline.objects.get(is_default=True)
    days = [date(2026, 11, 26), date(2026, 11, 27)]
    _, wanted = (
        OpportunityFactory(name="Deal", pipeline=pipeline, stage="proposal", expected_close_date=day)
        for day in days
    )
    rep.time_zone = "Pacific/Kiritimati"
    with time_machine.travel("2026-11-26T12:00:00Z", tick=False):
        for asked in ({"expected_close_date": "today"}, {"conditions": '{"expected_close_date": "today"}'}):
            assert list(filterset_of(OPPORTUNITY)(asked, user=rep).checked) == [wanted]


def rows_of(params, user=None):
    return filterset_of(LEAD)(params, user=user).checked
