"""How long a statement may take, by the kind of work; what takes longer is ended and told as such."""

import pytest
from django.db import OperationalError, connection, connections
from django.test import RequestFactory

from backend.postgresql import time_limits
from backend.postgresql.base import DatabaseWrapper
from backend.request_limits import RequestLimitsMiddleware
from core.accounts.models import Team
from core.changes import audit_context
from core.entities import entities
from core.transfer.exporting import export_of, stream

pytestmark = pytest.mark.django_db(transaction=True)
SLOW = "SELECT pg_sleep(5)"


@pytest.fixture(autouse=True)
def a_new_connection(monkeypatch):
    monkeypatch.setattr(DatabaseWrapper, "statement_seconds", 0)
    connection.close()
    yield
    connection.close()


def limit():
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


def test_there_is_none_for_what_people_run_by_hand():
    assert limit() == "0"


def test_requests_and_jobs_have_their_own(settings):
    settings.DATABASE_READ_TIMEOUT, settings.DATABASE_JOB_TIMEOUT = 7, 70
    time_limits.for_requests()
    assert limit() == "7s"
    connection.close()
    time_limits.for_jobs()
    assert limit() == "70s"


def test_a_pooler_in_transaction_mode_is_sent_no_parameter(settings, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    time_limits.for_requests()
    assert "options" not in connection.get_connection_params()
    assert limit() == "0"


def test_what_a_request_writes_has_a_limit_of_its_own_until_it_ends(settings, monkeypatch, api, make_user):
    settings.DATABASE_READ_TIMEOUT, settings.DATABASE_WRITE_TIMEOUT = 7, 70
    time_limits.for_requests()
    seen, save = [], Team.save
    monkeypatch.setattr(Team, "save", lambda self, **more: seen.append(limit()) or save(self, **more))
    assert api(make_user("admin")).post("/api/v1/teams/", {"name": "East"}).status_code == 201
    assert seen == ["70s"]
    assert limit() == "7s"


def test_work_that_says_nothing_keeps_what_its_process_has(settings):
    settings.DATABASE_JOB_TIMEOUT = 70
    time_limits.for_jobs()
    with audit_context(None):
        assert limit() == "70s"


def test_an_export_takes_as_long_as_its_reader(settings, make_user):
    settings.DATABASE_READ_TIMEOUT = 7
    time_limits.for_requests()
    blocks = stream(export_of(entities["lead"], {}, make_user("admin")), "default")
    next(blocks)
    assert limit() == "0"
    list(blocks)
    assert limit() == "7s"


@pytest.fixture
def slow_reads(settings, monkeypatch):
    """Reading users takes longer than a request may."""
    settings.DATABASE_READ_TIMEOUT = 0.2
    time_limits.for_requests()

    def visible(self):
        with connections["default"].cursor() as cursor:
            cursor.execute(SLOW)

    monkeypatch.setattr("core.accounts.api.views.UserViewSet.get_queryset", visible)


def test_a_read_that_takes_too_long_is_a_503_that_says_so(api, make_user, slow_reads):
    response = api(make_user("admin")).get("/api/v1/users/")
    assert (response.status_code, response.json()["type"]) == (503, "/problems/timeout")
    assert response["Retry-After"] == "30"
    assert "took longer" in response.json()["detail"]


def test_so_is_a_page(settings):
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 100")
        with pytest.raises(OperationalError) as caught:
            cursor.execute(SLOW)
    request = RequestFactory().get("/admin/")
    answer = RequestLimitsMiddleware(lambda request: None).process_exception(request, caught.value)
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    other = OperationalError("the server closed the connection")
    assert RequestLimitsMiddleware(lambda request: None).process_exception(request, other) is None
