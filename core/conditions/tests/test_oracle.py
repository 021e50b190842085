"""Conditions against an oracle: the same question asked of Python, over rows and trees made at random."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts.entity import CONTACT
from contacts.models import Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.conditions import parse, record_q
from core.conditions.filters import filterset_of
from core.conditions.related import related_column
from core.customization.tests.factories import CustomFieldFactory
from core.entities.custom import field_type_of
from core.entities.field_types.base import DATED, ORDERED, TEXTUAL
from core.entities.models import CustomField
from core.models.folding import fold
from lead_management.entity import LEAD
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.entity import OPPORTUNITY
from opportunities.models import Opportunity
from opportunities.tests.factories import OpportunityFactory

pytestmark = pytest.mark.django_db
checked = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# Field → the values it takes; None is "no value". Small sets, so that comparisons meet equal values.
TEXTS = ["", "Ada", "ada", "Adam", "%", "a_b", "Ünal", "unal", "x\\y"]
NUMBERS = [None, Decimal("-1.50"), Decimal("0"), Decimal("2.25"), Decimal("2.26")]
MOMENTS = [None, *(datetime(2026, 1, 31, h, tzinfo=UTC) for h in (0, 9, 12, 23))]
DATES = [None, *(date(2026, 1, d) for d in (1, 15, 31))]
TAGS = [[], ["vip"], ["vip", "east"], ["west"]]

FIELDS = {
    "city": TEXTS,
    "status": ["new", "contacted", "lost"],
    "company_size": [None, 0, 1, 50, 51],
    "estimated_value": [None, Decimal("0.00"), Decimal("10.50"), Decimal("99.99")],
    "next_follow_up_at": MOMENTS,
    "do_not_contact": [True, False],
    "conversion_probability": [None, 0.0, 0.25, 1.0],
    "tags": TAGS,
    "is_hot": [True, False],
    "custom_fields.label": ["", "red", "Red", "blue"],
    "custom_fields.size": NUMBERS,
    "custom_fields.signed": DATES,
    "custom_fields.seen": MOMENTS,
    "custom_fields.partner": [None, True, False],
    "custom_fields.colours": [[], ["red"], ["red", "blue"]],
}
DEFINED = {
    "label": "text",
    "size": "number",
    "signed": "date",
    "seen": "datetime",
    "partner": "boolean",
    "colours": "multi_choice",
}


def empty(value):
    return value is None or value in ("", [])


def like(test):
    return lambda have, want: not empty(have) and test(fold(have), fold(want))


def ordered(test):
    return lambda have, want: have is not None and test(have, want)


ORACLE = {
    "eq": lambda have, want: have == want and not empty(have),
    "ne": lambda have, want: have != want or empty(have),
    "in": lambda have, want: have in want,
    "not_in": lambda have, want: have not in want,
    "lt": ordered(lambda a, b: a < b),
    "lte": ordered(lambda a, b: a <= b),
    "gt": ordered(lambda a, b: a > b),
    "gte": ordered(lambda a, b: a >= b),
    "before": ordered(lambda a, b: a < b),
    "after": ordered(lambda a, b: a > b),
    "between": ordered(lambda a, ends: ends[0] <= a <= ends[1]),
    "contains": like(lambda a, b: b in a),
    "starts_with": like(str.startswith),
    "ends_with": like(str.endswith),
    "has_any": lambda have, want: bool(set(have) & set(want)),
    "has_all": lambda have, want: set(have) >= set(want),
    "has_none": lambda have, want: not set(have) & set(want),
    "is_empty": lambda have, want: empty(have) == want,
}
LISTS = {"in", "not_in", "has_any", "has_all", "has_none"}
MANY = ("tags", "custom_fields.colours", "company.tags")


def operators(field):
    kind = schema_kind(field)
    return [op for op in kind.operators if op in ORACLE]


def schema_kind(field):
    if field.startswith(("company.", "owner.")):
        return related_kind(field)
    if field in LEAD.by_name:
        return LEAD.by_name[field].field_type
    choices = ["red", "blue"] if field == "custom_fields.colours" else []
    return field_type_of(CustomField(type=DEFINED[field.partition(".")[2]], choices=choices))


def plain(value):
    """As a client would send it."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


