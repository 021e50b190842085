"""`If-Match`: a change to a state the client has not seen is refused (RFC 9110 section 13.1.1)."""

import hashlib
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.request import Request

from core.api.rendering import dumps
from core.errors import StaleVersionError


def check(request: Request, record: Any) -> None:
    """Compare `If-Match` with the locked record's version. Raises StaleVersionError."""
    check_tag(request, lambda: record.etag)


def check_tag(request: Request, present: Callable[[], str]) -> None:
    """Compare `If-Match`, where there is one, with the present entity tag. Raises StaleVersionError."""
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return
    # Strong comparison: a weak tag never matches.
    tags = [tag.strip() for tag in given.split(",")]
    if present() not in tags:
        raise StaleVersionError(_("This was changed since you read it."), present())


def tag_of(state: Any) -> str:
    """The entity tag of what has no version of its own: a digest of what can be changed about it."""
    return f'"{hashlib.sha256(dumps(state)).hexdigest()[:24]}"'


def tag_shown(serializer: Any) -> str:
    """The tag of the row that a serializer shows. What is only shown with it (when it was used last, how many
    members it has) makes no other tag."""
    shown = serializer.data
    writable = [n for n, f in serializer.fields.items() if not f.read_only and not f.write_only]
    return tag_of([serializer.instance.pk, {name: shown.get(name) for name in writable or shown}])
