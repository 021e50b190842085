"""Consent end to end by the protocol's own client, and everything that must not be possible."""

import asyncio
import base64
import hashlib
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from core.accounts.models import SecondFactor
from core.agents import clients
from core.agents.models import AgentClient, AgentCode, AgentGrant, AgentSession, AgentToken
from core.agents.tests.conftest import message
from core.changes.models import Change

pytestmark = pytest.mark.django_db
BACK = "https://assistant.example/callback"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
PASSWORD = "correct horse battery staple"


def post_form(path, **given):
    return Client().post(path, urlencode(given), content_type="application/x-www-form-urlencoded")


def register(**given):
    body = {"client_name": "Assistant", "redirect_uris": [BACK], **given}
    return Client().post("/oauth/register", body, content_type="application/json")


@pytest.fixture
def client_id(db):
    return register().json()["client_id"]


@pytest.fixture
def browser(rep):
    made = Client(enforce_csrf_checks=True)
    made.force_login(rep)
    return made


def authorize_url(client_id, **changed):
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": BACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "s1",
        "scope": "read write",
        "resource": "http://127.0.0.1:8000/mcp",
        **changed,
    }
    return f"/oauth/authorize?{urlencode({k: v for k, v in asked.items() if v is not None})}"


def decide(browser, url, **given):
    """The query that the person's answer sends to the client."""
    page = browser.get(url)
    assert page.status_code == 200, page.content
    body = {
        "decision": "allow",
        "access": "write",
        "csrfmiddlewaretoken": page.context["csrf_token"],
        **given,
    }
    answer = browser.post(url, {name: value for name, value in body.items() if value is not None})
    assert answer.status_code == 302, answer.content
    return {name: values[0] for name, values in parse_qs(urlsplit(answer["Location"]).query).items()}


def exchange(client_id, code, **changed):
    given = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        **changed,
    }
    return post_form("/oauth/token", **{k: v for k, v in given.items() if v is not None})


def refresh(client_id, token):
    return post_form("/oauth/token", grant_type="refresh_token", client_id=client_id, refresh_token=token)


@pytest.fixture
def tokens(browser, client_id):
    code = decide(browser, authorize_url(client_id))["code"]
    return exchange(client_id, code).json()


def listing(token):
    return message(token, "tools/list", {}).status_code


# ---- By the protocol's own client ----


class Memory:
    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, info):
        self.client = info


def person(user, access):
    """A browser in which the user signs in and allows what is asked for."""
    seen = {}

    async def visit(url):
        async with httpx.AsyncClient(follow_redirects=True) as http:
            login = await http.get(url)
            assert "Sign in to" in login.text
            token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', login.text)[1]
            given = {"username": user.username, "password": PASSWORD, "csrfmiddlewaretoken": token}
            page = await http.post(
                login.url, data=given | {"next": parse_qs(login.url.query.decode())["next"][0]}
            )
            assert "to act for you?" in page.text
            token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
            given = {"decision": "allow", "access": access, "csrfmiddlewaretoken": token}
            answer = await http.post(page.url, data=given, follow_redirects=False)
            seen.update(parse_qs(urlsplit(answer.headers["location"]).query))

    async def come_back():
        from mcp.shared.auth import AuthorizationCodeResult

        return AuthorizationCodeResult(**{name: values[0] for name, values in seen.items()})

    return visit, come_back


@pytest.mark.django_db(transaction=True)
def test_the_protocols_client_registers_asks_calls_refreshes_and_is_revoked(address, rep, settings):
    import httpx2
    from mcp.client.auth.oauth2 import OAuthClientProvider
    from mcp.client.client import Client as McpClient
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared.auth import OAuthClientMetadata

    settings.PUBLIC_URL = base = f"http://{address}"
    rep.set_password(PASSWORD)
    rep.save()
    memory = Memory()
    visit, come_back = person(rep, "write")
    metadata = OAuthClientMetadata(
        client_name="Assistant",
        redirect_uris=["http://127.0.0.1:3456/callback"],
        token_endpoint_auth_method="none",
    )

    async def work():
        auth = OAuthClientProvider(f"{base}/mcp", metadata, memory, visit, come_back)
        async with (
            httpx2.AsyncClient(auth=auth, timeout=60) as http,
            McpClient(streamable_http_client(f"{base}/mcp", http_client=http), mode="legacy") as client,
        ):
            made = await client.call_tool("create_lead", {"values": {"first_name": "Ada"}})
            first = memory.tokens.access_token
            auth.context.token_expiry_time = 1.0
            tools = await client.list_tools()
            return made, first, {tool.name for tool in tools.tools}

    made, first, names = asyncio.run(work())
    assert made.structured_content["result"]["first_name"] == "Ada"
    assert "create_lead" in names
    assert memory.tokens.access_token != first
    assert listing(first) == 401
    grant = AgentGrant.objects.get()
    assert (grant.name, grant.user, grant.scopes) == ("Assistant", rep, ["read", "write"])
    change = Change.objects.get(entity="lead")
    assert (change.source, change.agent, change.actor_id) == ("agent", "Assistant", rep.pk)
    given = {"client_id": str(grant.client.client_id), "token": memory.tokens.refresh_token}
    assert post_form("/oauth/revoke", **given).status_code == 200
    assert listing(memory.tokens.access_token) == 401


