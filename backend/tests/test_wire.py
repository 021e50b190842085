"""Bodies on the wire, through the server that is deployed: framed in any way, too large, and half sent."""

import json
import socket

import httpx
import pytest

from backend.handler import ThreadedHandler
from backend.testing.web import serving
from core.accounts import sessions
from core.accounts.origin import Origin
from core.transfer.models import ImportJob
from lead_management.models import Lead

pytestmark = pytest.mark.django_db(transaction=True)
LEAD = b'{"first_name": "Ada", "last_name": "Byron"}'
FILE = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="leads.csv"\r\n\r\n'
    b"first_name,last_name\nAda,Byron\nGrace,Hopper\n\r\n--b--\r\n"
)


@pytest.fixture
def address(transactional_db):
    with serving(ThreadedHandler(4, body_seconds=1.0)) as address:
        yield address


@pytest.fixture
def token(rep):
    return sessions.begin(rep, Origin("127.0.0.1", "")).access


class Connection:
    """One connection on which requests are written byte by byte."""

    def __init__(self, address, token):
        host, port = address.split(":")
        self.token = token
        self.socket = socket.create_connection((host, int(port)), timeout=15)
        self.file = self.socket.makefile("rb")

    def head(self, method, path, *lines):
        sent = [
            f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self.token}", *lines
        ]  # fmt: skip
        self.socket.sendall("\r\n".join([*sent, "", ""]).encode())

    def send(self, *parts):
        for part in parts:
            self.socket.sendall(part)

    def chunks(self, body, size=7):
        for at in range(0, len(body), size):
            part = body[at : at + size]
            self.send(f"{len(part):x}\r\n".encode(), part, b"\r\n")
        self.send(b"0\r\n\r\n")

    def status_line(self):
        return int(self.file.readline().split()[1])

    def answer(self):
        status, headers = self.status_line(), {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self.file.read(int(headers["content-length"]))


@pytest.fixture
def connection(address, token):
    opened = Connection(address, token)
    yield opened
    opened.socket.close()


JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"


def test_chunked_json_is_read_whole_and_the_connection_goes_on(connection):
    for number in (1, 2):
        connection.head("POST", "/api/v1/leads/", JSON, CHUNKED)
        connection.chunks(LEAD)
        status, _, body = connection.answer()
        assert (status, json.loads(body)["last_name"]) == (201, "Byron")
        assert Lead.objects.count() == number
    connection.head("GET", "/api/v1/leads/?fields=id")
    status, _, body = connection.answer()
    assert (status, json.loads(body)["count"]) == (200, 2)


def test_a_chunked_upload_is_read_whole(connection):
    connection.head("POST", "/api/v1/import/leads/", "Content-Type: multipart/form-data; boundary=b", CHUNKED)
    connection.chunks(FILE)
    status, _, body = connection.answer()
    assert (status, json.loads(body)["created"]) == (200, 2)
    assert ImportJob.objects.count() == 1


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(connection):
    connection.head("POST", "/api/v1/leads/", JSON, f"Content-Length: {len(LEAD)}", "Expect: 100-continue")
    assert connection.status_line() == 100
    assert connection.file.readline() == b"\r\n"
    connection.send(LEAD)
    assert connection.answer()[0] == 201
    connection.head("POST", "/api/v1/leads/", JSON, CHUNKED, "Expect: 100-continue")
    assert connection.status_line() == 100
    assert connection.file.readline() == b"\r\n"
    connection.chunks(LEAD)
    assert connection.answer()[0] == 201


def test_it_is_not_asked_for_a_body_that_is_too_large(connection):
    connection.head("POST", "/api/v1/leads/", JSON, f"Content-Length: {2 << 20}", "Expect: 100-continue")
    status, headers, body = connection.answer()
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(body)["type"] == "/problems/request-entity-too-large"
    assert connection.file.read() == b""


def test_a_client_that_sends_too_much_reads_why_it_was_refused(connection):
    connection.head("POST", "/api/v1/leads/", JSON, CHUNKED)
    connection.chunks(b" " * (3 << 20), size=64 << 10)
    status, _, body = connection.answer()
    assert (status, json.loads(body)["type"]) == (413, "/problems/request-entity-too-large")
    assert Lead.objects.count() == 0


def test_a_body_that_is_half_sent_ends_its_connection_and_no_others(connection, address, token):
    connection.head("POST", "/api/v1/leads/", JSON, f"Content-Length: {len(LEAD)}")
    connection.send(LEAD[:10])
    other = Connection(address, token)
    other.head("GET", "/api/v1/leads/?fields=id")
    assert other.answer()[0] == 200
    other.socket.close()
    status, _, body = connection.answer()
    assert (status, json.loads(body)["type"]) == (408, "/problems/request-timeout")
    assert connection.file.read() == b""
    assert Lead.objects.count() == 0


def test_more_than_a_thousand_parameters_are_refused_at_once(connection):
    query = "&".join(f"a{i}=1" for i in range(3_000))
    connection.head("GET", f"/api/v1/leads/?{query}")
    status, _, body = connection.answer()
    assert (status, json.loads(body)["type"]) == (400, "/problems/too-many-fields")


# Of one connection alone (RFC 9110 section 7.6.1).
HOP_BY_HOP = (b"connection", b"expect", b"keep-alive", b"transfer-encoding")


def proxy_to(address, *, keeps_length):
    """A reverse proxy as an ASGI application. Without `keeps_length` it sends every body on in chunks."""
    left_out = HOP_BY_HOP if keeps_length else (*HOP_BY_HOP, b"content-length")

    async def proxy(scope, receive, send):
        if scope["type"] != "http":
            return

        async def body():
            more = True
            while more:
                message = await receive()
                more = message.get("more_body", False)
                yield message.get("body", b"")

        headers = [(name, value) for name, value in scope["headers"] if name not in left_out]
        url = f"http://{address}{scope['path']}?{scope['query_string'].decode()}"
        content = body() if scope["method"] in ("POST", "PUT", "PATCH") else None
        async with httpx.AsyncClient() as client:
            request = client.build_request(scope["method"], url, headers=headers, content=content)
            answer = await client.send(request, stream=True)
            start = {
                "type": "http.response.start",
                "status": answer.status_code,
                "headers": answer.headers.raw,
            }
            await send(start)
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})

    return proxy


@pytest.mark.parametrize("keeps_length", [True, False])
def test_bodies_come_whole_through_a_proxy(address, token, keeps_length):
    with serving(proxy_to(address, keeps_length=keeps_length)) as front:
        connection = Connection(front, token)
        connection.head("POST", "/api/v1/leads/", JSON, CHUNKED)
        connection.chunks(LEAD)
        assert connection.answer()[0] == 201
        connection.head("POST", "/api/v1/leads/", JSON, f"Content-Length: {len(LEAD)}")
        connection.send(LEAD)
        assert connection.answer()[0] == 201
        form = "Content-Type: multipart/form-data; boundary=b"
        connection.head("POST", "/api/v1/import/leads/", form, f"Content-Length: {len(FILE)}")
        connection.send(FILE)
        status, _, body = connection.answer()
        assert (status, json.loads(body)["created"]) == (200, 2)
        connection.head("GET", "/api/v1/leads/?fields=id")
        assert json.loads(connection.answer()[2])["count"] == 4
        connection.socket.close()
