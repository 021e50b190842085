"""Files that wait between the steps of the admin's import wizard: kept in the default storage, known to the
session that uploaded them, and gone after a day."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Any, BinaryIO
from uuid import uuid4

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from core.entities.locks import IMPORT_DRAFT, try_lock
from core.errors import ConflictError, NotVisibleError

FOLDER = "import_drafts"
KEPT_FOR = timedelta(days=1)
_KEY = "import_draft"
_REHEARSED = "import_rehearsed"


@dataclass(frozen=True)
class Draft:
    """An uploaded file that is not imported yet, and the settings that were chosen for it."""

    entity: str
    name: str
    stored_as: str
    settings: dict[str, Any]

    @property
    def token(self) -> str:
        """What a page names the file by that it shows: another tab may have replaced it."""
        return self.stored_as.rpartition("/")[2]


def keep(request: HttpRequest, entity: str, name: str, file: BinaryIO) -> Draft:
    """Store a file; a session has one at a time."""
    discard(request)
    forget_old()
    stored_as = default_storage.save(f"{FOLDER}/{uuid4().hex}", File(file))
    return _remember(request, Draft(entity, name, stored_as, {}))


def change(request: HttpRequest, draft: Draft, settings: dict[str, Any]) -> Draft:
    """Other settings for the same file."""
    return _remember(request, Draft(draft.entity, draft.name, draft.stored_as, settings))


def draft_of(request: HttpRequest) -> Draft:
    """The session's file. Raises NotVisibleError where there is none (any more)."""
    given = request.session.get(_KEY)
    draft = Draft(**given) if given else None
    if draft is None or not _is_kept(draft.stored_as):
        raise _gone_error()
    return draft


def note_rehearsal(request: HttpRequest, draft: Draft, job: int) -> None:
    """Remember that this job rehearsed the file with its present settings."""
    request.session[_REHEARSED] = {"job": job, "draft": asdict(draft)}


def is_rehearsed(request: HttpRequest, job: int) -> bool:
    """Whether the session's file and settings are those that this job rehearsed."""
    found = request.session.get(_REHEARSED)
    given = request.session.get(_KEY)
    return given is not None and found == {"job": job, "draft": given} and _is_kept(given["stored_as"])


def claim(draft: Draft) -> None:
    """Have the file alone until the transaction ends, so that of two imports of it at once one is made.
    Raises ConflictError where another has it, NotVisibleError where another is done with it."""
    if not try_lock(IMPORT_DRAFT, draft.stored_as):
        raise ConflictError(_("This file is being imported at this moment: look under Imports."))
    if not _is_kept(draft.stored_as):
        raise _gone_error()


@contextmanager
def opened(draft: Draft) -> Iterator[Any]:
    """Raises NotVisibleError for a file that is gone."""
    try:
        file = default_storage.open(draft.stored_as)
    except FileNotFoundError as error:
        raise _gone_error() from error
    with file:
        yield file


def _gone_error() -> NotVisibleError:
    return NotVisibleError(_("There is no uploaded file any more: choose it again."))


def discard(request: HttpRequest) -> None:
    """Delete the session's file."""
    given = request.session.pop(_KEY, None)
    request.session.pop(_REHEARSED, None)
    if given:
        default_storage.delete(given["stored_as"])


def _remember(request: HttpRequest, draft: Draft) -> Draft:
    request.session[_KEY] = asdict(draft)
    return draft


def forget_old() -> None:
    """Delete what sessions left behind that never came back."""
    if not default_storage.exists(FOLDER):
        return
    for name in default_storage.listdir(FOLDER)[1]:
        path = f"{FOLDER}/{name}"
        # Another may delete it first.
        with suppress(FileNotFoundError):
            if _is_old(path):
                default_storage.delete(path)


def withdraw() -> int:
    """Delete all of them once the transaction is committed; who comes back is asked for the file again.
    Returns how many there were."""
    found = default_storage.listdir(FOLDER)[1] if default_storage.exists(FOLDER) else []
    for name in found:
        transaction.on_commit(partial(default_storage.delete, f"{FOLDER}/{name}"), robust=True)
    return len(found)


def _is_kept(path: str) -> bool:
    try:
        return default_storage.exists(path) and not _is_old(path)
    except FileNotFoundError:
        return False


def _is_old(path: str) -> bool:
    return default_storage.get_modified_time(path) < timezone.now() - KEPT_FOR
