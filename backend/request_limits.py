"""What Django itself limits, looked at before anything else works on the request.

Django raises where a limit is first met: deep inside a view, or in the page that describes an error while
debugging, which asks for the query again and takes seconds of CPU for a bare 500. Asked for here, each of
them is a problem document at once, whatever DEBUG says.
"""

from collections.abc import Callable

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError

from core.api import problems
from core.api.body_limits import body_limit

FORM = "application/x-www-form-urlencoded"


class RequestLimitsMiddleware:
    """Hosts, query parameters, the length of bodies, and the fields of forms.

    Uploads to the API are parsed by its views, whose exception handler answers for them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            check(request)
        except RequestDataTooBig as error:
            return problems.plain(413, "request_entity_too_large", str(error), request)
        except TooManyFieldsSent:
            return problems.plain(400, "too_many_fields", "Too many parameters or fields.", request)
        except (SuspiciousOperation, MultiPartParserError):
            return problems.bad_request(request)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A page whose statement took too long."""
        if isinstance(exception, OperationalError) and problems.is_timeout(exception):
            return problems.took_too_long(request)
        return None


def check(request: HttpRequest) -> None:
    """Raises what Django raises where the request is beyond one of its limits, or of ours."""
    limit = body_limit(request.path_info).size
    if _length(request) > limit:
        raise RequestDataTooBig(f"At most {limit} bytes may be sent here.")
    request.get_host()
    _ = request.GET
    if request.content_type == FORM or not request.path_info.startswith("/api/"):
        _ = request.POST


def _length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text) if text.isascii() and text.isdigit() else 0
