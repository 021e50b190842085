"""Folders outside their checkouts whose checkouts are gone: found, and removed when one says so.

Under root the servers of a checkout that others cannot enter keep their files elsewhere
(backend.development.embedded.placement). Who deletes such a checkout, or kills a test run, leaves those
behind.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from backend.development.embedded import placement

NAME = re.compile(r"crm-[0-9a-f]{16}")


@dataclass(frozen=True)
class Leftover:
    """A folder that nobody looks after: `path`, and the data folder it was made for."""

    path: Path
    made_for: Path

    def remove(self) -> None:
        """Delete it with the database inside. The mark goes last, so that a second try finds the rest."""
        for inside in self.path.iterdir():
            if inside.name != placement.MADE_FOR:
                shutil.rmtree(inside)
        shutil.rmtree(self.path)


def leftovers(parents: tuple[Path, ...] = placement.OUTSIDE_FOLDERS) -> list[Leftover]:
    """Folders of ours whose data folder is not there any more and from which no process runs.

    One without a mark of whose it is, or with the mark of another, is never among them.
    """
    found = [path for parent in parents if parent.is_dir() for path in sorted(parent.iterdir())]
    marked = [
        Leftover(path, _made_for(path)) for path in found if NAME.fullmatch(path.name) and _is_ours(path)
    ]
    return [
        one for one in marked if _is_its_name(one) and not one.made_for.exists() and not _is_in_use(one.path)
    ]


def _is_ours(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and path.lstat().st_uid == os.geteuid()


def _made_for(path: Path) -> Path:
    mark = path / placement.MADE_FOR
    return Path(mark.read_text().strip()) if mark.is_file() else Path()


def _is_its_name(one: Leftover) -> bool:
    return one.made_for.is_absolute() and placement.outside_name(one.made_for) == one.path.name


def _is_in_use(path: Path) -> bool:
    """Whether a process runs from there, works there or has it among its arguments."""
    return any(_names(process, str(path) + "/") for process in psutil.process_iter())


def _names(process: psutil.Process, folder: str) -> bool:
    try:
        texts = [process.exe(), process.cwd() + "/", *process.cmdline()]
    except psutil.Error:  # ended just now, or one we may not look at: our servers are not among those
        return False
    return any(folder in text for text in texts)
