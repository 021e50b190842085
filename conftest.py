"""The whole suite's ground: servers of its own, before Django's settings are read.

DJANGO_SETTINGS_MODULE is named here and not in pytest.ini, because pytest-django would read the settings
before this file has said where the servers are.
"""

import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings

if settings.configured:
    raise pytest.UsageError("unset DJANGO_SETTINGS_MODULE: conftest.py names it, once the servers are up")

sys.path.insert(0, str(Path(__file__).parent))

from backend.testing.servers import run_folder, running_postgres, running_valkey

pytest.register_assert_rewrite("tests.entity_api")
# On a busy machine every example takes long: that is no fault of a test.
hypothesis.settings.register_profile(
    "crm", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("crm")
collect_ignore = ["tests/contract"]  # speaks to a running server: see tests/test_contract.py

LONG_S = 200
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
_running = ExitStack()

if not WORKER:  # the first process; those of xdist inherit what it finds out
    _folder = _running.enter_context(run_folder())
    os.environ["CRM_TEST_FOLDER"] = str(_folder)
    os.environ["CRM_TEST_REDIS_URL"] = _running.enter_context(running_valkey(_folder)).url
_postgres = _running.enter_context(running_postgres(Path(os.environ["CRM_TEST_FOLDER"]), WORKER or "only"))

os.environ |= {
    "DJANGO_SETTINGS_MODULE": "backend.settings",
    "CRM_ENV": "development",
    "RATE_LIMIT_ENABLED": "0",  # tests of limits turn them on
    "DEBUG": "0",
    "DATABASE_URL": _postgres.superuser_url,
    "REDIS_URL": os.environ["CRM_TEST_REDIS_URL"].rsplit("/", 1)[0]
    + f"/{int(WORKER.removeprefix('gw') or 0)}",
    "SECRET_KEY": secrets.token_urlsafe(48),
    "CRM_DATA_DIR": tempfile.mkdtemp(prefix="data-", dir=os.environ["CRM_TEST_FOLDER"]),
}

settings.DATABASES["default"]["ENGINE"] = "backend.testing.engine"
settings.PASSWORD_HASHERS.insert(
    0, "django.contrib.auth.hashers.MD5PasswordHasher"
)  # fast; argon2 has its own test
del os.environ[
    "DJANGO_SETTINGS_MODULE"
]  # read by now; a test process of xdist that inherited it would read too early


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first: begun last, everyone would wait for them. The others stay as pytest-django has
    them, those that empty the tables behind those that need what migrations put there."""
    items.sort(key=lambda item: -_minutes(item))


def _minutes(item: pytest.Item) -> float:
    """How long a test without the suite's database may take, where that is long."""
    marker = item.get_closest_marker("timeout")
    seconds = marker.args[0] if marker and item.get_closest_marker("django_db") is None else 0
    return seconds / 60 if seconds >= LONG_S else 0


def pytest_unconfigure(config: pytest.Config) -> None:
    _running.close()


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """In place of pytest-django's: the database has its tables already (backend/testing/template.py)."""


@pytest.fixture(autouse=True)
def users_numbered_from_one() -> None:
    """The first user of each test is rep1 or admin1: names sort alike in whatever order tests run."""
    from core.accounts.tests.factories import UserFactory  # models can be imported once Django is set up

    UserFactory.reset_sequence(1)


@pytest.fixture
def make_user(db: None) -> Callable[..., Any]:
    """make_user(role="rep", **fields) → a stored user."""
    from core.accounts.tests.factories import UserFactory

    def make(role: str = "rep", **fields: Any) -> Any:
        return UserFactory(role=role, **fields)

    return make


@pytest.fixture
def admin_user(make_user: Callable[..., Any]) -> Any:
    return make_user("admin")


@pytest.fixture
def rep(make_user: Callable[..., Any]) -> Any:
    return make_user("rep")


@pytest.fixture
def api() -> Callable[..., Any]:
    """api(user) → a client that is signed in as the user, with the rights that their role has by then."""
    from rest_framework.test import APIClient

    from core.entities.field_rights import rights_of

    def client(user: Any = None) -> APIClient:
        made = APIClient()
        if user is not None:
            rights_of(user)
            made.force_authenticate(user)
        return made

    return client


@pytest.fixture
def admin(api: Callable[..., Any], admin_user: Any) -> Any:
    """A client signed in as an administrator."""
    return api(admin_user)


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """at_once(work, work, …) → what each gave back, all of them started together in threads of their own."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    from django.db import connections

    def run(*works: Callable[[], Any]) -> list[Any]:
        start = Barrier(len(works))

        def one(work: Callable[[], Any]) -> Any:
            start.wait(20)
            try:
                return work()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(works)) as pool:
            return list(pool.map(one, works))

    return run