# ---- What is known about it ----


def test_the_metadata_say_where_and_how(settings):
    settings.PUBLIC_URL = "https://crm.example"
    for path in ("", "/mcp"):
        resource = Client().get(f"/.well-known/oauth-protected-resource{path}").json()
        assert (resource["resource"], resource["authorization_servers"]) == (
            "https://crm.example/mcp",
            ["https://crm.example"],
        )
    server = Client().get("/.well-known/oauth-authorization-server").json()
    assert server["issuer"] == "https://crm.example"
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert server["token_endpoint_auth_methods_supported"] == ["none"]
    assert {"read", "write", "leads:read", "leads:write"} <= set(server["scopes_supported"])
    challenge = message("nothing", "tools/list", {})["WWW-Authenticate"]
    assert 'resource_metadata="https://crm.example/.well-known/oauth-protected-resource/mcp"' in challenge
    settings.MCP_ENABLED = False
    assert Client().get("/.well-known/oauth-authorization-server").status_code == 404


@pytest.mark.parametrize(
    "uri",
    [
        "http://assistant.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://a.example/cb#part",
        "https://user@a.example/",
        "https://",
        "https://a.example\\@b.example/",
        "assistant://cb",
        "/relative",
        "https://a.example/ü",
        "x" * 600,
        7,
    ],
)
def test_addresses_to_go_back_to_are_safe_ones(uri):
    answer = register(redirect_uris=[uri])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")
    assert AgentClient.objects.count() == 0


def test_clients_are_public_named_on_one_line_and_limited(settings):
    assert register(token_endpoint_auth_method="client_secret_basic").status_code == 400
    assert register(grant_types=["password"]).status_code == 400
    assert Client().post("/oauth/register", "[", content_type="application/json").status_code == 400
    made = register(client_name="Evil\u202e\nName").json()
    assert made["client_name"] == "EvilName"
    assert "client_secret" not in made
    settings.RATE_LIMIT_ENABLED = True
    body = {"redirect_uris": [BACK]}
    from_one = Client(REMOTE_ADDR="10.9.8.7")
    statuses = [
        from_one.post("/oauth/register", body, content_type="application/json").status_code for _ in range(21)
    ]
    assert statuses == [201] * 20 + [429]


# ---- The page that asks ----


def test_who_is_not_signed_in_signs_in_first(client_id, rep):
    url = authorize_url(client_id)
    answer = Client().get(url)
    assert (answer.status_code, urlsplit(answer["Location"]).path) == (302, "/oauth/login")
    browser = Client()
    assert browser.get(answer["Location"]).status_code == 200
    rep.set_password(PASSWORD)
    rep.save()
    wrong = browser.post(answer["Location"], {"username": rep.username, "password": "wrong"})
    assert wrong.status_code == 200
    done = browser.post(answer["Location"], {"username": rep.username, "password": PASSWORD})
    assert done["Location"] == url


