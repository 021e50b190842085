import os
import socket
import time

import pytest

from backend.development.embedded.services import Services
from backend.development.stack import WebAddress, commands, development_defaults, only_one, web_address
from backend.env import ConfigurationError, Env
from backend.testing.stacks import Stack, fill, running_stack

RUNNING = "The CRM is running. Ctrl-C stops it."
CATCH_UP_SECONDS = 120
pytestmark = pytest.mark.timeout(600)
HEALTHY = {
    "status": "ok",
    "checks": {"database": "ok", "migrations": "ok", "broker": "ok", "automation": "ok"},
}


@pytest.fixture
def data(tmp_path):
    """A data folder whose servers are gone at the end, wherever their files lay."""
    folder = tmp_path.resolve() / "data"
    yield folder
    Services(folder, Env({})).remove()


def soon_healthy(stack: Stack) -> tuple[int, object]:
    """The answer once automation has caught up with what waited while the stack was down."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while (answer := stack.get("/healthz")) != (200, HEALTHY) and time.monotonic() < deadline:
        time.sleep(0.5)
    return answer


def soon_gone(stack: Stack) -> list[object]:
    """What is left of the processes: the kernel ends the last of them a moment after the supervisor."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while (left := stack.processes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def test_the_stack_starts_stops_and_starts_again_with_what_it_kept(data):
    with running_stack(data, CRM_DEMO_LEADS="2") as stack:
        stack.await_said(RUNNING)
        assert "Adding demo data." in stack.output
        assert soon_healthy(stack) == (200, HEALTHY)
        assert "Created the demo administrator admin / password." in stack.output
        assert stack.interrupt() == 130
        assert soon_gone(stack) == []

        stack.start()
        stack.await_said(RUNNING, times=2)
        assert soon_healthy(stack) == (200, HEALTHY)
        status, body = stack.get("/readyz")
        assert (status, body["status"], body["broker"]) == (200, "ok", "ok")
        assert stack.output.count("Created the demo administrator") == 1
        assert stack.listens_on() == {"127.0.0.1"}


def test_a_killed_supervisor_takes_its_processes_along_and_the_next_start_works_at_once(data):
    fill(data)
    with running_stack(data, CRM_DEMO_LEADS="0") as stack:
        stack.await_said(RUNNING)
        servers = Services(data, Env({})).status()
        stack.kill()
        stack.start()
        stack.await_said(RUNNING, times=2)
        assert soon_healthy(stack) == (200, HEALTHY)
        assert Services(data, Env({})).status() == servers  # the same processes, found and reused
        assert stack.interrupt() == 130
        assert soon_gone(stack) == []


def test_a_busy_web_port_is_answered_with_a_sentence_that_names_it(data):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        stack = Stack(data, port=port)
        stack.start()
        assert stack.process.wait(60) == 1
    assert stack.output == (
        f"Error: Port {port} on 127.0.0.1 is in use by another program, so the web server cannot start there:"
        " stop that program, or choose another port with CRM_WEB_PORT=<port>.\n"
    )
    assert soon_gone(stack) == []


def test_one_stack_at_a_time_and_the_second_names_the_first(tmp_path):
    with only_one(tmp_path):
        with pytest.raises(ConfigurationError) as problem, only_one(tmp_path):
            pass
        assert str(problem.value) == (
            f"This CRM is running already (process {os.getpid()}): stop that one first."
        )
    with only_one(tmp_path):
        pass


def test_the_web_server_listens_on_this_machine_only_unless_configured_otherwise():
    assert web_address(Env({})) == WebAddress("127.0.0.1", 8000)
    assert web_address(Env({"PORT": "9000"})) == WebAddress("127.0.0.1", 9000)
    assert web_address(Env({"PORT": "9000", "CRM_WEB_PORT": "9001"})) == WebAddress("127.0.0.1", 9001)
    assert "--host=127.0.0.1" in commands(web_address(Env({})))["web"]


@pytest.mark.parametrize(
    ("host", "given", "found"),
    [
        ("127.0.0.1", {}, ("development", "1")),
        ("0.0.0.0", {}, ("development", None)),  # others can reach it: no debugging by default
        ("127.0.0.1", {"CRM_ENV": "production"}, ("production", None)),
        ("127.0.0.1", {"DEBUG": "0"}, ("development", "0")),
    ],
)
def test_only_a_stack_of_this_machine_alone_debugs_by_default(host, given, found):
    environ = dict(given)
    development_defaults(environ, WebAddress(host, 8000))
    assert (environ["CRM_ENV"], environ.get("DEBUG")) == found
