import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections

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
    found = database_settings("postgresql://us%40er:p%2Fw@db.example:6543/name?sslmode=require")
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
        "prepare_threshold": 5,
    }


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


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_has_ended_is_noticed_without_asking_it():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        process = cursor.fetchone()[0]
    assert connection.is_usable()
    with psycopg.connect(
        **connection.get_connection_params() | {"autocommit": True, "context": None}
    ) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [process])
    assert not connection.is_usable()
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_connection_with_something_to_read_is_usable_while_its_server_answers():
    with connection.cursor() as cursor:
        cursor.execute("LISTEN something")
    with psycopg.connect(
        **connection.get_connection_params() | {"autocommit": True, "context": None}
    ) as other:
        other.execute("NOTIFY something")
    try:
        assert connection.is_usable()
    finally:
        connection.close()


def test_a_closed_connection_is_not_usable():
    assert not connections.create_connection("default").is_usable()
