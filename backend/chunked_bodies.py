"""Bodies without a declared length (`Transfer-Encoding: chunked`) under WSGI servers."""

import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

from core.api.body_limits import body_limit

BLOCK = 64 << 10

Environ = dict[str, Any]
WSGIApplication = Callable[[Environ, Any], Iterable[bytes]]


def with_length(application: WSGIApplication) -> WSGIApplication:
    """`application` with the length of bodies that come without one (`Transfer-Encoding: chunked`), which
    Django would take for empty. One byte beyond the limit is read, for the application to refuse."""

    def run(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH") or not environ.get("wsgi.input_terminated"):
            return application(environ, start_response)
        left = body_limit(environ.get("PATH_INFO", "")).size + 1
        with tempfile.SpooledTemporaryFile(max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE) as body:
            while left and (block := environ["wsgi.input"].read(min(BLOCK, left))):
                body.write(block)
                left -= len(block)
            environ |= {"CONTENT_LENGTH": str(body.tell()), "wsgi.input": body}
            body.seek(0)
            return application(environ, start_response)

    return run
