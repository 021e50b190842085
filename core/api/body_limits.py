"""How large a request's body may be, by the kind of route: read by the server, the middleware and the parser.

A body beyond its limit is a 413 before any of it is parsed. JSON is bounded in its keys and items as well:
what costs is not the text but an error for each of a hundred thousand unknown names.
"""

import re
from dataclasses import dataclass

from django.conf import settings

from core.conf import conf

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True)
class BodyLimit:
    """`size` in bytes; `keys` of one JSON object and `items` of one JSON list."""

    size: int
    keys: int = 1_000
    items: int = 10_000


SIGN_IN = BodyLimit(16 * KIB, keys=50, items=200)
JSON = BodyLimit(MIB)
# One more than the most ids, so that one too many is refused by the name of its field.
BULK = BodyLimit(10 * MIB, items=20_000)

_SIGN_IN = re.compile(r"/(?:api/auth|admin/login|oauth)(?:/|\Z)")
# Of the API, and of the wizard in the admin site.
_UPLOAD = re.compile(r"/api/v\d+/import/|/admin/core/importjob/new/\Z")
_BULK = re.compile(r"/api/v\d+/[^/]+/(?:bulk[_-][a-z_-]+|assign)/?\Z")
_API = re.compile(r"/(?:api|mcp|scim)(?:/|\Z)")


def body_limit(path: str) -> BodyLimit:
    """The limit for a request to `path`."""
    if _SIGN_IN.match(path):
        return SIGN_IN
    if _UPLOAD.match(path):
        # The file, and the other fields of its form.
        return BodyLimit((conf.IMPORT_MAX_MB + 1) * MIB)
    if _BULK.match(path):
        return BULK
    return JSON if _API.match(path) else BodyLimit(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
