"""What an API key may be used for.

`read` and `write` (which includes reading) hold for every resource, `<resource>:read` and `<resource>:write`
for one. Users and teams are written only by a key that names them: a key that leaks makes no administrators,
and one made for an integration lets no AI client write. What is kept of a person is not even read without
that name, nor is anything at /scim/.

The address says which resource a request is sent to (core.api.permissions). What it shows or does besides (an
expanded reference, the rows of an export, the records a workflow writes) is asked for here, by the user, who
carries the scopes of the key that speaks for them: `covers` and `require`.
"""

import re
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.errors import ForbiddenError

READ, WRITE = "read", "write"
# An AI client writes only where its key says so by name.
NAMED_ONLY = frozenset({"users", "teams", "agents", "privacy", "scim"})
# Read, too, by such a key alone: a dossier of a person is made and fetched there, or everybody is listed.
READ_BY_NAME = frozenset({"privacy", "scim"})
# What an identity provider manages users and groups by; for keys of administrators.
SCIM = "scim"
FORM = re.compile(r"(?:[a-z][a-z0-9_]{0,50}:)?(?:read|write)\Z")
MESSAGE = gettext_lazy("The scopes of this API key do not cover this.")


class ScopeMissingError(ForbiddenError):
    """The user might, and the API key that speaks for them may not."""

    code = "scope_missing"


def scope_allows(scopes: Iterable[str], resource: str, *, writing: bool) -> bool:
    """Whether a key with these scopes may read, or write, the resource."""
    held = set(scopes)
    if writing:
        general = set() if resource in NAMED_ONLY else {WRITE}
        return bool(held & (general | {f"{resource}:{WRITE}"}))
    general = set() if resource in READ_BY_NAME else {READ, WRITE}
    return bool(held & (general | {f"{resource}:{READ}", f"{resource}:{WRITE}"}))


def limit_to(user: Any, scopes: Iterable[str]) -> None:
    """From here on this instance of the user is spoken for by a key with these scopes."""
    user.key_scopes = frozenset(scopes)


def is_limited(user: Any) -> bool:
    """Whether an API key speaks for this instance of the user."""
    return getattr(user, "key_scopes", None) is not None


def covers(user: Any, resource: str, *, writing: bool = False) -> bool:
    """Whether the key that speaks for `user` may read, or write, the resource; true where no key does."""
    held = getattr(user, "key_scopes", None)
    return held is None or scope_allows(held, resource, writing=writing)


def require(user: Any, *resources: str, writing: bool = False) -> None:
    """Raises ScopeMissingError naming the scopes that the key lacks."""
    missing = [r for r in resources if not covers(user, r, writing=writing)]
    if missing:
        wanted = " and ".join(f"{resource}:{WRITE if writing else READ}" for resource in missing)
        raise ScopeMissingError(
            _("%(message)s It takes %(wanted)s.") % {"message": MESSAGE, "wanted": wanted}
        )
