"""The whole CRM on one machine: `make run`, which is `python -m backend.development.stack`.

PostgreSQL and Valkey (unless the environment names real ones), then web, Celery worker and Celery beat with
merged logs under honcho's manager. One Ctrl-C stops everything. A supervisor that is killed takes web, worker
and beat with it; servers it left behind are found and reused by the next start.
"""

import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from honcho import manager, process

from backend.development.defaults import WebAddress, development_defaults, web_address
from backend.development.embedded import ports
from backend.development.embedded.processes import leash
from backend.development.embedded.services import Services, services_of_checkout
from backend.env import BASE_DIR, ConfigurationError, problems_as_a_sentence

READY_SECONDS = 60
INTERRUPTED = 130


def commands(web: WebAddress) -> dict[str, list[str]]:
    """The processes of the stack by name."""
    python = [sys.executable, "-m"]
    uvicorn = ["uvicorn", "backend.asgi:application", f"--host={web.host}", f"--port={web.port}"]
    celery = [*python, "celery", "--quiet", "-A", "backend"]
    alone = ["--without-gossip", "--without-mingle"]
    return {
        "web": [
            *python,
            *uvicorn,
            "--no-proxy-headers",
            "--no-server-header",
            "--lifespan=off",
            "--timeout-graceful-shutdown=3",
        ],
        "worker": [*celery, "worker", "--loglevel=info", "--concurrency=2", *alone],
        "beat": [*celery, "beat", "--loglevel=info"],
    }


class LeashedProcess(process.Process):
    """A process of the stack that ends when the supervisor does, however that ends."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        """Runs in honcho's process between the supervisor and the command.

        By SIGKILL, which nothing here loses anything by: the signal comes once, and Celery in the middle of
        its start may not hear another.
        """
        end_with_parent(signal.SIGKILL)
        self._child_ctor = partial(process.Popen, shell=False, preexec_fn=leash(signal.SIGKILL))
        super().run(events, ignore_signals)


class StackManager(manager.Manager):
    """honcho's manager, which says where everything is once the web server answers."""

    def __init__(self, web: WebAddress) -> None:
        super().__init__()
        self._process_ctor = LeashedProcess
        self._web = web

    def _start(self) -> None:
        super()._start()
        threading.Thread(target=self._announce, daemon=True).start()  # after the forks

    def _announce(self) -> None:
        if await_web(self._web, READY_SECONDS):
            for line in announcement(self._web):
                self._system_print(line)


def await_web(web: WebAddress, seconds: float) -> bool:
    """Whether the web server answers /livez within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        connection = HTTPConnection(web.host, web.port, timeout=2)
        try:
            connection.request("GET", "/livez", headers={"Host": "localhost"})
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            time.sleep(0.1)
        finally:
            connection.close()
    return False


def announcement(web: WebAddress) -> list[str]:
    """What a person wants to know after the start."""
    return [
        "The CRM is running. Ctrl-C stops it.",
        f"  API    {web.url}/api/v1/",
        f"  Docs   {web.url}/api/docs/   {web.url}/api/redoc/",
        f"  Admin  {web.url}/admin/",
    ]


def end_with_parent(end_signal: int) -> None:
    """Have the kernel send us the signal when our parent dies (where it can)."""
    call = leash(end_signal)
    if call is not None:
        call()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """One stack per checkout. The lock goes with the process.

    Raises ConfigurationError naming the process that holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "stack.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise ConfigurationError(
                f"This CRM is running already (process {handle.read().strip()}): stop that one first."
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def run(progress: Callable[[str], None]) -> int:
    """Start everything, stay until it ends; the exit code."""
    servers = services_of_checkout()  # reads .env first
    web = web_address(servers.env)
    development_defaults(os.environ, web)
    with only_one(servers.folder):
        ports.require_free(web.port, "the web server", "CRM_WEB_PORT", web.host)
        try:
            servers.ensure_running(progress)
            return _supervise(web) if _prepare(progress) else 1
        finally:
            _stop(servers, progress)


def _prepare(progress: Callable[[str], None]) -> bool:
    progress("Preparing the database")
    command = [sys.executable, "manage.py", "prepare", "--demo"]
    return subprocess.run(command, cwd=BASE_DIR, check=False).returncode == 0  # noqa: S603


def _supervise(web: WebAddress) -> int:
    multiprocessing.set_start_method("fork", force=True)  # the leash holds between parent and child only
    supervisor = StackManager(web)
    for name, command in commands(web).items():
        supervisor.add_process(name, command, cwd=str(BASE_DIR))
    supervisor.loop()
    return supervisor.returncode or 0


def _stop(servers: Services, progress: Callable[[str], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave servers behind
    for name in servers.stop():
        progress(f"Stopped {name}")


def main() -> int:
    """The command line."""
    if "--stop-with-parent" in sys.argv:
        end_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with problems_as_a_sentence():
            return run(lambda sentence: print(sentence, flush=True))  # noqa: T201
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
