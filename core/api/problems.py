"""Every error as an RFC 9457 problem document, whatever raised it."""

import errno
import logging
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import islice
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import IntegrityError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_noop
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from core import errors
from core.api.idempotency import KeyReusedError
from core.api.rendering import dumps
from core.api.request_ids import request_id_of

log = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"
# Relative, so that it holds wherever the server stands; each is explained in docs/errors.md.
TYPE_BASE = "/problems/"
# An answer holds no more than so many errors, so many characters of each and of all of them.
MAX_ERRORS = 50
MAX_NAME, MAX_MESSAGE, MAX_TEXT = 200, 2_000, 32_000

_STATUS: list[tuple[type[Exception], int]] = [
    (errors.InvalidError, 400),
    (errors.ValueRefusedError, 400),
    (errors.NotVisibleError, 404),
    (errors.ForbiddenError, 403),
    (errors.ConflictError, 409),
    (errors.StaleVersionError, 412),
    (KeyReusedError, 422),
    (Http404, 404),
    (PermissionDenied, 403),
    (RequestDataTooBig, 413),
    # Django's own limits: too many fields or files, a host that is not ours.
    (SuspiciousOperation, 400),
]


def problem(status: int, code: str, detail: str, request: Any, **more: Any) -> dict[str, Any]:
    """The document itself; `code` makes the stable `type`."""
    return {
        "type": TYPE_BASE + code.replace("_", "-"),
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _cut(detail, MAX_MESSAGE),
        "instance": _cut(getattr(request, "path", ""), MAX_MESSAGE),
        "request_id": request_id_of(request),
        **more,
    }


def listed(errors: Iterable[dict[str, str]]) -> dict[str, Any]:
    """The member `errors` of a document, cut to what an answer holds; where more was wrong than that,
    `errors_truncated` says so."""
    found: list[dict[str, str]] = []
    left = MAX_TEXT
    remaining = iter(errors)
    for error in islice(remaining, MAX_ERRORS):
        cut = error | {
            "field": _cut(error["field"], MAX_NAME),
            "message": _cut(error["message"], MAX_MESSAGE),
        }
        left -= len(cut["field"]) + len(cut["message"])
        if left < 0:
            return {"errors": found, "errors_truncated": True}
        found.append(cut)
    more = next(remaining, None) is not None
    return {"errors": found, **({"errors_truncated": True} if more else {})}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


_CODES = {status: HTTPStatus(status).name.lower() for _, status in _STATUS}


