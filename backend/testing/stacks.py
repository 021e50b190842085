"""Whole stacks for tests: `make run` without make, on ports and a data folder of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

from backend.development.embedded import placement, ports, state
from backend.development.embedded.services import DEFAULT_SERVICE_USER
from backend.env import BASE_DIR
from backend.testing import template

START_SECONDS = 300
STOP_SECONDS = 30
# What this process was given for its own tests, and a stack must find out by itself.
OURS = (
    "DATABASE_URL",
    "DATABASE_MIGRATION_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "CRM_ENV",
    "DEBUG",
    "CRM_DATA_DIR",
    "DJANGO_SETTINGS_MODULE",
)


def bare_environ(data: Path, **variables: str) -> dict[str, str]:
    """The environment of a stranger's shell, with the data folder named."""
    environ = {name: value for name, value in os.environ.items() if name not in OURS}
    return environ | {"CRM_DATA_DIR": str(data)} | variables


@dataclass
class Stack:
    """One `python -m backend.development.stack`; `data` is its data folder, `port` its web server's."""

    data: Path
    port: int = field(default_factory=ports.any_free)
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """All that the stack printed, over all its starts."""
        return self.data.with_suffix(".log")

    @property
    def output(self) -> str:
        """The text of the log."""
        return self.log.read_text() if self.log.exists() else ""

    def start(self) -> None:
        """Start in a process group of its own, as a terminal does."""
        choose_ports(self.data)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "backend.development.stack"],
                cwd=BASE_DIR,
                env=bare_environ(self.data, CRM_WEB_PORT=str(self.port), **self.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def await_said(self, text: str, times: int = 1, seconds: float = START_SECONDS) -> None:
        """Return once the stack has printed the text so many times; fail with its output otherwise."""
        deadline = time.monotonic() + seconds
        while self.output.count(text) < times:
            assert time.monotonic() < deadline, f"{text!r} was not said:\n{self.output}"  # noqa: S101
            time.sleep(0.05)

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON body of a GET to the web server."""
        connection = HTTPConnection(ports.LOOPBACK, self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def processes(self) -> list[psutil.Process]:
        """Every living process that was started for this data folder."""
        return [found for found in psutil.process_iter() if _belongs(found, self.data)]

    def listens_on(self) -> set[str]:
        """The addresses that any of them listens on."""
        connections = [one for found in self.processes() for one in found.net_connections("inet")]
        return {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}

    def interrupt(self) -> int:
        """Ctrl-C: the signal goes to the whole group. The exit code."""
        assert self.process is not None  # noqa: S101
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """`kill -9` of the supervisor alone."""
        assert self.process is not None  # noqa: S101
        self.process.kill()
        self.process.wait(STOP_SECONDS)


def choose_ports(data: Path) -> None:
    """Let its servers begin on ports of their own.

    All begin on the usual ones otherwise, and while a server is down another test's takes its port.
    """
    with state.lock(data):
        known = state.load_locked(data)
        if not (known.postgres_port or known.valkey_port):
            state.save(data, known, postgres_port=ports.any_free(), valkey_port=ports.any_free())


def fill(data: Path) -> None:
    """Make the data folder one of a CRM that was migrated before and holds no records."""
    data.mkdir(parents=True)
    template.restore_passwords(data)
    choose_ports(data)
    identity = placement.service_identity(DEFAULT_SERVICE_USER)
    home = placement.reachable_folder(data, identity)
    template.restore_cluster(placement.service_folder("postgres", data, home, identity) / "cluster")


@contextmanager
def running_stack(data: Path, **environ: str) -> Iterator[Stack]:
    """A started stack; whatever of it is left at the end is killed."""
    stack = Stack(data, environ=environ)
    stack.start()
    try:
        yield stack
    finally:
        for found in stack.processes():
            found.kill()


def _belongs(found: psutil.Process, data: Path) -> bool:
    try:
        if found.status() == psutil.STATUS_ZOMBIE:
            return False
        return found.environ().get("CRM_DATA_DIR") == str(data)
    except psutil.Error:
        return False
