"""Files that wait between the steps of the admin's import wizard: kept in the default storage, known to the
session that uploaded them, and gone after a day."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, BinaryIO
from uuid import uuid4

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.http import HttpRequest
from django.utils import timezone

from core.errors import NotVisibleError

FOLDER = "import_drafts"
KEPT_FOR = timedelta(days=1)
_KEY = "import_draft"


@dataclass(frozen=True)
class Draft:
    """An uploaded file that is not imported yet, and the settings that were chosen for it."""

    entity: str
    name: str
    stored_as: str
    settings: dict[str, Any]


def keep(request: HttpRequest, entity: str, name: str, file: BinaryIO) -> Draft:
    """Store a file; a session has one at a time."""
    discard(request)
    _forget_old_ones()
    stored_as = default_storage.save(f"{FOLDER}/{uuid4().hex}", File(file))
    return _remember(request, Draft(entity, name, stored_as, {}))


def change(request: HttpRequest, draft: Draft, settings: dict[str, Any]) -> Draft:
    """Other settings for the same file."""
    return _remember(request, Draft(draft.entity, draft.name, draft.stored_as, settings))


def draft_of(request: HttpRequest) -> Draft:
    """The session's file. Raises NotVisibleError where there is none (any more)."""
    given = request.session.get(_KEY)
    draft = Draft(**given) if given else None
    if draft is None or not default_storage.exists(draft.stored_as):
        raise NotVisibleError("There is no uploaded file any more: choose it again.")
    return draft


@contextmanager
def opened(draft: Draft) -> Iterator[Any]:
    with default_storage.open(draft.stored_as) as file:
        yield file


def discard(request: HttpRequest) -> None:
    """Delete the session's file."""
    given = request.session.pop(_KEY, None)
    if given:
        default_storage.delete(given["stored_as"])


def _remember(request: HttpRequest, draft: Draft) -> Draft:
    request.session[_KEY] = asdict(draft)
    return draft


def _forget_old_ones() -> None:
    """Delete what sessions left behind that never came back."""
    if not default_storage.exists(FOLDER):
        return
    limit = timezone.now() - KEPT_FOR
    for name in default_storage.listdir(FOLDER)[1]:
        path = f"{FOLDER}/{name}"
        if default_storage.get_modified_time(path) < limit:
            default_storage.delete(path)
