"""`If-Match`: a change to a version the client has not seen is refused (RFC 9110 section 13.1.1)."""

from typing import Any

from rest_framework.request import Request

from core.errors import StaleVersionError


def check(request: Request, record: Any) -> None:
    """Compare `If-Match` with the locked record's version. Raises StaleVersionError."""
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return
    # Strong comparison: a weak tag never matches.
    tags = [tag.strip() for tag in given.split(",")]
    if record.etag not in tags:
        raise StaleVersionError("The record was changed since you read it.", record.etag)