def test_the_page_names_client_host_scopes_and_budget_and_is_framed_by_nobody(browser, client_id, rep):
    page = browser.get(authorize_url(client_id))
    text = page.content.decode()
    for part in (
        "Assistant",
        "assistant.example",
        rep.username,
        "Create and change",
        "5000 rows an hour",
        "200",
    ):
        assert part in text
    assert 'value="read" checked' in text
    assert page["X-Frame-Options"] == "DENY"
    policy = page["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://assistant.example" in policy
    assert "script-src" not in policy


def test_denying_gives_nothing(browser, client_id):
    back = decide(browser, authorize_url(client_id), decision="deny")
    assert (back["error"], back["state"]) == ("access_denied", "s1")
    assert AgentCode.objects.count() == 0


def test_reading_is_what_is_given_unless_writing_was_chosen(browser, client_id):
    code = decide(browser, authorize_url(client_id), access=None)["code"]
    made = exchange(client_id, code).json()
    assert made["scope"] == "read"
    assert AgentGrant.objects.get().may_write is False
    code = decide(browser, authorize_url(client_id, scope="leads:read"), access="write")["code"]
    assert exchange(client_id, code).json()["scope"] == "leads:read"


def test_a_page_of_others_cannot_answer_for_the_person(browser, client_id):
    answer = browser.post(authorize_url(client_id), {"decision": "allow", "access": "write"})
    assert answer.status_code == 403
    assert AgentCode.objects.count() == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": f"{BACK}/more"},
        {"redirect_uri": f"{BACK}?x=1"},
        {"redirect_uri": None},
        {"client_id": "00000000-0000-4000-8000-000000000000"},
        {"client_id": "x"},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_the_clients(browser, client_id, changed):
    answer = browser.get(authorize_url(changed.pop("client_id", client_id), **changed))
    assert answer.status_code == 400
    assert "Location" not in answer


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "read users:write"}, "invalid_scope"),
        ({"resource": "http://127.0.0.1:8000/api"}, "invalid_target"),
    ],
)
def test_a_wrong_request_goes_back_with_its_error_by_a_click(browser, client_id, changed, error):
    url = authorize_url(client_id, **changed)
    signed_out = Client().get(url)
    assert (signed_out.status_code, urlsplit(signed_out["Location"]).path) == (302, "/oauth/login")
    answer = browser.get(url)
    assert (answer.status_code, "Location" in answer) == (400, False)
    leads_to = answer.context["back"]
    assert leads_to.startswith(f"{BACK}?")
    assert f'href="{escape(leads_to)}"' in answer.content.decode()
    assert parse_qs(urlsplit(leads_to).query)["error"] == [error]


@pytest.mark.parametrize("query", ["x=[", "state=a|b", "state=%zz"])
def test_an_address_that_cannot_be_read_is_a_400(browser, query):
    for client in (browser, Client()):
        assert client.get(f"/oauth/authorize?{query}").status_code == 400
    for path in ("token", "revoke"):
        answer = post_form(f"/oauth/{path}?{query}", token="x")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(("is_staff", "path"), [(True, "/admin/"), (False, "/api/docs")])
def test_who_signs_in_by_themselves_is_led_somewhere(rep, is_staff, path):
    rep.is_staff = is_staff
    rep.set_password(PASSWORD)
    rep.save()
    done = Client().post("/oauth/login", {"username": rep.username, "password": PASSWORD})
    assert (done.status_code, done["Location"].rstrip("/")) == (302, path.rstrip("/"))


def test_a_loopback_address_is_taken_with_any_port(browser):
    made = register(redirect_uris=["http://127.0.0.1/cb"]).json()["client_id"]
    for uri, status in [
        ("http://127.0.0.1:5555/cb", 200),
        ("http://127.0.0.1:5555/other", 400),
    ]:
        assert browser.get(authorize_url(made, redirect_uri=uri)).status_code == status


def test_a_loopback_address_has_nobody_before_its_host():
    registered = ["http://localhost/cb"]
    assert clients.is_registered("http://localhost:1/cb", registered)
    for before in ("www.google.com", "a:b", ""):
        assert not clients.is_registered(f"http://{before}@localhost:1/cb", registered)


