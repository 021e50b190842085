"""Rows of a file that rules about duplicates refuse or warn of."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from contacts.models import Company
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.duplicates.tests.factories import DuplicateRuleFactory
from core.transfer.tests.uploads import upload
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


def faults(body):
    return [
        (error["row"], error["column"], error["code"], error["message"])
        for detail in body["error_details"]
        for error in detail["errors"]
    ]


def test_rows_that_a_rule_refuses_are_reported_with_the_reason(api, rep, make_user):
    rule = DuplicateRuleFactory(compare="phone")
    known = LeadFactory(first_name="Ada", last_name="Byron", phone="+14155552671", owner=rep)
    LeadFactory(phone="+14155559999", owner=make_user("rep"))
    text = (
        "First name,Last name,Email,Phone\n"
        "A,One,a@x.example,(415) 555-2671\n"
        "B,Two,b@x.example,+14155559999\n"
        "C,Three,c@x.example,+14155550001\n"
        "D,Four,d@x.example,(415) 555-0001\n"
        "E,Five,e@x.example,+14155550002\n"
    )
    body = upload(api(rep), text).json()
    assert (body["created"], body["failed"]) == (2, 3), body
    named = f"lead Ada Byron ({known.pk})"
    assert faults(body) == [
        (2, "Phone", "possible_duplicate", f"{rule.name}: possible duplicate of {named}."),
        (3, "Phone", "possible_duplicate", f"{rule.name}: someone else has this."),
        (5, "Phone", "possible_duplicate", f"{rule.name}: possible duplicate of row 4."),
    ]  # fmt: skip
    made = Lead.objects.filter(owner=rep).exclude(pk=known.pk).order_by("id")
    assert list(made.values_list("first_name", flat=True)) == ["C", "E"]


def test_a_row_that_is_the_same_as_a_refused_one_alone_comes_in(admin):
    DuplicateRuleFactory()
    DuplicateRuleFactory(compare="phone")
    LeadFactory(email="a@x.example")
    text = "First name,Email,Phone\nA,a@x.example,+14155550001\nB,b@x.example,+14155550001\n"
    body = upload(admin, text, duplicates="create").json()
    assert (body["created"], body["failed"]) == (1, 1), body
    assert Lead.objects.latest("id").first_name == "B"


def test_rows_that_a_rule_warns_of_come_in_with_a_warning(admin):
    rule = DuplicateRuleFactory(on_create="warn", across="contact")
    ContactFactory(first_name="Ada", last_name="Byron", email="a@x.example")
    body = upload(admin, "First name,Email\nA,a@x.example\nB,b@x.example\n").json()
    assert (body["created"], body["failed"]) == (2, 0), body
    [row] = body["warning_details"]
    named = f"{rule.name}: possible duplicate of contact Ada Byron ("
    assert [(e["field"], e["code"]) for e in row["errors"]] == [("email", "possible_duplicate")]
    assert row["errors"][0]["message"].startswith(named)


def test_a_company_made_by_name_goes_by_the_rules(api, rep, make_user):
    DuplicateRuleFactory(entity="company", compare="name")
    CompanyFactory(name="Acme", owner=make_user("rep"))
    text = "First name,Company\nA,Acme\n"
    body = upload(api(rep), text, "contacts", create_missing=True).json()
    assert body["created"] == 1, body
    assert Company.objects.count() == 1


def test_the_statements_do_not_grow_with_the_rows(admin):
    DuplicateRuleFactory()
    DuplicateRuleFactory(compare="phone", on_create="warn")
    counts = []
    for count in (2, 40):
        rows = "".join(f"P{n},{count}-{n}@x.example,+1415{count:03d}{n:04d}\n" for n in range(count))
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert upload(admin, f"First name,Email,Phone\n{rows}").json()["created"] == count
        counts.append(len(captured))
    assert counts[0] == counts[1]
