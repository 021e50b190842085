"""Bytes made bit by bit, served by either kind of server without being gathered first."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import StreamingHttpResponse

# Downloads of a process at one time, for each has a connection; more wait for their turn.
STREAMS = 8
_streams = asyncio.Semaphore(STREAMS)


class Download(StreamingHttpResponse):
    """A stream whose source ends with it: what waits for the garbage collector holds a connection."""

    def __init__(self, blocks: AsyncGenerator[bytes, None], **options: Any) -> None:
        super().__init__(blocks, **options)
        self._source = blocks

    async def aclose(self) -> None:
        await self._source.aclose()


def streamed(request: Any, blocks: Iterator[bytes], content_type: str, name: str) -> StreamingHttpResponse:
    """A download. Under ASGI Django would gather a plain iterator whole, so it gets an asynchronous one."""
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-store",
        "X-Accel-Buffering": "no",
    }
    if isinstance(request._request, ASGIRequest):
        return Download(_beside(blocks), content_type=content_type, headers=headers)
    return StreamingHttpResponse(blocks, content_type=content_type, headers=headers)


async def _beside(blocks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The blocks, made one at a time in a thread of their own with a connection of its own."""
    loop = asyncio.get_running_loop()
    async with _streams:
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