def handle(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. None (and so Django's 500) for what nobody expected."""
    request = context.get("request")
    made = (
        _of_domain(exception, request)
        or _of_drf(exception, request)
        or _of_database(exception, request)
        or _of_disk(exception, request)
    )
    if made is None:
        return None
    set_rollback()
    return made


def _response(document: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(document, document["status"], headers=headers, content_type=CONTENT_TYPE)


def _of_domain(exception: Exception, request: Any) -> Response | None:
    status = next((s for kind, s in _STATUS if isinstance(exception, kind)), None)
    if status is None:
        return None
    code = getattr(exception, "code", _CODES[status])
    detail = getattr(exception, "message", "") or HTTPStatus(status).phrase
    headers = {"ETag": exception.current_etag} if isinstance(exception, errors.StaleVersionError) else None
    return _response(problem(status, code, detail, request, **listed(_issues(exception))), headers)


def issues_of(exception: Exception) -> list[dict[str, str]]:
    """What is wrong, field by field, for an answer that holds several errors; cut as in a document."""
    if isinstance(exception, exceptions.APIException):
        return listed(_flattened(exception.get_full_details()))["errors"]
    whole = {"field": "", "code": getattr(exception, "code", "error"), "message": str(exception)}
    return listed(list(_issues(exception)) or [whole])["errors"]


def _issues(exception: Exception) -> Iterator[dict[str, str]]:
    for issue in getattr(exception, "issues", []):
        yield {"field": issue.field, "code": issue.code, "message": issue.message}


def _of_drf(exception: Exception, request: Any) -> Response | None:
    if not isinstance(exception, exceptions.APIException):
        return None
    errors_found = listed(_flattened(exception.get_full_details()))
    found = errors_found["errors"]
    if isinstance(exception, exceptions.ValidationError):
        detail = "; ".join(": ".join(filter(None, (one["field"], one["message"]))) for one in found)
        return _response(problem(exception.status_code, "invalid", detail, request, **errors_found))
    [single] = found[:1]
    document = problem(exception.status_code, single["code"], single["message"], request, errors=[])
    return _response(document, _drf_headers(exception))


def _drf_headers(exception: exceptions.APIException) -> dict[str, str]:
    headers: dict[str, str] = {}
    # Put there by APIView.handle_exception and by Throttled.
    scheme = getattr(exception, "auth_header", None)
    if scheme:
        headers["WWW-Authenticate"] = scheme
    wait = getattr(exception, "wait", None)
    if wait:
        headers["Retry-After"] = str(int(wait) + 1)
    return headers


def _flattened(details: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested details as one list, `non_field_errors` under the name of what holds them."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        yield {"field": path, "code": str(details["code"]), "message": str(details["message"])}
    elif isinstance(details, dict):
        for key, value in details.items():
            below = path if key == "non_field_errors" else f"{path}.{key}".lstrip(".")
            yield from _flattened(value, below)
    elif isinstance(details, list):
        for item in details:
            yield from _flattened(item, path)


def _of_database(exception: Exception, request: Any) -> Response | None:
    """The database is away or overloaded: the client may come back."""
    if isinstance(exception, IntegrityError):
        # Checked before; so what it refers to was changed in between.
        log.warning("refused by a constraint: %s", exception)
        return _response(
            problem(409, "conflict", gettext("Something it refers to was changed meanwhile."), request)
        )
    if not isinstance(exception, OperationalError):
        return None
    if is_timeout(exception):
        return _response(problem(503, "timeout", gettext(TOOK_TOO_LONG), request), {"Retry-After": "30"})
    log.error("database unavailable: %s", exception)
    document = problem(503, "unavailable", gettext("The database cannot be reached right now."), request)
    return _response(document, {"Retry-After": "5"})


def _of_disk(exception: Exception, request: Any) -> Response | None:
    """Files cannot be kept: nothing of the request was, and somebody has to make space."""
    if not isinstance(exception, OSError) or exception.errno not in FULL:
        return None
    log.error("the disk for files is full: %s", exception)
    return _response(problem(507, "disk_full", gettext(DISK_FULL), request))


FULL = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL = gettext_noop("There is no space left for files.")
TOOK_TOO_LONG = gettext_noop(
    "This took longer than a request may. Narrow what is asked for, or try again later."
)
QUERY_CANCELED = "57014"


def is_timeout(exception: BaseException) -> bool:
    """Whether the database ended a statement that took longer than it may (statement_timeout)."""
    return getattr(exception.__cause__, "sqlstate", "") == QUERY_CANCELED


def took_too_long(request: HttpRequest) -> HttpResponse:
    """A statement's time was over, outside of the API's views."""
    made = plain(503, "timeout", gettext(TOOK_TOO_LONG), request)
    made["Retry-After"] = "30"
    return made


def plain(status: int, code: str, detail: str, request: HttpRequest) -> HttpResponse:
    """A problem from outside DRF (unknown address, crash before a view was found)."""
    body = dumps(problem(status, code, detail, request))
    headers = {"X-Request-ID": request_id_of(request), "Content-Length": str(len(body))}
    return HttpResponse(body, status=status, content_type=CONTENT_TYPE, headers=headers)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return plain(404, "not_found", gettext("There is nothing at this address."), request)


def server_error(request: HttpRequest) -> HttpResponse:
    return plain(
        500, "server_error", gettext("Something went wrong; the request id finds it in the log."), request
    )


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return plain(400, "bad_request", gettext("The request could not be understood."), request)
