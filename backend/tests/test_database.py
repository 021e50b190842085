import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from backend.database import database_settings
from backend.env import ConfigurationError


@pytest.mark.django_db
def test_every_connection_says_that_it_is_the_application():
    with connection.cursor() as cursor:
        cursor.execute("SHOW application_name")
        assert cursor.fetchone() == ("crm",)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", [1, 2])
def test_a_transactional_test_finds_empty_tables_although_changes_refuse_to_be_removed(round_):
    assert get_user_model().objects.count() == 0
    get_user_model().objects.create_user(username="ann", email="ann@example.com", password="a long password")


def test_a_url_is_taken_apart_with_its_escapes_and_options():
    found = database_settings("postgresql://us%40er:p%2Fw@db.example:6543/name?sslmode=require", pool_size=4)
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"], found["NAME"]) == (
        "us@er",
        "p/w",
        "db.example",
        "6543",
        "name",
    )
    assert found["OPTIONS"] == {
        "sslmode": "require",
        "application_name": "crm",
        "connect_timeout": 5,
        "pool": {"min_size": 1, "max_size": 4, "timeout": 10},
    }
    assert found["CONN_MAX_AGE"] == 0


def test_behind_pgbouncer_nothing_is_bound_to_a_session():
    found = database_settings("postgresql://db/name", pgbouncer=True)
    assert found["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert found["OPTIONS"]["prepare_threshold"] is None


def test_a_url_that_libpq_does_not_understand_is_named_without_its_password():
    with pytest.raises(ConfigurationError) as problem:
        database_settings("postgresql://user:hunter2@host:5432/name?nonsense=1")
    assert str(problem.value) == (
        "DATABASE_URL is not understood: postgresql://user:password@host:5432/name is expected."
    )