@st.composite
def leaves(draw, fields=FIELDS):
    field = draw(st.sampled_from(sorted(fields)))
    op = draw(st.sampled_from(operators(field)))
    values = [v for v in fields[field] if not empty(v)]
    if field in MANY:
        values = sorted({item for value in values for item in value})
    one = st.sampled_from(values)
    if op == "is_empty":
        value = draw(st.booleans())
    elif op in LISTS:
        value = draw(st.lists(one, min_size=1, max_size=3, unique=True))
    elif op == "between":
        value = [draw(one), draw(one)]
    else:
        value = draw(one)
    return {"field": field, "op": op, "value": value}


def trees_of(leaf):
    return st.recursive(
        leaf,
        lambda below: st.one_of(
            st.lists(below, min_size=1, max_size=3).map(lambda c: {"all": c}),
            st.lists(below, min_size=1, max_size=3).map(lambda c: {"any": c}),
            below.map(lambda c: {"not": c}),
        ),
        max_leaves=5,
    )


trees = trees_of(leaves())


def holds(tree, row):
    if "all" in tree:
        return all(holds(child, row) for child in tree["all"])
    if "any" in tree:
        return any(holds(child, row) for child in tree["any"])
    if "not" in tree:
        return not holds(tree["not"], row)
    return ORACLE[tree["op"]](row[tree["field"]], tree["value"])


def sent(tree):
    for word in ("all", "any"):
        if word in tree:
            return {word: [sent(child) for child in tree[word]]}
    return {"not": sent(tree["not"])} if "not" in tree else tree | {"value": plain(tree["value"])}


