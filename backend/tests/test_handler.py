import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from django.http import HttpRequest, HttpResponse

from backend.handler import ThreadedHandler
from core.transfer.api.streaming import Download, Slots


def scope(path="/livez"):
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


class Client:
    """One request: its body comes when `bodies` says, and what is sent to it is kept."""

    def __init__(self, *bodies):
        self.incoming = asyncio.Queue()
        self.sent = []
        for body in bodies:
            self.incoming.put_nowait(body)

    async def receive(self):
        return await self.incoming.get()

    async def send(self, message):
        self.sent.append(message)
        await asyncio.sleep(0)

    @property
    def status(self):
        return self.sent[0]["status"] if self.sent else None


WHOLE = {"type": "http.request", "body": b"", "more_body": False}
BEGUN = {"type": "http.request", "body": b"{", "more_body": True}
GONE = {"type": "http.disconnect"}


async def asked(handler, client, path="/livez"):
    await asyncio.wait_for(handler(scope(path), client.receive, client.send), 10)
    return client


def test_an_answer_has_its_headers_and_its_body_in_two_messages():
    async def run():
        return await asked(ThreadedHandler(1), Client(WHOLE))

    client = asyncio.run(run())
    assert client.status == 200
    assert [message["type"] for message in client.sent] == ["http.response.start", "http.response.body"]
    assert client.sent[1]["body"] == b'{"status": "ok"}'


def test_more_requests_than_threads_are_all_answered():
    async def run():
        handler = ThreadedHandler(2)
        return await asyncio.gather(*(asked(handler, Client(WHOLE)) for _ in range(20)))

    assert [client.status for client in asyncio.run(run())] == [200] * 20


def test_a_body_that_never_ends_holds_no_thread():
    async def run():
        handler, slow = ThreadedHandler(1), Client(BEGUN)
        waiting = asyncio.ensure_future(asked(handler, slow))
        await asyncio.sleep(0)
        quick = await asked(handler, Client(WHOLE))
        assert not waiting.done()
        slow.incoming.put_nowait(GONE)
        await waiting
        return quick, slow

    quick, slow = asyncio.run(run())
    assert quick.status == 200
    assert slow.sent == []


class Endless(ThreadedHandler):
    """Answers with a stream that ends only when it is closed, and keeps what has ended."""

    def __init__(self):
        super().__init__(1)
        self.ended = []

    def get_response(self, request: HttpRequest) -> HttpResponse:
        return Download(self._blocks(), lambda: self.ended.append("response"))

    async def _blocks(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"block"
                await asyncio.sleep(0)
        finally:
            self.ended.append("blocks")


class Failing(Endless):
    """Answers with a stream that fails on its way."""

    async def _blocks(self) -> AsyncIterator[bytes]:
        try:
            yield b"block"
            raise OSError("the disk is gone")
        finally:
            self.ended.append("blocks")


def test_a_stream_that_fails_is_broken_off_and_ended():
    handler, client = Failing(), Client(WHOLE)
    with pytest.raises(OSError, match="the disk is gone"):
        asyncio.run(asked(handler, client))
    assert handler.ended == ["blocks", "response"]
    assert client.sent[-1] == {"type": "http.response.body", "body": b"block", "more_body": True}


def test_downloads_are_limited_altogether_and_for_each_user():
    slots = Slots(total=3, each=2)
    assert [slots.take("ann") for _ in range(3)] == [True, True, False]
    assert [slots.take("bob"), slots.take("cem")] == [True, False]
    slots.release("ann")
    assert [slots.take("cem"), slots.take("cem")] == [True, False]


def test_a_stream_to_a_client_that_goes_away_is_ended():
    async def run():
        handler, client = Endless(), Client(WHOLE)
        answering = asyncio.ensure_future(asked(handler, client))
        while len(client.sent) < 5:
            await asyncio.sleep(0.001)
        client.incoming.put_nowait(GONE)
        await answering
        assert handler.ended == ["blocks", "response"]
        return client

    assert asyncio.run(run()).status == 200


def scope_with(*headers, path="/api/auth/login/"):
    made = scope(path) | {"method": "POST"}
    return made | {"headers": [*made["headers"], *headers]}


class Keeping(ThreadedHandler):
    """Keeps the requests it is given and their bodies."""

    def __init__(self, **options):
        super().__init__(1, **options)
        self.requests = []

    def get_response(self, request: HttpRequest) -> HttpResponse:
        self.requests.append((request.META.get("CONTENT_LENGTH"), request.body))
        return HttpResponse()


def sent(handler, client, *headers):
    asked_for = scope_with(*headers)
    asyncio.run(asyncio.wait_for(handler(asked_for, client.receive, client.send), 20))
    return client


def block(text, more=True):
    return {"type": "http.request", "body": text, "more_body": more}


def test_a_body_without_a_declared_length_is_read_whole():
    handler = Keeping()
    sent(handler, Client(block(b'{"a":'), block(b" 1}", False)), (b"transfer-encoding", b"chunked"))
    assert handler.requests == [("8", b'{"a": 1}')]


def test_no_body_stays_one_without_a_length():
    handler = Keeping()
    sent(handler, Client(WHOLE))
    assert handler.requests == [(None, b"")]


def problem_of(client):
    head = client.sent[0]
    headers = dict(head["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"connection"] == b"close"
    assert headers[b"content-length"] == str(len(client.sent[1]["body"])).encode()
    return head["status"], json.loads(client.sent[1]["body"])["type"]


def test_a_declared_length_beyond_the_limit_is_refused_before_any_of_it_is_read():
    handler = Keeping()
    client = Client(block(b"x", False))
    sent(handler, client, (b"content-length", b"16385"), (b"expect", b"100-continue"))
    assert problem_of(client) == (413, "/problems/request-entity-too-large")
    assert client.incoming.qsize() == 1
    assert handler.requests == []


def test_a_body_that_grows_beyond_the_limit_is_refused_and_read_away():
    handler = Keeping()
    client = Client(*[block(b"x" * 8_192)] * 5, block(b"", False))
    sent(handler, client, (b"transfer-encoding", b"chunked"))
    assert problem_of(client) == (413, "/problems/request-entity-too-large")
    assert client.incoming.qsize() == 0
    assert handler.requests == []


def test_a_body_that_does_not_arrive_in_time_is_a_408():
    handler = Keeping(body_seconds=0.05)
    client = Client(BEGUN)
    sent(handler, client, (b"content-length", b"100"))
    assert problem_of(client) == (408, "/problems/request-timeout")
    assert handler.requests == []


def test_a_query_that_is_no_text_is_a_problem_too():
    client = Client(WHOLE)
    asyncio.run(ThreadedHandler(1)(scope() | {"query_string": b"\xff"}, client.receive, client.send))
    assert client.status == 400
    assert json.loads(client.sent[1]["body"])["type"] == "/problems/bad-request"