# ---- Codes and tokens ----


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "https://assistant.example/other"}, "invalid_request"),
        ({"code": "another"}, "invalid_grant"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_code_is_worth_nothing_without_its_proof(browser, client_id, changed, error):
    code = decide(browser, authorize_url(client_id))["code"]
    answer = exchange(client_id, changed.pop("code", code), **changed)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert AgentGrant.objects.count() == 0


def test_a_code_of_another_client_or_past_its_time_is_refused(browser, client_id):
    other = register().json()["client_id"]
    code = decide(browser, authorize_url(client_id))["code"]
    assert exchange(other, code).json()["error"] == "invalid_grant"
    AgentCode.objects.update(expires_at="2020-01-01T00:00Z")
    assert exchange(client_id, code).json()["error"] == "invalid_grant"


def test_a_code_that_comes_twice_ends_what_it_gave(browser, client_id):
    code = decide(browser, authorize_url(client_id))["code"]
    made = exchange(client_id, code).json()
    assert listing(made["access_token"]) == 200
    assert exchange(client_id, code).json()["error"] == "invalid_grant"
    assert listing(made["access_token"]) == 401


def test_a_refresh_token_works_once_and_ends_everything_when_it_comes_back(tokens, client_id):
    first = tokens["refresh_token"]
    second = refresh(client_id, first).json()
    assert second["refresh_token"] != first
    assert (listing(tokens["access_token"]), listing(second["access_token"])) == (401, 200)
    assert refresh(client_id, first).json()["error"] == "invalid_grant"
    assert listing(second["access_token"]) == 401
    assert refresh(client_id, second["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_says_which_scopes_its_tokens_have(tokens, client_id):
    given = {"client_id": client_id, "refresh_token": tokens["refresh_token"], "scope": "read"}
    made = post_form("/oauth/token", grant_type="refresh_token", **given).json()
    assert made["scope"].split() == AgentGrant.objects.get().held_scopes == ["read", "write"]


def test_a_role_that_needs_a_second_factor_is_refused_without_one(tokens, browser, client_id, rep, settings):
    code = decide(browser, authorize_url(client_id))["code"]
    settings.SECOND_FACTOR_ROLES = ["rep"]
    assert listing(tokens["access_token"]) == 401
    assert refresh(client_id, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert exchange(client_id, code).json()["error"] == "invalid_grant"
    SecondFactor.objects.create(user=rep, secret="x", confirmed_at="2020-01-01T00:00Z")
    assert listing(tokens["access_token"]) == 200


@pytest.mark.parametrize("what", ["password", "deactivated and activated"])
def test_a_code_ends_as_its_user_does(browser, client_id, rep, what):
    code = decide(browser, authorize_url(client_id))["code"]
    if what == "password":
        rep.set_password(PASSWORD)
        rep.save()
    else:
        for is_active in (False, True):
            rep.is_active = is_active
            rep.save()
    assert exchange(client_id, code).json()["error"] == "invalid_grant"
    assert AgentGrant.objects.count() == 0


def test_clients_without_a_grant_make_room(tokens, client_id, monkeypatch):
    monkeypatch.setattr(clients, "MOST_CLIENTS", 3)
    second, third = (register().json()["client_id"] for _ in range(2))
    assert register().status_code == 201
    left = set(map(str, AgentClient.objects.values_list("client_id", flat=True)))
    assert (len(left), client_id in left, second in left, third in left) == (3, True, False, True)
    monkeypatch.setattr(clients, "MOST_CLIENTS", 1)
    refused = register()
    assert (refused.status_code, AgentClient.objects.count()) == (400, 1)


def test_clients_whose_grants_have_ended_are_forgotten_and_their_sessions_kept(tokens, client_id):
    listing(tokens["access_token"])
    AgentClient.objects.update(created_at="2020-01-01T00:00Z")
    AgentGrant.objects.update(revoked_at=timezone.now() - timedelta(days=6))
    register()
    assert AgentClient.objects.filter(client_id=client_id).exists()
    AgentGrant.objects.update(revoked_at=timezone.now() - timedelta(days=8))
    register()
    assert not AgentClient.objects.filter(client_id=client_id).exists()
    assert AgentSession.objects.get().grant.client is None


def test_tokens_hold_for_one_audience_alone(tokens, api, rep, settings):
    access = tokens["access_token"]
    headers = {"Authorization": f"Bearer {access}"}
    assert Client().get("/api/v1/leads/", headers=headers).status_code == 401
    assert listing(access) == 200
    assert listing(tokens["refresh_token"]) == 401
    settings.PUBLIC_URL = "https://another.example"
    assert listing(access) == 401


def test_only_digests_are_kept(tokens):
    kept = str(list(AgentToken.objects.values())) + str(list(AgentCode.objects.values()))
    assert tokens["access_token"] not in kept
    assert tokens["refresh_token"] not in kept
    assert AgentToken.objects.count() == 2


@pytest.mark.parametrize("what", ["password", "deactivated", "revoked", "expired", "token expired"])
def test_what_ended_is_over_at_once(tokens, client_id, rep, api, what):
    assert listing(tokens["access_token"]) == 200
    if what == "password":
        rep.set_password("another horse battery staple")
        rep.save()
    elif what == "deactivated":
        rep.is_active = False
        rep.save()
    elif what == "revoked":
        grant = AgentGrant.objects.get()
        assert api(rep).post(f"/api/v1/agents/grants/{grant.pk}/revoke/").status_code == 200
    elif what == "expired":
        AgentGrant.objects.update(expires_at="2020-01-01T00:00Z")
    else:
        AgentToken.objects.update(expires_at="2020-01-01T00:00Z")
    assert listing(tokens["access_token"]) == 401
    assert refresh(client_id, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_client_cannot_revoke_what_is_anothers(tokens):
    other = register().json()["client_id"]
    assert post_form("/oauth/revoke", client_id=other, token=tokens["access_token"]).status_code == 200
    assert listing(tokens["access_token"]) == 200
