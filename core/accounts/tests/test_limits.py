"""Limits: exact under load, told to the client, harmless when Valkey is away."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from django.core.cache import caches

from core.accounts import limits
from core.accounts.limits import Rate, consume, rate_of
from core.accounts.origin import origin_of
from core.accounts.tests.conftest import PASSWORD

MINUTE = Rate(10, 60)


@pytest.fixture
def limited(settings):
    settings.RATE_LIMIT_ENABLED = True
    settings.DEFAULT_RATE_LIMIT = "5/minute"
    settings.ANONYMOUS_RATE_LIMIT = "3/minute"
    return settings


@pytest.fixture
def valkey_at(monkeypatch):
    """valkey_at(port): have the limits count there."""

    def point(port):
        client = redis.Redis.from_url(
            f"redis://127.0.0.1:{port}/0",
            socket_timeout=limits.TIMEOUT_S,
            socket_connect_timeout=limits.TIMEOUT_S,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        )
        script = client.register_script(limits._SCRIPT)
        monkeypatch.setattr(limits, "_client", lambda: client)
        monkeypatch.setattr(limits, "_script", lambda: script)
        monkeypatch.setattr(limits, "_silent_until", 0.0)

    return point


@pytest.fixture
def no_valkey(valkey_at):
    valkey_at(1)  # nobody listens
    caches["local"].clear()


@pytest.fixture
def silent_valkey(valkey_at):
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        valkey_at(server.getsockname()[1])
        yield


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1200/minute", Rate(1200, 60)),
        ("5/second", Rate(5, 1)),
        ("100/hour", Rate(100, 3600)),
        (100, Rate(100, 3600)),
        ("7/day", Rate(7, 86400)),
    ],
)
def test_a_rate_is_read(text, rate):
    assert rate_of(text) == rate


def test_of_many_requests_at_once_exactly_the_limit_passes():
    with ThreadPoolExecutor(40) as pool:
        results = list(pool.map(lambda _: consume("many", MINUTE), range(40)))
    assert sum(v.allowed for v in results) == 10
    assert {v.remaining for v in results if not v.allowed} == {0}
    assert sorted(v.remaining for v in results if v.allowed) == list(range(10))


def test_a_window_ends_and_knocking_does_not_lengthen_it():
    rate = Rate(1, 1)
    assert consume("short", rate).allowed
    refused = consume("short", rate)
    assert not refused.allowed
    assert 0 < refused.reset_s <= 1
    time.sleep(refused.reset_s + 0.05)
    assert consume("short", rate).allowed


def test_an_attempt_given_back_is_free():
    for _ in range(30):
        assert consume("returned", MINUTE).allowed
        limits.refund("returned", MINUTE)
    limits.refund("never-counted", MINUTE)
    assert limits._client().exists("crm:rate:never-counted") == 0


@pytest.mark.django_db
def test_each_user_is_counted_and_reported(limited, api, rep, make_user):
    client = api(rep)
    answers = [client.get("/api/auth/me/") for _ in range(6)]
    assert [a.status_code for a in answers] == [200] * 5 + [429]
    assert [a["RateLimit-Remaining"] for a in answers] == ["4", "3", "2", "1", "0", "0"]
    assert {a["RateLimit-Limit"] for a in answers} == {"5"}
    assert answers[0]["RateLimit-Policy"] == "5;w=60"
    refused = answers[5]
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert 1 <= int(refused["RateLimit-Reset"]) <= 60
    assert (refused["Content-Type"], refused.json()["type"]) == (
        "application/problem+json",
        "/problems/throttled",
    )
    assert api(make_user()).get("/api/auth/me/").status_code == 200


@pytest.mark.django_db
def test_strangers_are_counted_by_address(limited, anonymous):
    def status(address):
        body = {"refresh": "x"}
        return anonymous.post("/api/auth/refresh/", body, REMOTE_ADDR=address).status_code

    assert [status("203.0.113.1") for _ in range(4)] == [401, 401, 401, 429]
    assert status("203.0.113.2") == 401
    assert [status(f"2001:db8:1:1::{i}") for i in range(4)] == [401, 401, 401, 429]
    assert status("2001:db8:1:2::1") == 401


@pytest.mark.django_db
def test_limits_can_be_turned_off(limited, api, rep):
    limited.RATE_LIMIT_ENABLED = False
    answers = [api(rep).get("/api/auth/me/") for _ in range(8)]
    assert {a.status_code for a in answers} == {200}
    assert "RateLimit-Limit" not in answers[0]


@pytest.mark.django_db
def test_without_valkey_requests_pass_uncounted(limited, no_valkey, api, rep):
    answers = [api(rep).get("/api/auth/me/") for _ in range(8)]
    assert {a.status_code for a in answers} == {200}
    assert "RateLimit-Limit" not in answers[0]


@pytest.mark.django_db
def test_a_valkey_that_does_not_answer_costs_one_request_a_moment(limited, silent_valkey, api, rep):
    client, began = api(rep), time.monotonic()
    assert {client.get("/api/auth/me/").status_code for _ in range(20)} == {200}
    assert time.monotonic() - began < 2


@pytest.mark.django_db
def test_failed_sign_ins_are_limited_by_account_and_address(anonymous, rep):
    def status(name, password, address="203.0.113.1"):
        body = {"username": name, "password": password}
        return anonymous.post("/api/auth/login/", body, REMOTE_ADDR=address)

    for name in (rep.username, "nobody"):
        assert [status(name, "wrong").status_code for _ in range(6)] == [401] * 5 + [429]
    refused = status(rep.username, PASSWORD)
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert status(rep.username.upper(), PASSWORD).status_code == 429
    assert status(rep.username, PASSWORD, "203.0.113.9").status_code == 200


@pytest.mark.django_db
def test_sign_ins_that_succeed_count_for_nothing(anonymous, rep):
    body = {"username": rep.username, "password": PASSWORD}
    assert {anonymous.post("/api/auth/login/", body).status_code for _ in range(40)} == {200}


@pytest.mark.django_db
def test_an_address_that_guesses_at_many_accounts_is_stopped(anonymous, make_user):
    names = [make_user().username for _ in range(40)]
    statuses = [
        anonymous.post("/api/auth/login/", {"username": n, "password": "wrong"}).status_code for n in names
    ]
    assert statuses == [401] * 30 + [429] * 10


@pytest.mark.django_db
def test_strangers_everywhere_stop_strangers_and_not_the_owner_at_home(anonymous, rep):
    def status(password, address):
        body = {"username": rep.username, "password": password}
        return anonymous.post("/api/auth/login/", body, REMOTE_ADDR=address).status_code

    assert status(PASSWORD, "198.51.100.1") == 200
    assert [status("wrong", f"203.0.113.{i}") for i in range(52)] == [401] * 50 + [429] * 2
    assert status(PASSWORD, "198.51.100.2") == 429
    assert status(PASSWORD, "198.51.100.1") == 200


@pytest.mark.django_db
def test_who_is_at_home_at_one_account_is_a_stranger_to_others(anonymous, rep, make_user):
    def status(user, password, address):
        body = {"username": user.username, "password": password}
        return anonymous.post("/api/auth/login/", body, REMOTE_ADDR=address).status_code

    assert status(make_user("rep"), PASSWORD, "198.51.100.1") == 200
    assert [status(rep, "wrong", f"203.0.113.{i}") for i in range(50)] == [401] * 50
    assert status(rep, PASSWORD, "198.51.100.1") == 429


@pytest.mark.django_db
def test_without_valkey_this_process_counts_failed_sign_ins_by_itself(no_valkey, anonymous, rep):
    def status(password):
        body = {"username": rep.username, "password": password}
        return anonymous.post("/api/auth/login/", body).status_code

    assert [status(PASSWORD) for _ in range(8)] == [200] * 8
    assert sorted(status("wrong") for _ in range(12))[-1] == 429


@pytest.mark.django_db
def test_guessing_at_the_present_password_is_limited_too(rep, log_in, bearing):
    client = bearing(log_in(rep)["access"])
    body = {"current_password": "wrong", "new_password": "tarnished-plural-octopus"}
    statuses = [client.post("/api/auth/password/", body).status_code for _ in range(6)]
    assert statuses == [400] * 5 + [429]


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "address"),
    [
        (0, "203.0.113.7", "198.51.100.1", "203.0.113.7"),
        (1, "10.0.0.1", "198.51.100.1", "198.51.100.1"),
        (1, "10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (2, "10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        (2, "10.0.0.1", "198.51.100.1", "10.0.0.1"),
        (1, "10.0.0.1", "nonsense", "0.0.0.0"),
        (0, "::ffff:203.0.113.7", "", "203.0.113.7"),
        (0, "", "", "0.0.0.0"),
    ],
)
def test_only_trusted_proxies_say_where_a_request_comes_from(rf, settings, proxies, peer, forwarded, address):
    settings.TRUSTED_PROXY_COUNT = proxies
    request = rf.get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert origin_of(request).ip == address


def test_refused_tokens_and_keys_are_limited_by_address_and_valid_ones_are_not(
    rep, log_in, bearing, anonymous, settings
):
    settings.CRM = {"CREDENTIAL_FAILURES": "4/minute"}
    issued = log_in(rep)
    me = "/api/auth/me/"
    bad = f"crm_{'0' * 12}_{'a' * 43}"
    statuses = [bearing(text).get(me).status_code for text in ("nonsense", bad)]
    statuses.append(anonymous.post("/api/auth/refresh/", {"refresh": "nonsense"}).status_code)
    statuses.append(anonymous.post("/api/auth/logout/", {"refresh": "nonsense"}).status_code)
    assert statuses == [401] * 4
    for refused in (bearing("x").get(me), anonymous.post("/api/auth/refresh/", {"refresh": "x"})):
        assert refused.status_code == 429
        assert 0 < int(refused["Retry-After"]) <= 61
    assert bearing(issued["access"]).get(me).status_code == 200
    assert anonymous.post("/api/auth/refresh/", {"refresh": issued["refresh"]}).status_code == 200
    elsewhere = bearing("x")
    assert elsewhere.get(me, REMOTE_ADDR="198.51.100.7").status_code == 401


def test_places_are_counted_exactly_and_come_back():
    with ThreadPoolExecutor(20) as pool:
        taken = list(pool.map(lambda i: limits.hold("desk", str(i), 5, 60), range(20)))
    assert sum(taken) == 5
    holder = str(taken.index(True))
    assert limits.hold("desk", holder, 5, 60)
    assert not limits.hold("desk", "late", 5, 60)
    limits.leave("desk", holder)
    assert limits.hold("desk", "late", 5, 0.05)
    time.sleep(0.1)
    assert limits.hold("desk", "later", 5, 60)
