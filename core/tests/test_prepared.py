"""What is asked at every request is planned once for a connection."""

import pytest
from django.db import DEFAULT_DB_ALIAS, connection
from django.test.utils import CaptureQueriesContext

from core import prepared

pytestmark = pytest.mark.django_db
ASKED = "SELECT %s::bigint + 40"


def planned():
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%%+ 40'", [])
        return [statement for (statement,) in cursor.fetchall()]


def ask(value):
    with prepared.cursor(DEFAULT_DB_ALIAS) as cursor:
        cursor.execute(ASKED, [value])
        return cursor.fetchone()[0]


def test_what_is_often_executed_is_prepared_whatever_its_values_are():
    assert [ask(value) for value in range(10)] == list(range(40, 50))
    assert planned() == ["SELECT $1::bigint + 40"]


def test_what_is_executed_is_counted_like_any_other_statement():
    with CaptureQueriesContext(connection) as queries:
        ask(2)
    assert [query["sql"] for query in queries] == ["SELECT 2::bigint + 40"]
