"""One HTTP request to someone else's machine: to the checked address, within one time limit, read a little.

Built on httpcore2, the transport below httpx2, because it takes a network backend: the address that was
judged is the address that is connected to, while Host, SNI and the certificate's name stay the host's. It
follows no redirect, reads no proxy from the environment, keeps no cookie and unpacks nothing.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any

import httpcore2

from core.outbound.addresses import AddressRefusedError, Lookup, ParsedUrl, parse_url, resolve, system_lookup

CONNECT_S = 5.0
TOTAL_S = 15.0
MAX_READ = 64 * 1024
USER_AGENT = "CRM-Webhooks/1.0"
# Named by us alone: a caller's own would change whom the request speaks to or how long it is.
RESERVED_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "user-agent"}


class UnreachableError(Exception):
    """No answer. The message is one of a few, the same for every cause that would reveal our network."""

    def __init__(self, message: str, *, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True)
class Request:
    url: str
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What came back: at most MAX_READ bytes of body, as they were on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    duration_ms: int


def send(
    request: Request,
    *,
    lookup: Lookup = system_lookup,
    total_s: float = TOTAL_S,
    connect_s: float = CONNECT_S,
) -> Reply:
    """The reply to one request. Raises UnreachableError; AddressRefusedError for what may not be called."""
    started = time.monotonic()
    target = parse_url(request.url)
    backend = _PinnedBackend(target, lookup, started + total_s, started + min(connect_s, total_s))
    try:
        with httpcore2.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool:
            status, headers, body = _exchange(pool, target, request)
    except AddressRefusedError:
        raise
    except httpcore2.ConnectTimeout as error:
        # As of a closed port: whether something drops our packets is nobody's business.
        raise UnreachableError("The address could not be reached.", cause=repr(error)) from error
    except (httpcore2.TimeoutException, TimeoutError) as error:
        raise UnreachableError("No answer in time.", cause=repr(error)) from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
        raise UnreachableError("The address could not be reached.", cause=repr(error)) from error
    return Reply(status, headers, body, round((time.monotonic() - started) * 1000))


def _exchange(
    pool: httpcore2.ConnectionPool, target: ParsedUrl, request: Request
) -> tuple[int, dict[str, str], bytes]:
    url = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    with pool.stream(request.method, url, headers=_headers(target, request), content=request.body) as reply:
        body = b""
        for part in reply.iter_stream():
            body += part
            if len(body) >= MAX_READ:
                break
        names = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in reply.headers]
        return reply.status, dict(names), body[:MAX_READ]


def _headers(target: ParsedUrl, request: Request) -> list[tuple[bytes, bytes]]:
    fixed = {
        "Host": target.authority,
        "User-Agent": USER_AGENT,
        "Connection": "close",
        "Content-Length": str(len(request.body)),
    }
    own = {k: v for k, v in request.headers.items() if k.lower() not in RESERVED_HEADERS}
    # Names of people have letters that ASCII has not: such values go out as UTF-8.
    return [(name.encode("ascii"), value.encode()) for name, value in {**fixed, **own}.items()]


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _PinnedBackend(httpcore2.NetworkBackend):
    """Connects to the judged address of one target, whatever it is asked for, and ends on time."""

    def __init__(self, target: ParsedUrl, lookup: Lookup, deadline: float, connect_by: float) -> None:
        self.target, self.lookup = target, lookup
        self.deadline, self.connect_by = deadline, connect_by
        self.real = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        address = within(self.connect_by, lambda: resolve(self.target, self.lookup))
        options = [*(socket_options or []), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)]
        stream = self.real.connect_tcp(address, self.target.port, left(self.connect_by), None, options)
        return _TimedStream(stream, self.deadline, self.connect_by)


class _TimedStream(httpcore2.NetworkStream):
    """A stream whose every operation ends at the same moment: a reply that drips does not stretch it."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float, connect_by: float) -> None:
        self.stream, self.deadline, self.connect_by = stream, deadline, connect_by

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, left(self.deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, left(self.deadline))

    def close(self) -> None:
        with suppress(OSError):
            self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secure = self.stream.start_tls(ssl_context, server_hostname, left(self.connect_by))
        return _TimedStream(secure, self.deadline, self.connect_by)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


def left(deadline: float) -> float:
    """Seconds until a moment of the monotonic clock. Raises httpcore2.ReadTimeout when it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore2.ReadTimeout("time is up")
    return seconds


def within(deadline: float, work: Any) -> Any:
    """The result of `work()`, awaited no longer than `deadline`: the system's resolver has no time limit."""
    answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((work(), None))
        except (AddressRefusedError, OSError, ValueError) as error:
            answers.put((None, error))

    threading.Thread(target=run, daemon=True, name="lookup").start()
    try:
        value, error = answers.get(timeout=left(deadline))
    except Empty:
        raise httpcore2.ConnectTimeout("the name was not resolved in time") from None
    if error is not None:
        raise error
    return value