@pytest.fixture
def rows(db):
    """Sixty leads whose fields go through all their values at different paces: {id: field → value}."""
    CustomField.objects.bulk_create(
        CustomField(
            entity="lead", key=key, label=key, type=kind, choices=["red", "blue"] if key == "colours" else []
        )
        for key, kind in DEFINED.items()
    )
    made, known = [], []
    for i in range(60):
        row = {
            f: values[(i * (n + 1) + i // 7) % len(values)] for n, (f, values) in enumerate(FIELDS.items())
        }
        custom = {f.partition(".")[2]: v for f, v in row.items() if f.startswith("custom_fields.")}
        stored = {f: v for f, v in row.items() if not f.startswith("custom_fields.") and f != "is_hot"}
        kept = {key: stored_json(key, value) for key, value in custom.items() if not empty(value)}
        made.append(
            Lead(first_name=str(i), lead_score=90 if row["is_hot"] else 10, custom_fields=kept, **stored)
        )
        known.append(row | {"is_hot": row["is_hot"] and row["status"] != "lost"})
    return {lead.pk: row for lead, row in zip(Lead.objects.bulk_create(made), known, strict=True)}


def stored_json(key, value):
    return schema_kind(f"custom_fields.{key}").to_representation(value)


def found(raw):
    return set(Lead.objects.filter(record_q(parse(LEAD, raw), user=None)).values_list("pk", flat=True))


@checked
@given(tree=leaves())
def test_each_operator_of_each_kind_agrees_with_the_oracle(rows, tree):
    assert found(sent(tree)) == {pk for pk, row in rows.items() if holds(tree, row)}


@checked
@given(tree=trees)
def test_trees_agree_with_the_oracle(rows, tree):
    assert found(sent(tree)) == {pk for pk, row in rows.items() if holds(tree, row)}


@checked
@given(tree=trees)
def test_not_is_what_the_condition_leaves_over(rows, tree):
    assert found({"not": sent(tree)}) == set(rows) - found(sent(tree))


@checked
@given(tree=leaves())
def test_a_query_string_asks_the_same_as_a_condition(rows, tree):
    field, op, value = tree["field"], tree["op"], tree["value"]
    words = words_of(value)
    text = quoted(words) if op in LISTS else ",".join(words)
    asked = filterset_of(LEAD)({f"{field}__{op}": text}).checked
    assert set(asked.values_list("pk", flat=True)) == found(sent(tree))


def words_of(value):
    values = value if isinstance(value, list) else [value]
    return [str(plain(v)).lower() if isinstance(v, bool) else str(plain(v)) for v in values]


def quoted(words):
    """As CSV: a comma in a word is none between two."""
    return ",".join(f'"{word}"' if "," in word else word for word in words)


# Of contacts, one reference away; "city" is the contact's own.
RELATED = {
    "city": TEXTS,
    "company.city": TEXTS,
    "company.company_size": [None, 0, 1, 50, 51],
    "company.annual_revenue": [None, Decimal("0.00"), Decimal("10.50"), Decimal("99.99")],
    "company.tags": TAGS,
    "company.custom_fields.size": NUMBERS,
    "company.custom_fields.seen": MOMENTS,
    "owner.first_name": TEXTS,
    "owner.is_active": [True, False],
}


def related_kind(field):
    if field.startswith("company.custom_fields"):
        return schema_kind(field.partition(".")[2])
    return related_column(CONTACT.by_name, field).field_type


@pytest.fixture
def contacts(db, rep, make_user):
    """Forty contacts of eight companies, of which the rep sees every other one, of none, and of four people:
    {id: field → the value that the rep may know}."""
    for key in ("size", "seen"):
        CustomFieldFactory(entity="company", key=key, label=key, type=DEFINED[key])
    far = {f: values for f, values in RELATED.items() if f.startswith("company.")}
    companies, people = [None], [None]
    for i in range(8):
        row = {f: values[(i * (n + 1)) % len(values)] for n, (f, values) in enumerate(far.items())}
        plain_ = {f.partition(".")[2]: v for f, v in row.items()}
        custom = {f.partition(".")[2]: plain_.pop(f) for f in list(plain_) if f.startswith("custom_fields.")}
        kept = {key: stored_json(key, value) for key, value in custom.items() if not empty(value)}
        owner = rep if i % 2 else None
        companies.append((CompanyFactory(owner=owner, custom_fields=kept, **plain_), row if owner else None))
    for i, name in enumerate(("Ada", "", "Ünal")):
        user = make_user("rep", first_name=name, is_active=i != 2)
        people.append((user, {"owner.first_name": name, "owner.is_active": user.is_active}))
    known = {}
    nothing = {f: [] if f in MANY else None for f in RELATED}
    for i in range(40):
        company, person = companies[i % 9], people[i % 4]
        made = ContactFactory(
            city=TEXTS[i % len(TEXTS)], company=company and company[0], owner=person and person[0]
        )
        seen = ((company and company[1]) or {}) | (person[1] if person else {})
        known[made.pk] = nothing | seen | {"city": made.city}
    return known


def asked_by(user, raw):
    rows = Contact.objects.filter(record_q(parse(CONTACT, raw), user=user))
    return set(rows.values_list("pk", flat=True))


@checked
@given(tree=trees_of(leaves(RELATED)))
def test_trees_over_references_agree_with_the_oracle_of_what_is_seen(contacts, rep, tree):
    assert asked_by(rep, sent(tree)) == {pk for pk, row in contacts.items() if holds(tree, row)}


@checked
@given(tree=leaves({f: values for f, values in RELATED.items() if f != "city"}))
def test_a_query_string_asks_the_same_across_a_reference(contacts, rep, tree):
    name, words = tree["field"].replace(".", "__", 1), words_of(tree["value"])
    text = quoted(words) if tree["op"] in LISTS else ",".join(words)
    found_ = filterset_of(CONTACT)({f"{name}__{tree['op']}": text}, user=rep).checked
    assert set(found_.values_list("pk", flat=True)) == asked_by(rep, sent(tree))


def test_every_operator_of_every_kind_was_among_the_questions():
    """So that a new kind or operator cannot pass these tests by not being asked."""
    asked = {op for field in FIELDS for op in operators(field)}
    relative = {"within_last", "within_next"}
    assert asked == set(ORACLE)
    assert {*DATED, *ORDERED, *TEXTUAL} - relative <= set(ORACLE)


def test_the_guides_equality_map_means_all_of_them(rows):
    assert found({"status": "NEW", "tags": ["vip"]}) == {
        pk for pk, row in rows.items() if row["status"] == "new" and "vip" in row["tags"]
    }
    assert found({"status": ["new", "lost"]}) == {
        pk for pk, row in rows.items() if row["status"] in ("new", "lost")
    }
    assert found({"tags": "east"}) == {pk for pk, row in rows.items() if "east" in row["tags"]}
    assert found([{"status": "new"}, {"city": "Ada"}]) == {
        pk for pk, row in rows.items() if row["status"] == "new" and row["city"] == "Ada"
    }
    assert found({}) == set(rows)


def test_a_derived_column_is_compared_like_a_stored_one(db):
    deals = [
        OpportunityFactory(name=str(a), stage="proposal", amount=a, probability=50) for a in (None, 100, 300)
    ]

    def asked(raw):
        rows = Opportunity.objects.filter(record_q(parse(OPPORTUNITY, raw), user=None)).order_by("pk")
        return [deals.index(row) for row in rows]

    more = {"field": "weighted_amount", "op": "gte", "value": "100"}
    assert asked(more) == [2]
    assert asked({"not": more}) == [0, 1]
    assert asked({"field": "weighted_amount", "op": "ne", "value": "50"}) == [0, 2]


def test_a_custom_value_that_plain_sql_left_unreadable_counts_as_none(rows):
    broken = next(iter(rows))
    Lead.objects.filter(pk=broken).update(custom_fields={"size": "not a number", "signed": "2026-99-99"})
    assert broken not in found({"field": "custom_fields.size", "op": "gt", "value": -100})
    assert broken not in found({"field": "custom_fields.signed", "op": "after", "value": "1900-01-01"})


def test_within_spans_and_relative_moments_follow_the_clock(db):
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    offsets = {"now": 0, "-1h": -1, "-25h": -25, "-13h": -13, "+1h": 1, "+13h": 13, "+37h": 37}
    for name, hours in offsets.items():
        LeadFactory(first_name=name, next_follow_up_at=noon + timedelta(hours=hours))
    LeadFactory(first_name="never")

    def asked(op, value):
        raw = {"field": "next_follow_up_at", "op": op, "value": value}
        with time_machine.travel(noon, tick=False):
            rows = Lead.objects.filter(record_q(parse(LEAD, raw), user=None))
            return set(rows.values_list("first_name", flat=True))

    assert asked("within_last", {"hours": 2}) == {"now", "-1h"}
    assert asked("within_last", {"days": 1}) == {"now", "-1h", "-13h"}
    assert asked("within_next", {"hours": 13}) == {"now", "+1h", "+13h"}
    assert asked("before", "now") == {"-1h", "-13h", "-25h"}
    assert asked("before", "today") == {"-13h", "-25h"}
    assert asked("before", "yesterday") == set()
    assert asked("after", "tomorrow") == {"+37h"}  # a day is whole: what comes after it comes after its end
    assert asked("after", {"days": 1}) == {"+37h"}
    assert asked("gte", {"hours": -1}) == {"now", "-1h", "+1h", "+13h", "+37h"}
    assert asked("eq", "now") == {"now"}
    assert asked("ne", "now") == {*offsets, "never"} - {"now"}


def test_spans_of_days_speak_of_dates_in_a_date_column(db):
    CustomFieldFactory(entity="lead", key="signed", type="date")
    for day in (1, 8, 15, 16):
        LeadFactory(first_name=str(day), custom_fields={"signed": f"2026-03-{day:02}"})
    with time_machine.travel(datetime(2026, 3, 15, 23, 30, tzinfo=UTC), tick=False):
        leaf = {"field": "custom_fields.signed", "op": "within_last", "value": {"days": 7}}
        names = Lead.objects.filter(record_q(parse(LEAD, leaf), user=None)).values_list(
            "first_name", flat=True
        )
        assert set(names) == {"8", "15"}
        asked = filterset_of(LEAD)({"custom_fields.signed__within_next": "1d"}).checked
        assert set(asked.values_list("first_name", flat=True)) == {"15", "16"}
