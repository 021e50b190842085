"""Commands as a developer types them: in a second terminal, and from inside the backend folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from backend.development.defaults import command_defaults
from backend.env import BASE_DIR

# What would say otherwise, and what the tests themselves run with.
OURS = ("DATABASE_URL", "CRM_ENV", "DEBUG", "DJANGO_SETTINGS_MODULE", "CRM_WEB_HOST", "CRM_WEB_PORT")


@pytest.fixture
def bare(monkeypatch):
    for name in OURS:
        monkeypatch.delenv(name, raising=False)


def settings_of(monkeypatch, **environ):
    """DEBUG and the mail backend that `manage.py` finds."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "manage.py", "diffsettings", "--all"]
    done = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=True)
    found = dict(
        line.removeprefix("### ").split(" = ", 1) for line in done.stdout.splitlines() if " = " in line
    )
    return found["DEBUG"], found["EMAIL_BACKEND"]


def test_a_second_terminal_is_on_the_terms_of_make_run(bare, monkeypatch):
    assert settings_of(monkeypatch) == ("True", "'backend.development.mail_log.EmailBackend'")


@pytest.mark.parametrize(
    "environ",
    [
        {"DATABASE_URL": "postgresql://crm@db.example/crm"},
        {"CRM_ENV": "production"},
        {"CRM_WEB_HOST": "0.0.0.0"},
    ],
)
def test_what_means_business_is_left_alone(bare, monkeypatch, environ):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    found = {}
    command_defaults(found)
    assert "DEBUG" not in found


def test_celery_is_called_from_inside_the_backend_folder_too(bare):
    celery = str(Path(sys.executable).with_name("celery"))
    for folder in (BASE_DIR, BASE_DIR / "backend"):
        command = [celery, "-A", "backend", "inspect", "--help"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        listed = subprocess.run(
            [celery, "-A", "backend", "report"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert listed.returncode == 0, listed.stderr
        assert "backend.scheduler:Scheduler" in listed.stdout


def test_results_of_tasks_are_kept_where_it_says(bare, monkeypatch):
    code = "from backend.celery import app; print(app.conf.result_backend, app.conf.task_ignore_result)"
    for given, expected in (("", "None True"), ("redis://127.0.0.1:1/3", "redis://127.0.0.1:1/3 False")):
        monkeypatch.setenv("CELERY_RESULT_BACKEND", given)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=BASE_DIR, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


@pytest.mark.parametrize("path", ["docs", "redoc"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_short_addresses_of_the_documentation(client, path, slash):
    response = client.get(f"/{path}{slash}")
    assert (response.status_code, response["Location"]) == (302, f"/api/{path}")
