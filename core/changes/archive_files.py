"""Files of archived changes: gzipped lines, each seal followed by its changes (docs/audit.md#archives).

The line of a change is the very text that was sealed, so a file is compared with the chain by its bytes.
"""

import gzip
import json
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

FORMAT = {"format": "crm-changes", "version": 1}
# What the array of a change holds; `at` in microseconds since 1970.
COLUMNS = (
    "id", "entity", "object_id", "kind", "changes", "actor_id", "source", "request_id", "import_id",
    "execution_id", "agent_session_id", "agent", "depth", "at",
)  # fmt: skip
PATTERN = "changes-*.jsonl.gz"


class ArchiveBrokenError(Exception):
    """A file is not what it should be; the message says how."""


@dataclass(frozen=True)
class FiledSeal:
    """A seal with its changes by id, each as the text that was sealed."""

    id: int
    salt: bytes
    lines: dict[int, str]

    @property
    def digest(self) -> bytes:
        """What the chain says of these changes, if they are as they were sealed."""
        hashes = (
            struct.pack(">q", pk) + sha256(self.salt + line.encode()).digest()
            for pk, line in self.lines.items()
        )
        return sha256(self.salt + b"".join(hashes)).digest()


def write(path: Path, seals: Iterable[FiledSeal]) -> None:
    """Write a file under its name once it is whole and on the disk. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as raw:
            # Without a time, so that the same changes make the same file.
            with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file:
                file.write(f"{json.dumps(FORMAT | {'columns': COLUMNS})}\n".encode())
                for seal in seals:
                    head = {"seal": seal.id, "rows": len(seal.lines), "salt": seal.salt.hex()}
                    file.write(f"{json.dumps(head)}\n".encode())
                    file.writelines(f"{line}\n".encode() for line in seal.lines.values())
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read(path: Path) -> Iterator[FiledSeal]:
    """The seals of a file. Raises ArchiveBrokenError."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            head = json.loads(next(lines))
            if any(head.get(name) != value for name, value in FORMAT.items()):
                raise ArchiveBrokenError(f"{path.name} is no archive of changes that this version reads")
            for line in lines:
                yield _seal(json.loads(line), lines)
    except (OSError, EOFError, ValueError, KeyError, StopIteration, RuntimeError) as error:
        raise ArchiveBrokenError(f"{path.name} cannot be read: {error}") from error


def _seal(head: dict[str, Any], lines: Iterator[str]) -> FiledSeal:
    found = {}
    for _ in range(head["rows"]):
        line = next(lines, "").rstrip("\n")
        found[int(json.loads(line)[0])] = line
    return FiledSeal(head["seal"], bytes.fromhex(head["salt"]), found)


def hash_of(path: Path) -> str:
    """The SHA-256 of a whole file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
