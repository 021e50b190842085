"""Finding stored records by the keys of a file: by an index for every key that entities are matched by."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from contacts.models import Company
from core.entities import entities
from core.transfer.headers import headers_of
from core.transfer.matching import Matcher

pytestmark = pytest.mark.django_db
MANY = 5_000
TABLES = {
    "company": "contacts_company (name, domain, external_id)"
    " SELECT 'Company ' || n, 'c' || n || '.example', 'x' || n",
    "contact": "contacts_contact (first_name, email, external_id)"
    " SELECT 'Ada', 'c' || n || '@crm.example', 'x' || n",
    "lead": "lead_management_lead (first_name, email, external_id)"
    " SELECT 'Ada', 'c' || n || '@crm.example', 'x' || n",
    "opportunity": "opportunities_opportunity (name, pipeline_id, stage, external_id)"
    " SELECT 'Deal ' || n, (SELECT min(id) FROM opportunities_pipeline), 'proposal', 'x' || n",
    "task": "tasks_task (title, external_id) SELECT 'Call', 'x' || n",
}
VALUES = {
    "name": "COMPANY 4000",
    "domain": "c4000.example",
    "email": "c4000@crm.example",
    "external_id": "x4000",
}
KEYS = [
    ("company", "external_id"), ("company", "domain"), ("company", "name"), ("contact", "external_id"),
    ("contact", "email"), ("lead", "external_id"), ("lead", "email"), ("opportunity", "external_id"),
    ("task", "external_id"),
]  # fmt: skip


@pytest.fixture
def filled(db):
    def fill(name):
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {TABLES[name]} FROM generate_series(1, {MANY}) n")
            cursor.execute(f"ANALYZE {entities[name].model._meta.db_table}")

    return fill


def plan_of(queries):
    sql = next(q["sql"] for q in queries if "wanted" in q["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(row[0] for row in cursor.fetchall())


def test_every_key_of_every_entity_is_among_the_tested():
    assert {(name, key) for name in TABLES for key in headers_of[name].match_on} == set(KEYS)
    assert {entity.name for entity in entities} == set(TABLES)


@pytest.mark.parametrize(("name", "key"), KEYS)
def test_a_key_is_looked_up_by_an_index(filled, name, key):
    filled(name)
    matcher = Matcher(entities[name], [entities[name].by_name[key]], None, for_update=False)
    keys = matcher.keys({key: VALUES[key]}, {})
    with CaptureQueriesContext(connection) as queries:
        found = matcher.find([keys])
    [[record]] = found.values()
    assert record["external_id"] == "x4000"
    plan = plan_of(queries)
    assert re.search(r"Index Scan|Index Only Scan|Bitmap Index Scan", plan), plan
    assert "Seq Scan" not in plan, plan


def test_without_an_index_all_keys_are_asked_for_together(filled):
    filled("company")
    Company.objects.filter(name__in=["Company 1", "Company 2"]).update(city="Zürich")
    matcher = Matcher(entities["company"], [entities["company"].by_name["city"]], None, for_update=False)
    keys = [matcher.keys({"city": city}, {}) for city in ("ZURICH", "Nowhere", "zürich")]
    with CaptureQueriesContext(connection) as queries:
        found = matcher.find(keys)
    assert [len(records) for records in found.values()] == [2]
    assert not [q["sql"] for q in queries if "LATERAL" in q["sql"]]


def test_a_domain_is_one_however_it_is_written(admin):
    admin.post("/api/v1/companies/", {"name": "One", "domain": "https://www.One.example/x"}, format="json")
    for written in ("one.example", "WWW.ONE.EXAMPLE", "info@one.example"):
        file = SimpleUploadedFile("companies.csv", f"Company,Domain\nUno,{written}\n".encode())
        answer = admin.post("/api/v1/import/companies/", {"file": file}, format="multipart")
        assert answer.status_code in (200, 201, 202), answer.json()
    assert list(Company.objects.values_list("domain", flat=True)) == ["one.example"]
