"""Requests of an application whose middleware and views are all synchronous, one thread for each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from contextvars import copy_context
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_started
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from core.api import problems
from core.api.body_limits import body_limit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

# A body may take this long, and a second more for each so many bytes of it: no honest line is slower.
BODY_SECONDS = 30.0
BYTES_PER_SECOND = 16 << 10
TOO_LARGE = "request_entity_too_large"
# How long, and how much, is still read from a client whose body was refused, so that it reads the answer.
LINGER_SECONDS, LINGER_BYTES = 2.0, 8 << 20


class BodyRefusedError(Exception):
    """The body is not read to its end; `response` says why."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


class ThreadedHandler(ASGIHandler):
    """Django's ASGI handler with everything between body and answer in one thread of a fixed pool.

    Django's own goes to a thread and back five times per request (signals, middleware, view, signals) and
    makes the thread anew for each: as much work as one of our lists is. The event loop still reads bodies
    and writes answers, so that a slow client holds no thread. Bodies are bounded in size, by the kind of
    route (core.api.body_limits), and in time.
    """

    def __init__(self, threads: int, body_seconds: float = BODY_SECONDS) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._body_seconds = body_seconds

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self.read_bounded(scope, receive)
        except RequestAborted:
            return
        except BodyRefusedError as refusal:
            await self._refuse(refusal, scope, receive, send)
            return
        with body:
            response = await self._in_thread(self._respond, scope, body)
            if response.streaming:
                self._read_in_threads(response)
                await self._stream(response, receive, send)
            else:
                await self.send_response(response, send)

    async def read_bounded(self, scope: Scope, receive: Receive) -> IO[bytes]:
        """The whole body, however it was framed: its length is declared in `scope` afterwards, for Django
        takes a body without one (`Transfer-Encoding: chunked`) for empty.

        Raises RequestAborted, and BodyRefusedError for one that is too large or comes too slowly.
        """
        limit = body_limit(scope["path"]).size
        if _declared_length(scope) > limit:
            raise _too_large(limit)
        with ExitStack() as unfinished:
            body = unfinished.enter_context(SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE))
            length = await self._read_into(body, limit, receive)
            unfinished.pop_all()
        body.seek(0)
        _declare_length(scope, length)
        return body

    async def _read_into(self, body: IO[bytes], limit: int, receive: Receive) -> int:
        loop = asyncio.get_running_loop()
        started, length, more = loop.time(), 0, True
        while more:
            try:
                async with asyncio.timeout_at(started + self._body_seconds + length / BYTES_PER_SECOND):
                    message = await receive()
            except TimeoutError:
                raise BodyRefusedError(408, "request_timeout", "The body did not arrive in time.") from None
            if message["type"] == "http.disconnect":
                raise RequestAborted
            block = message.get("body", b"")
            length += len(block)
            if length > limit:
                raise _too_large(limit)
            body.write(block)
            more = message.get("more_body", False)
        return length

    async def _refuse(self, refusal: BodyRefusedError, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then read on for a moment before the connection ends: a client that is still sending would
        otherwise see a broken connection and not the reason."""
        answer = problems.plain(refusal.status, refusal.code, refusal.detail, _nameless(scope))
        headers = {**answer.headers, "Connection": "close", "Content-Length": str(len(answer.content))}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": refusal.status, "headers": encoded})
        await send({"type": "http.response.body", "body": answer.content, "more_body": True})
        if not _expects_continue(scope):
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):
                    await _read_away(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _respond(self, scope: Scope, body: IO[bytes]) -> HttpResponseBase:
        """The answer; a whole one is closed here, which gives the database connection back."""
        set_script_prefix(get_script_prefix(scope))
        request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any
        if request is not None:
            response = self.get_response(request)
        else:
            response = _as_problem(refusal.status_code if refusal else 400, scope)
        response._handler_class = self.__class__
        if not response.streaming:
            response.close()
        return response

    def _read_in_threads(self, response: Any) -> None:
        """Files are read block by block in the threads of requests: Django reads them whole, with a warning.
        What else streams here is asynchronous by itself (core.transfer.api.streaming)."""
        if isinstance(response, FileResponse) and not response.is_async:
            response.streaming_content = self._blocks(response.streaming_content)

    async def _blocks(self, source: Any) -> AsyncIterator[bytes]:
        while (block := await self._in_thread(next, source, None)) is not None:
            yield block

    async def _stream(self, response: HttpResponseBase, receive: Receive, send: Send) -> None:
        """Send it until its end or until the client goes away; what it has for `aclose` ends its source."""
        steps = [self.send_response(response, send), self.listen_for_disconnect(receive)]
        tasks = [asyncio.ensure_future(step) for step in steps]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            if hasattr(response, "aclose"):
                await response.aclose()
            await self._in_thread(response.close)
        if isinstance(ends[0], Exception):
            raise ends[0]  # the server then breaks the connection off: a half is not taken for the whole

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, copy_context().run, work, *arguments)


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key.lower() == name), b"")


def _declared_length(scope: Scope) -> int:
    """The Content-Length; 0 where there is none (the server has refused what is no number)."""
    text = _header(scope, b"content-length")
    return int(text) if text.isdigit() else 0


def _declare_length(scope: Scope, length: int) -> None:
    framing = (b"content-length", b"transfer-encoding")
    kept = [(key, value) for key, value in scope["headers"] if key.lower() not in framing]
    had_body = len(kept) != len(scope["headers"])
    scope["headers"] = [*kept, (b"content-length", str(length).encode())] if had_body or length else kept


def _expects_continue(scope: Scope) -> bool:
    """Whether the client waits to be asked for its body."""
    return _header(scope, b"expect").lower() == b"100-continue"


async def _read_away(receive: Receive) -> None:
    read = 0
    while read < LINGER_BYTES:
        message = await receive()
        read += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return


def _too_large(limit: int) -> BodyRefusedError:
    return BodyRefusedError(413, TOO_LARGE, f"At most {limit} bytes may be sent here.")


def _as_problem(status: int, scope: Scope) -> HttpResponseBase:
    """What Django refuses before there is a request (a query that is no UTF-8), as everything is refused."""
    if status == 413:
        return problems.plain(413, TOO_LARGE, "The request is too large.", _nameless(scope))
    return problems.bad_request(_nameless(scope))


def _nameless(scope: Scope) -> HttpRequest:
    """What a problem says of a request that never became one of Django's."""
    request = HttpRequest()
    request.path = scope["path"]
    request.request_id = uuid4().hex  # type: ignore[attr-defined]
    return request
