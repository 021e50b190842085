"""Where the servers' files live and whom they run as.

PostgreSQL refuses to run as root, so under root both servers run as an unprivileged user. That user must
reach the binaries and the data folder, yet a checkout under /root (mode 0700) is closed to it, and opening
someone's home is not ours to do. There the data goes to a folder of its own under /var/lib, and so does a
copy of the binaries.
"""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.env import ConfigurationError

OUTSIDE_FOLDERS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108  checked for ownership before use


# In a folder outside: the data folder that it was made for.
MADE_FOR = "made-for"


@dataclass(frozen=True)
class Identity:
    """The system user that the servers run as."""

    name: str
    uid: int
    gid: int

    @property
    def switch(self) -> dict[str, Any]:
        """Arguments for subprocess that change to this user; none when we are it already."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True)
class Wheel:
    """Files of an installed wheel, relative to `site`: folders that belong together, and files to be read."""

    site: Path
    folders: tuple[str, ...]
    samples: tuple[str, ...]

    @property
    def stamp(self) -> str:
        """Differs between installations and versions."""
        marks = [f"{self.site / sample}:{(self.site / sample).stat().st_mtime_ns}" for sample in self.samples]
        return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:12]


def service_identity(user_name: str) -> Identity:
    """Ourselves, or under root the named unprivileged user.

    Raises ConfigurationError when that user does not exist or is root again.
    """
    if os.geteuid() != 0:
        own = pwd.getpwuid(os.geteuid())
        return Identity(own.pw_name, own.pw_uid, own.pw_gid)
    try:
        entry = pwd.getpwnam(user_name)
    except KeyError:
        raise ConfigurationError(
            f"CRM_SERVICE_USER names the user {user_name!r}, which does not exist."
        ) from None
    if entry.pw_uid == 0:
        raise ConfigurationError("CRM_SERVICE_USER must not be root: PostgreSQL refuses to run as root.")
    return Identity(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_reach(identity: Identity, *paths: Path) -> bool:
    """Whether the user can enter the folders and read the files, asked of the system itself."""
    if not identity.switch:
        return True
    script = 'for p; do if [ -d "$p" ]; then [ -x "$p" ]; else [ -r "$p" ]; fi || exit 1; done'
    command = ["/bin/sh", "-c", script, "sh", *map(str, paths)]
    return subprocess.run(command, cwd="/", check=False, **identity.switch).returncode == 0  # noqa: S603


def reachable_folder(folder: Path, identity: Identity) -> Path:
    """The folder itself, or, where the user cannot reach it, one outside the checkout that belongs to it."""
    folder.mkdir(parents=True, exist_ok=True)
    if identity.switch:
        folder.chmod(0o711)  # our own folder: passable, not listable; its secrets are 0600
    return folder if can_reach(identity, folder) else outside_folder(folder)


def outside_folder(folder: Path) -> Path:
    """A folder of root's own for the checkout's servers, made at need.

    Raises ConfigurationError when someone else made a folder of that name first.
    """
    name = outside_name(folder)
    parent = next((path for path in OUTSIDE_FOLDERS if os.access(path, os.W_OK)), OUTSIDE_FOLDERS[-1])
    outside = parent / name
    outside.mkdir(mode=0o711, exist_ok=True)
    found = outside.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ConfigurationError(f"{outside} belongs to someone else: remove it, or set CRM_DATA_DIR.")
    outside.chmod(0o711)
    (outside / MADE_FOR).write_text(f"{folder.resolve()}\n")
    return outside


def outside_name(folder: Path) -> str:
    """How the folder outside is called that belongs to a data folder."""
    return "crm-" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def service_folder(name: str, folder: Path, home: Path, identity: Identity) -> Path:
    """The folder that only the service user enters; a link in `folder` points to one that lies elsewhere."""
    place = home / name
    place.mkdir(mode=0o700, exist_ok=True)
    if identity.switch:
        os.chown(place, identity.uid, identity.gid)
    if home != folder:
        _point(folder / name, place)
    return place


def reachable_site(wheel: Wheel, home: Path, identity: Identity) -> Path:
    """The wheel's `site`, or a folder in `home` with a copy of the files when the user cannot read them."""
    if can_reach(identity, *(wheel.site / sample for sample in wheel.samples)):
        return wheel.site
    copy = home / f"binaries-{wheel.stamp}"
    if not copy.exists():
        _copy_readable(wheel, copy)
    return copy


def _copy_readable(wheel: Wheel, target: Path) -> None:
    """Made aside and renamed: a copy that exists is whole. Hard links would change modes at the source."""
    aside = target.with_name(target.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    for folder in wheel.folders:
        shutil.copytree(wheel.site / folder, aside / folder, symlinks=True)
    for path in [aside, *aside.rglob("*")]:
        if not path.is_symlink():
            runs = path.is_dir() or os.access(path, os.X_OK)
            path.chmod(path.stat().st_mode | (0o555 if runs else 0o444))
    aside.rename(target)


def _point(pointer: Path, target: Path) -> None:
    if pointer.is_symlink() and pointer.readlink() == target:
        return
    if pointer.is_symlink() or not pointer.exists():
        pointer.unlink(missing_ok=True)
        pointer.symlink_to(target)
