"""What the embedded servers of a checkout keep between starts: ports, passwords, the development key."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from backend.env import ConfigurationError

STATE_FILE = "services.json"
LOCK_FILE = "services.lock"
LOCK_SECONDS = 150  # longer than both servers may take to start


def _secret() -> str:
    return secrets.token_urlsafe(48)


@dataclass(frozen=True)
class State:
    """Ports are 0 until one is chosen. Secrets are made once, per checkout."""

    postgres_port: int = 0
    valkey_port: int = 0
    superuser_password: str = field(default_factory=_secret)
    database_password: str = field(default_factory=_secret)
    valkey_password: str = field(default_factory=_secret)
    secret_key: str = field(default_factory=_secret)


def load(folder: Path) -> State:
    """The state kept in the folder; made and written at the first call."""
    if not (folder / STATE_FILE).exists():
        with lock(folder):
            return load_locked(folder)
    return load_locked(folder)


def load_locked(folder: Path) -> State:
    """The same, for one who holds the lock."""
    path = folder / STATE_FILE
    if not path.exists():
        _write(path, State())
    return State(**json.loads(path.read_text()))


def save(folder: Path, state: State, **changes: Any) -> State:
    """Write the state with some of its fields changed; call it while holding the lock."""
    changed = replace(state, **changes)
    if changed != state:
        _write(folder / STATE_FILE, changed)
    return changed


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process, however that ends.

    Raises ConfigurationError naming the process that does not let go of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a+") as handle:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _locked(handle):
            if time.monotonic() > deadline:
                handle.seek(0)
                raise ConfigurationError(
                    f"Process {handle.read().strip()} has been starting or stopping the servers of {folder}"
                    f" for {LOCK_SECONDS} s: end it and try again."
                )
            time.sleep(0.02)
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _locked(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, state: State) -> None:
    """Aside, then renamed: a reader never sees half a file, and only the owner sees any of it."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        json.dump(asdict(state), handle, indent=2)
    aside.replace(path)
