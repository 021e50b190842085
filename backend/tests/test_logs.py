import json
import logging
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from backend.logs import JsonFormatter, LineFormatter, redact

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


def record(message, *args, **extra):
    made = logging.makeLogRecord(
        {"name": "core.api", "levelname": "INFO", "msg": message, "args": args, "created": 1769846400.25}
    )
    made.__dict__.update(extra)
    return made


def test_a_line_is_for_people():
    text = LineFormatter().format(record("%s leads read", 12))
    assert text == "2026-01-31T08:00:00.250Z INFO    core.api: 12 leads read"


def test_a_line_break_in_a_message_cannot_forge_a_second_line():
    text = LineFormatter().format(
        record("name %s", "a\r\n2026 INFO    core.auth: admin signed in\u2028\x1b[2J")
    )
    assert text.splitlines() == [text]
    assert r"a\r\n2026 INFO    core.auth: admin signed in\u2028\x1b[2J" in text


def test_an_entry_is_an_object_on_one_line_with_the_request_it_is_about():
    text = JsonFormatter().format(record("a\nb", request=SimpleNamespace(request_id="r-1"), process=7))
    assert "\n" not in text
    assert json.loads(text) == {
        "time": "2026-01-31T08:00:00.250Z",
        "level": "INFO",
        "logger": "core.api",
        "message": "a\nb",
        "process": 7,
        "request_id": "r-1",
    }


@pytest.mark.parametrize("formatter", [LineFormatter(), JsonFormatter()])
def test_an_error_brings_its_traceback(formatter):
    try:
        raise ValueError("no such stage")
    except ValueError:
        text = formatter.format(record("failed", exc_info=sys.exc_info()))
    assert "Traceback (most recent call last)" in text
    assert "ValueError: no such stage" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer [hidden]"),
        ("key crm_0123456789abcdefABCDEF used", "key [hidden] used"),
        ("signed with whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "signed with [hidden]"),
        ("postgresql://crm:hunter2@db:5432/crm refused", "postgresql://[hidden]@db:5432/crm refused"),
        ("redis://:hunter2@cache/0 refused", "redis://[hidden]@cache/0 refused"),
        (f"GET /api/v1/calendar/{'a' * 43}/tasks.ics", "GET /api/v1/calendar/[hidden]/tasks.ics"),
        ("GET /ws/notifications/?ticket=aB-c_9 HTTP", "GET /ws/notifications/?ticket=[hidden] HTTP"),
        ('"GET /unsubscribe/?x=1&token=a:b:c" 200', '"GET /unsubscribe/?x=1&token=[hidden]" 200'),
        ("GET http://127.0.0.1:8000/api/v1/leads/?search=ann@example.com", None),
        ("GET /api/v1/calendar/remove/ POST /api/v1/calendar/", None),
        ("table core_change, role crm_app", None),
    ],
)
def test_credentials_in_a_message_are_hidden_and_nothing_else(text, shown):
    assert redact(text) == (shown or text)


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("line", r"\S+Z INFO    uvicorn.access: GET /livez\n"),
        ("json", r'\{"time":".+","level":"INFO","logger":"uvicorn.access","message":"GET /livez",.*\}\n'),
    ],
)
def test_the_web_servers_own_lines_have_the_form_of_all_others(form, line):
    code = (
        "from logging import config, getLogger; import uvicorn.config;"
        "from backend.logs import logging_settings;"
        "config.dictConfig(uvicorn.config.LOGGING_CONFIG);"
        f"config.dictConfig(logging_settings('INFO', {form!r}));"
        "getLogger('uvicorn.access').info('GET /livez')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == ""
    assert re.fullmatch(line, result.stderr)


def test_the_sweeps_of_a_quiet_day_are_no_news():
    code = (
        "from logging import config, getLogger; from backend.logs import logging_settings;"
        "config.dictConfig(logging_settings('INFO', 'line'));"
        "getLogger('celery.beat').info('Scheduler: Sending due task %s', 'sweep');"
        "getLogger('celery.app.trace').info('Task %s succeeded', 'sweep');"
        "getLogger('celery.app.trace').error('Task %s failed', 'sweep');"
        "getLogger('celery.beat').info('beat: Starting...')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = [line.split(": ", 1)[1] for line in result.stderr.splitlines()]
    assert said == ["Task sweep failed", "beat: Starting..."]
