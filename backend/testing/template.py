"""The migrated database that every test process starts from, made once and kept as an archive.

It is made anew when a migration, a requirement or this way of making it changes.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from backend.development.embedded import state
from backend.development.embedded.postgres import PostgresServer
from backend.env import BASE_DIR

FOLDER = BASE_DIR / ".data" / "test-template"
CLUSTER = "cluster"
SOURCES = (
    "requirements.lock",
    "*/migrations/*.py",
    "backend/settings/*.py",
    "backend/development/embedded/postgres.py",
    "backend/testing/*.py",
    "backend/database_roles.py",
)
KEPT = 3  # of earlier migrations: one changes branches


def archive() -> Path:
    """Where the archive of this code's database is, or would be."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(path for pattern in SOURCES for path in BASE_DIR.glob(pattern)):
        digest.update(str(path.relative_to(BASE_DIR)).encode() + path.read_bytes())
    return FOLDER / f"{digest.hexdigest()[:16]}.tar"


def keep(server: PostgresServer, folder: Path) -> None:
    """Migrate the running server's database, stop it, and keep its files and the passwords in `folder`."""
    _migrate(server, folder)
    server.stop()
    target = archive()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False) as aside:
        with tarfile.open(fileobj=aside, mode="w") as files:
            files.add(folder / state.STATE_FILE, state.STATE_FILE)
            files.add(server.data, CLUSTER)
        Path(aside.name).replace(target)
    _forget_old(target)


def restore_passwords(folder: Path) -> None:
    """Put the passwords that the archived cluster knows into the folder."""
    with tarfile.open(archive()) as files:
        files.extract(state.STATE_FILE, folder, filter="data")


def restore_cluster(target: Path) -> None:
    """Put the archived cluster there, with its owner."""
    with tarfile.open(archive()) as files:
        members = [member for member in files if member.name.split("/")[0] == CLUSTER]
        files.extractall(target.parent, members, numeric_owner=True, filter="fully_trusted")  # noqa: S202  ours
    (target.parent / CLUSTER).replace(target)


def _migrate(server: PostgresServer, folder: Path) -> None:
    environ = os.environ | {
        "CRM_ENV": "development",
        "CRM_DATA_DIR": str(folder),
        "CRM_EMBEDDED": "0",
        "DATABASE_URL": server.url,
        "DATABASE_MIGRATION_URL": server.owner_url,
    }
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    subprocess.run(command, cwd=BASE_DIR, env=environ, check=True)  # noqa: S603


def _forget_old(newest: Path) -> None:
    others = sorted(newest.parent.glob("*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[KEPT:]:
        path.unlink(missing_ok=True)
