"""What requests cost in Python, calls and CPU of each kind: `python -m benchmarks.calls`.

Everything between a request and its answer, middleware included, in this process. Calls are counted exactly
(functions of Python and of C); of the CPU time the least of many requests is told, which other work on the
machine makes no smaller. Two versions of the code are compared by running each of them in turn.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg

from backend.testing.servers import start_servers
from benchmarks.listing import PASSWORD, ROOT, SHARE, manage, new_database

LEADS = "/api/v1/leads/"
FILTERED = f"{LEADS}?status=new&lead_score__gte=10&ordering=-created_at"
WARM_UP = 20


def answer_of(handler: Any, method: str, path: str, token: str = "", body: Any = None) -> Any:
    """The JSON of an answer. Raises AssertionError for one that is no success."""
    from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
    from django.core.signals import request_started

    data = b"" if body is None else json.dumps(body).encode()
    address, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": address,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(data)),
        "CONTENT_TYPE": "application/json",
        "wsgi.input": io.BytesIO(data),
        "wsgi.url_scheme": "http",
    }
    if token:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    request_started.send(sender=WSGIHandler, environ=environ)
    response = handler.get_response(WSGIRequest(environ))
    response.close()
    assert response.status_code < 300, response.content
    return json.loads(response.content)


def requests_of(handler: Any) -> dict[str, Callable[[], Any]]:
    """Each kind of request as something to call."""

    def sign_in(username: str) -> str:
        body = {"username": username, "password": PASSWORD}
        return answer_of(handler, "POST", "/api/auth/login/", body=body)["access"]

    def get(path: str, token: str) -> Callable[[], Any]:
        return lambda: answer_of(handler, "GET", path, token)

    admin, numbers = sign_in("admin"), iter(range(10**9))
    one = f"{LEADS}{answer_of(handler, 'GET', LEADS, admin)['results'][3]['id']}/"

    def create() -> Any:
        body = {"first_name": "Ada", "email": f"{next(numbers)}.{time.time_ns()}@calls.example"}
        return answer_of(handler, "POST", LEADS, admin, body)

    return {
        "list, admin": get(LEADS, admin),
        "list, rep": get(LEADS, sign_in("rep")),
        "list, manager": get(LEADS, sign_in("manager")),
        "list, filtered": get(FILTERED, admin),
        "tasks": get("/api/v1/tasks/", admin),
        "pipelines": get("/api/v1/pipelines/", admin),
        "get one": get(one, admin),
        "create": create,
        "patch": lambda: answer_of(handler, "PATCH", one, admin, {"job_title": f"No. {next(numbers)}"}),
    }


def calls_of(work: Callable[[], Any]) -> int:
    """Functions that are called, those of C included."""
    found = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal found
        found += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def least_ms(work: Callable[[], Any], repeats: int) -> float:
    def spent() -> int:
        started = time.process_time_ns()
        work()
        return time.process_time_ns() - started

    return min(spent() for _ in range(repeats)) / 1e6


def measure(repeats: int) -> None:
    """In a process of its own, whose database is filled."""
    import django

    django.setup()
    from django.core.handlers.wsgi import WSGIHandler

    for name, work in requests_of(WSGIHandler()).items():
        for _ in range(WARM_UP):
            work()
        print(f"  {name:<16} {calls_of(work):>7} calls  {least_ms(work, repeats):7.3f} ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.repeats)
        return 0
    servers = start_servers()
    try:
        database, environ = new_database(servers)
        manage(environ, "seed_demo", f"--leads={options.leads}", "--force")
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(SHARE)
            connection.execute("VACUUM ANALYZE")
        command = [sys.executable, "-m", "benchmarks.calls", "--measure", f"--repeats={options.repeats}"]
        subprocess.run(command, cwd=ROOT, env=environ | {"PYTHONPATH": os.fspath(ROOT)}, check=True)  # noqa: S603
    finally:
        servers.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
