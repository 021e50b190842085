import os
import secrets
import subprocess
import sys
from types import SimpleNamespace

import pytest
from django.db import connection

from backend.checks import check_roles, is_loopback, start_problems
from backend.testing.stacks import bare_environ

GOOD = {
    "PRODUCTION": True,
    "DEBUG": False,
    "SECRET_KEY": secrets.token_urlsafe(48),
    "JWT_SIGNING_KEY": secrets.token_urlsafe(48),
    "ALLOWED_HOSTS": ["crm.example.com"],
}
TOO_SHORT = "is too short or too plain: set at least 50 random characters."


def test_a_careful_configuration_has_no_problem():
    assert start_problems(SimpleNamespace(**GOOD)) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"SECRET_KEY": "k3" * 24}, f"SECRET_KEY {TOO_SHORT}"),
        ({"SECRET_KEY": "a" * 80}, f"SECRET_KEY {TOO_SHORT}"),
        (
            {"JWT_SIGNING_KEY": GOOD["SECRET_KEY"]},
            "JWT_SIGNING_KEY must not be SECRET_KEY: what signs tokens signs nothing else.",
        ),
        ({"JWT_SIGNING_KEY": "tiny"}, f"JWT_SIGNING_KEY {TOO_SHORT}"),
        (
            {"SECRET_KEY": "django-insecure-" + secrets.token_urlsafe(48)},
            "SECRET_KEY is an example: set a random one.",
        ),
        (
            {"SECRET_KEY": "your-secret-key-here-change-in-production-0123456789"},
            "SECRET_KEY is an example: set a random one.",
        ),
        (
            {"DEBUG": True},
            "DEBUG must be off in production: it shows settings and source to anyone who finds an error.",
        ),
        (
            {"ALLOWED_HOSTS": ["crm.example.com", "*"]},
            "ALLOWED_HOSTS must not be *: name the hosts that this server answers for.",
        ),
        ({"ALLOWED_HOSTS": []}, "ALLOWED_HOSTS must name the hosts that this server answers for."),
    ],
)
def test_each_unsafe_setting_of_production_is_named(change, sentence):
    assert start_problems(SimpleNamespace(**GOOD | change)) == [sentence]


def test_debugging_where_others_can_reach_is_refused_in_development_too():
    reachable = {"PRODUCTION": False, "DEBUG": True, "ALLOWED_HOSTS": ["127.0.0.1", "crm.local"]}
    assert start_problems(SimpleNamespace(**GOOD | reachable)) == [
        "DEBUG must be off when others can reach this server, and ALLOWED_HOSTS names crm.local."
    ]
    alone = reachable | {"ALLOWED_HOSTS": ["127.0.0.1", "localhost", "[::1]"], "SECRET_KEY": "short"}
    assert start_problems(SimpleNamespace(**GOOD | alone)) == []


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.8.9.1", True),
        ("[::1]", True),
        ("a.localhost", True),
        ("0.0.0.0", False),
        ("localhost.com", False),
    ],
)
def test_only_this_machine_is_loopback(host, answer):
    assert is_loopback(host) is answer


@pytest.mark.parametrize(
    "command",
    [
        ["-c", "import backend.asgi"],
        ["-c", "import backend.wsgi"],
        ["-m", "celery", "--quiet", "-A", "backend", "worker", "--pool=solo"],
        ["-m", "celery", "--quiet", "-A", "backend", "beat"],
    ],
    ids=["asgi", "wsgi", "worker", "beat"],
)
def test_no_process_of_production_starts_with_an_unsafe_setting(tmp_path, command):
    result = start(tmp_path, command, SECRET_KEY="short", JWT_SIGNING_KEY="tiny", ALLOWED_HOSTS="*")
    assert result.returncode == 1
    assert (
        f"Error: SECRET_KEY {TOO_SHORT} JWT_SIGNING_KEY {TOO_SHORT} ALLOWED_HOSTS must not be *"
        in result.stderr
    )
    assert "Traceback" not in result.stderr


def test_a_database_of_ones_own_means_production_which_has_no_default_secret(tmp_path):
    result = start(tmp_path, ["-c", "import backend.asgi"], CRM_ENV="")
    assert (result.returncode, result.stderr) == (1, "Error: SECRET_KEY must be set: a text is expected.\n")


def start(folder, command, **environ):
    servers = {
        "CRM_ENV": "production",
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "REDIS_URL": os.environ["REDIS_URL"],
    }
    return subprocess.run(
        [sys.executable, *command],
        env=bare_environ(folder, **servers | environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.django_db
def test_a_role_that_may_change_the_trail_is_named_where_the_database_is_asked(monkeypatch):
    assert check_roles(databases=None) == []
    [said] = check_roles(databases=["default"])  # tests run as a superuser
    assert said.id == "backend.W001"
    monkeypatch.setitem(connection.settings_dict, "USER", "pg_read_all_data")
    assert check_roles(databases=["default"]) == []
