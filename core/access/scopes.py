"""What an API key may be used for.

`read` and `write` (which includes reading) hold for every resource, `<resource>:read` and `<resource>:write`
for one. Users and teams are written only by a key that names them: a key that leaks makes no administrators.
"""

import re
from collections.abc import Iterable
from typing import Any

READ, WRITE = "read", "write"
NAMED_ONLY = frozenset({"users", "teams"})
FORM = re.compile(r"(?:[a-z][a-z0-9_]{0,50}:)?(?:read|write)\Z")


def are_allowing(scopes: Iterable[str], resource: str, *, writing: bool) -> bool:
    """Whether a key with these scopes may read, or write, the resource."""
    held = set(scopes)
    if writing:
        general = set() if resource in NAMED_ONLY else {WRITE}
        return bool(held & (general | {f"{resource}:{WRITE}"}))
    return bool(held & {READ, WRITE, f"{resource}:{READ}", f"{resource}:{WRITE}"})


def of(request: Any) -> list[str] | None:
    """The scopes that a request is bound by; None where no API key speaks for the user."""
    return getattr(request.auth, "scopes", None)
