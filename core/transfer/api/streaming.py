"""Bytes made bit by bit, served by either kind of server without being gathered first."""

import asyncio
import threading
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _
from rest_framework.exceptions import Throttled

# Downloads of a process at one time, and of a user among them: each has a connection, and some are slow.
STREAMS = 8
STREAMS_EACH = 3
RETRY_AFTER_S = 10


class Slots:
    """So many at once, and so many for each user."""

    def __init__(self, total: int, each: int) -> None:
        self.total, self.each = total, each
        self._taken: Counter[Any] = Counter()
        self._lock = threading.Lock()

    def take(self, user: Any) -> bool:
        with self._lock:
            if self._taken.total() >= self.total or self._taken[user] >= self.each:
                return False
            self._taken[user] += 1
            return True

    def release(self, user: Any) -> None:
        with self._lock:
            self._taken[user] -= 1
            self._taken += Counter()  # forgets those who have none


_slots = Slots(STREAMS, STREAMS_EACH)


class Download(StreamingHttpResponse):
    """A stream whose source ends with it: what waits for the garbage collector holds a connection.

    `ended` is called once, when it is closed or at the latest when it is collected.
    """

    def __init__(self, blocks: Any, ended: Callable[[], Any], **options: Any) -> None:
        super().__init__(blocks, **options)
        self._source = blocks
        self._ended = weakref.finalize(self, ended)

    async def aclose(self) -> None:
        await self._source.aclose()

    def close(self) -> None:
        super().close()
        self._ended()


def streamed(
    request: Any, blocks: Iterator[bytes], content_type: str, name: str, *, begun: bool = False
) -> StreamingHttpResponse:
    """A download. Under ASGI Django would gather a plain iterator whole, so it gets an asynchronous one.

    `begun` waits for the first block, so that what makes the whole impossible is raised here and answered as
    such: behind the head of a response it could only break off. Raises Throttled while too many go on.
    """
    user = request.user.pk
    if not _slots.take(user):
        raise Throttled(RETRY_AFTER_S, _("Too many downloads at once; try again shortly."))
    if begun:
        try:
            blocks = _resumed(next(blocks), blocks)
        except BaseException:
            _slots.release(user)
            raise
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-store",
        "X-Accel-Buffering": "no",
    }
    source: Any = in_own_thread(blocks) if isinstance(request._request, ASGIRequest) else blocks
    return Download(source, partial(_slots.release, user), content_type=content_type, headers=headers)


def _resumed(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from blocks


async def in_own_thread(blocks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The blocks, made one at a time in a thread of their own with a connection of its own."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="export") as thread:
        try:
            while (block := await loop.run_in_executor(thread, next, blocks, None)) is not None:
                yield block
        finally:
            await asyncio.shield(loop.run_in_executor(thread, _end, blocks))


def _end(blocks: Any) -> None:
    with closing(blocks):
        pass
    connections.close_all()
