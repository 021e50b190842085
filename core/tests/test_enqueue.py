"""Messages are sent from one place, after the commit; nothing is scheduled through the broker."""

import ast
import socket
import threading
from contextlib import contextmanager, suppress

import pytest
from celery import current_app
from kombu import Connection
from kombu.exceptions import OperationalError

from backend.env import BASE_DIR

FOLDERS = ("backend", "core", "contacts", "opportunities", "lead_management", "tasks")
TASKS = {name.rpartition(".")[2] for name in current_app.tasks if name.startswith("core.tasks.")}


def sent(source):
    """Calls that would put a message on the broker: `x.apply_async(…)`, `some_task.delay(…)`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, value = node.func.attr, node.func.value
            owner = getattr(value, "id", getattr(value, "attr", ""))
            if name in ("apply_async", "send_task") or (name in ("delay", "retry") and owner in TASKS):
                yield name


def test_only_the_enqueuing_sends_messages():
    sources = [path for folder in FOLDERS for path in (BASE_DIR / folder).rglob("*.py")]
    product = [path for path in sources if "tests" not in path.parts]
    found = [(str(path.relative_to(BASE_DIR)), call) for path in product for call in sent(path.read_text())]
    assert found == [("core/jobs.py", "apply_async")]


def test_the_search_finds_what_it_is_for():
    source = "send_mail.delay()\ntasks.run_workflows.retry(1)\nx.apply_async()\nSTEP.delay(1)\nq.retry(2)"
    assert {"send_mail", "run_workflows"} <= TASKS
    assert list(sent(source)) == ["delay", "retry", "apply_async"]


@contextmanager
def hanging_up():
    """(port, list of callers): a server that takes every call and ends it at once."""
    callers = []

    def answer(server):
        with suppress(OSError):
            while True:
                call, address = server.accept()
                callers.append(address)
                call.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        yield server.getsockname()[1], callers
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_of_a_broker_that_is_away_a_request_asks_once():
    """Kombu would try for four seconds and more, in the request that rings, after its commit."""
    options = current_app.conf.broker_transport_options
    with hanging_up() as (port, callers):
        broker = Connection(f"redis://127.0.0.1:{port}/0", transport_options=options, connect_timeout=4)
        with broker, pytest.raises(OperationalError):
            broker.default_channel  # noqa: B018
        assert len(callers) == 1
