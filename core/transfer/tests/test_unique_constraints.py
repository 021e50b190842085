"""Rows that a unique constraint over several fields refuses."""

import pytest
from django.db import connection, models

from contacts.models import Company
from contacts.tests.factories import CompanyFactory
from core.models.uniqueness import TAKEN
from core.transfer.tests.uploads import upload

pytestmark = pytest.mark.django_db
COLUMNS = {"Firm": "name", "Place": "city"}


@pytest.fixture
def one_company_per_city(monkeypatch):
    """A UniqueConstraint over two fields, in the database and in the model."""
    constraint = models.UniqueConstraint(fields=["name", "city"], name="company_once_per_city")
    with connection.schema_editor() as editor:
        editor.add_constraint(Company, constraint)
    monkeypatch.setattr(Company._meta, "constraints", [*Company._meta.constraints, constraint])


def load(admin, text, **options):
    options = {"mapping": COLUMNS, "duplicates": "create"} | options
    return upload(admin, text, "companies", **options).json()


def faults(body):
    return [
        (error["row"], error["column"], error["field"], error["code"], error["message"])
        for detail in body["error_details"]
        for error in detail["errors"]
    ]


@pytest.mark.usefixtures("one_company_per_city")
def test_a_row_that_breaks_it_names_every_field_of_it(admin):
    CompanyFactory(name="Acme", city="Oslo")
    body = load(admin, "Firm,Place\nAcme,Rome\nAcme,Oslo\nBeta,Oslo\n")
    assert (body["created"], body["failed"]) == (2, 1), body
    assert faults(body) == [
        (3, "Firm", "name", "unique", TAKEN),
        (3, "Place", "city", "unique", TAKEN),
    ]
    assert sorted(Company.objects.values_list("name", "city")) == [
        ("Acme", "Oslo"), ("Acme", "Rome"), ("Beta", "Oslo"),
    ]  # fmt: skip


@pytest.mark.usefixtures("one_company_per_city")
def test_two_rows_that_break_it_together_leave_the_first(admin):
    body = load(admin, "Firm,Place\nAcme,Oslo\nAcme,Oslo\nAcme,Oslo\n")
    assert (body["created"], body["failed"]) == (1, 2), body
    assert [fault[:4] for fault in faults(body)] == [
        (3, "Firm", "name", "unique"), (3, "Place", "city", "unique"),
        (4, "Firm", "name", "unique"), (4, "Place", "city", "unique"),
    ]  # fmt: skip


@pytest.mark.usefixtures("one_company_per_city")
def test_an_update_that_would_break_it_changes_nothing(admin):
    CompanyFactory(name="Acme", city="Oslo")
    moved = CompanyFactory(name="Acme", city="Rome")
    text = f"Id,Firm,Place\n{moved.pk},Acme,Oslo\n"
    body = load(admin, text, mapping={"Id": "id", **COLUMNS}, duplicates="update")
    assert (body["updated"], body["failed"]) == (0, 1), body
    assert [fault[2:4] for fault in faults(body)] == [("name", "unique"), ("city", "unique")]
    moved.refresh_from_db()
    assert moved.city == "Rome"


@pytest.mark.usefixtures("one_company_per_city")
def test_all_rows_or_none_writes_none(admin):
    CompanyFactory(name="Acme", city="Oslo")
    body = load(admin, "Firm,Place\nBeta,Rome\nAcme,Oslo\n", skip_errors="false")
    assert body["success"] is False
    assert list(Company.objects.values_list("name", "city")) == [("Acme", "Oslo")]
