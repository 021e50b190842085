"""One request to the address that was checked, within its time, of whose answer a bounded part is read."""

import socket
import socketserver
import threading
import time
from contextlib import ExitStack

import pytest

from core.outbound.addresses import AddressRefusedError
from core.outbound.client import MAX_READ, Request, UnreachableError, send
from core.tests.receiver import receiver


@pytest.fixture
def allow(settings):
    def allowed(*hosts):
        settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": list(hosts)}

    return allowed


class RawServer:
    """Accepts on loopback and lets `talk(sock)` do what a decent server would not."""

    def __init__(self, talk):
        class Handler(socketserver.BaseRequestHandler):
            def handle(handler):
                self.connects += 1
                try:
                    talk(handler.request)
                except OSError:
                    self.broken += 1

        self.connects = self.broken = 0
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()


def test_a_request_arrives_as_it_was_sent_and_the_reply_comes_back(allow):
    with receiver(lambda r: (201, {"X-Answer": "yes"}, b"thanks")) as peer:
        allow(peer.host)
        reply = send(
            Request(peer.url("/a?b=c"), "PUT", {"X-One": "1", "Host": "evil", "user-agent": "x"}, b"body")
        )
    got = peer.requests[0]
    assert (got.method, got.path, got.body) == ("PUT", "/a?b=c", b"body")
    assert got.headers["host"] == peer.host
    assert got.headers["x-one"] == "1"
    assert got.headers["user-agent"] == "CRM-Webhooks/1.0"
    assert (reply.status, reply.body, reply.headers["x-answer"]) == (201, b"thanks", "yes")


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 308, 400, 410, 429, 500, 503])
def test_every_status_is_given_back_and_no_redirect_is_followed(allow, status):
    with receiver() as canary, receiver(lambda r: (status, {"Location": canary.url()}, b"")) as peer:
        allow(peer.host, canary.host)
        assert send(Request(peer.url())).status == status
        assert canary.connects == 0


def test_proxies_of_the_environment_are_not_used(allow, monkeypatch):
    with receiver() as proxy, receiver() as peer:
        monkeypatch.setenv("HTTP_PROXY", proxy.url("/"))
        monkeypatch.setenv("ALL_PROXY", proxy.url("/"))
        allow(peer.host)
        assert send(Request(peer.url())).status == 200
        assert proxy.connects == 0


def test_a_name_that_is_rebound_to_loopback_after_the_check_never_connects(settings):
    """The resolver answers public when the URL is saved and 127.0.0.1 when it is called."""
    with receiver() as canary:
        settings.CRM = {"OUTBOUND_PORTS": (canary.port,), "OUTBOUND_PLAIN_HTTP": True}
        answers = iter([["127.0.0.1"]])
        with pytest.raises(AddressRefusedError):
            send(Request(f"http://rebind.example:{canary.port}/"), lookup=lambda host, port: next(answers))
        assert canary.connects == 0


def test_the_address_that_was_judged_is_the_one_connected_to(settings, monkeypatch):
    """One look-up per call: a second answer is never asked for, so it cannot differ."""
    asked, connected = [], []
    settings.CRM = {"OUTBOUND_PLAIN_HTTP": True}

    def lookup(host, port):
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    def create_connection(address, *args, **kwargs):
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", create_connection)
    with pytest.raises(UnreachableError):
        send(Request("http://rebind.example/"), lookup=lookup)
    assert asked == ["rebind.example"]
    assert connected == [("93.184.216.34", 80)]


def test_a_drip_of_bytes_ends_when_the_time_is_up(allow):
    def drip(sock):
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        for byte in b"X-Slow: " + b"a" * 200:
            sock.sendall(bytes([byte]))
            time.sleep(0.05)

    with RawServer(drip) as peer:
        allow(peer.host)
        started = time.monotonic()
        with pytest.raises(UnreachableError):
            send(Request(f"http://{peer.host}/"), total_s=0.6)
        assert time.monotonic() - started < 1.2


def test_a_body_that_drips_ends_when_the_time_is_up(allow):
    def drip(sock):
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        for _ in range(200):
            sock.sendall(b"x")
            time.sleep(0.05)

    with RawServer(drip) as peer:
        allow(peer.host)
        with pytest.raises(UnreachableError):
            send(Request(f"http://{peer.host}/"), total_s=0.6)


def test_an_endless_body_is_read_no_further_than_the_limit(allow):
    def flood(sock):
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10_000):
            sock.sendall(b"4000\r\n" + b"z" * 0x4000 + b"\r\n")

    with RawServer(flood) as peer:
        allow(peer.host)
        reply = send(Request(f"http://{peer.host}/"))
        assert len(reply.body) == MAX_READ


def test_a_compressed_bomb_is_not_unpacked(allow):
    with receiver(lambda r: (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08" + b"\0" * 100)) as peer:
        allow(peer.host)
        assert send(Request(peer.url())).body[:3] == b"\x1f\x8b\x08"


@pytest.mark.parametrize(
    "talk",
    [
        lambda s: s.recv(1000),
        lambda s: (s.recv(1000), s.sendall(b"\x16\x03\x01nonsense")),
        lambda s: (s.recv(1000), s.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"h" * 10**6)),
    ],
)
def test_broken_peers_all_give_one_public_message(allow, talk):
    with RawServer(talk) as peer:
        allow(peer.host)
        with pytest.raises(UnreachableError, match="The address could not be reached"):
            send(Request(f"http://{peer.host}/"))


def test_a_closed_port_and_a_tls_error_give_the_same_public_message(allow):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{probe.getsockname()[1]}"
    with receiver() as plain:
        allow(closed, plain.host)
        for url in (f"http://{closed}/", f"https://{plain.host}/"):
            with pytest.raises(UnreachableError, match="The address could not be reached"):
                send(Request(url))


def test_a_port_that_answers_nothing_gives_the_same_public_message_too(allow):
    """As behind a firewall that drops: the queue of who wants to connect is full."""
    with ExitStack() as opened:
        server = opened.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        host = f"127.0.0.1:{server.getsockname()[1]}"
        allow(host)
        started = time.monotonic()
        with pytest.raises(UnreachableError, match="The address could not be reached"):
            send(Request(f"http://{host}/"), connect_s=0.5)
        assert 0.4 < time.monotonic() - started < 3


def test_a_resolver_that_hangs_is_left(allow):
    with pytest.raises(UnreachableError, match="The address could not be reached"):
        send(Request("https://slow.example/"), lookup=lambda h, p: time.sleep(5) or [], connect_s=0.2)
