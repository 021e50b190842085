"""Domain errors. Only the API layer translates them to HTTP (see core.api.problems)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _


@dataclass(frozen=True)
class FieldIssue:
    """What is wrong with one field; `field` is the path as the client wrote it ("" for the whole record)."""

    field: str
    code: str
    message: str

    def __post_init__(self) -> None:
        # What is translated lazily is so now, in the language of whoever made the mistake.
        object.__setattr__(self, "message", str(self.message))


class DomainError(Exception):
    """Base of every error that is the caller's to mend; `code` is stable, the message is for people."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(str(message))
        self.message = str(message)
        if code:
            self.code = code


class ValueRefusedError(DomainError):
    """One value is not acceptable; the caller knows which field it was for."""

    code = "invalid"


class InvalidError(DomainError):
    """Input that cannot be accepted, with every field that is wrong."""

    code = "invalid"

    def __init__(self, issues: list[FieldIssue]) -> None:
        super().__init__("; ".join(f"{i.field}: {i.message}" if i.field else i.message for i in issues))
        self.issues = issues

    @classmethod
    def of(cls, field: str, message: str, code: str = "invalid") -> "InvalidError":
        return cls([FieldIssue(field, code, message)])

    @classmethod
    def unknown(cls, field: Any, known: Iterable[str], code: str = "unknown_field") -> "InvalidError":
        return cls([unknown(field, known, code)])


def unknown(field: Any, known: Iterable[str], code: str = "unknown_field") -> FieldIssue:
    """What is none of `known`. It is cut: a client may have named it at any length."""
    return FieldIssue(
        str(field)[:120], code, _("Unknown. Known: %(known)s.") % {"known": ", ".join(known) or _("none")}
    )


@contextmanager
def refused_as(field: str) -> Iterator[None]:
    """What is refused inside is refused as the value of `field`. Raises InvalidError."""
    try:
        yield
    except ValueRefusedError as error:
        raise InvalidError.of(field, error.message, error.code) from error


class NotVisibleError(DomainError):
    """The record does not exist for this user: missing and hidden look alike."""

    code = "not_found"


class ForbiddenError(DomainError):
    """The record may be seen but this may not be done with it."""

    code = "permission_denied"


class ConflictError(DomainError):
    """The state of the record does not allow this (converted twice, completed twice, a duplicate); `issues`
    name what stands against it, one by one."""

    code = "conflict"

    def __init__(self, message: str, *, code: str | None = None, issues: Iterable[FieldIssue] = ()) -> None:
        super().__init__(message, code=code)
        self.issues = list(issues)


class StaleVersionError(DomainError):
    """The record was changed since the caller read it (If-Match)."""

    code = "stale_version"

    def __init__(self, message: str, current_etag: str) -> None:
        super().__init__(message)
        self.current_etag = current_etag
