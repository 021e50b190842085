"""/mcp itself: who is let in, what is refused before the protocol is asked, sessions and budgets."""

import subprocess
import sys
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from core.accounts import sessions
from core.accounts.models import ApiKey
from core.accounts.origin import Origin
from core.agents import budget, protocol
from core.agents.models import AgentGrant, AgentSession, AgentUsage
from core.agents.tests.conftest import message
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
BEGIN = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


def send(token, body="{}", method="post", **headers):
    headers = {"Accept": "application/json, text/event-stream", **headers}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    client = APIClient()
    return client.generic(method.upper(), "/mcp", body, content_type="application/json", headers=headers)


def test_nobody_gets_in_unnamed(rep, make_key):
    for token in (None, "crm_nothing", "a.b.c", "x" * 5_000):
        answer = send(token)
        assert (answer.status_code, answer["WWW-Authenticate"][:6]) == (401, "Bearer")
    assert AgentGrant.objects.count() == 0


def test_a_session_of_the_api_is_no_credential_here(rep):
    access = sessions.begin(rep, Origin("127.0.0.1", "")).access
    assert APIClient().get("/api/v1/leads/", headers={"Authorization": f"Bearer {access}"}).status_code == 200
    assert send(access).status_code == 401


def test_an_ended_key_and_a_deactivated_user_are_refused(rep, make_key):
    key = make_key(rep)
    assert message(key, "tools/list", {}).status_code == 200
    rep.is_active = False
    rep.save()
    assert message(key, "tools/list", {}).status_code == 401
    rep.is_active = True
    rep.save()
    ApiKey.objects.update(revoked_at="2020-01-01T00:00Z")
    assert message(key, "tools/list", {}).status_code == 401


def test_pages_of_other_origins_and_hosts_are_refused(rep, make_key, settings):
    key = make_key(rep)
    assert send(key, Origin="https://evil.example").status_code == 403
    assert send(key, Host="evil.example").status_code == 400
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    assert send(key, Origin="https://app.example").status_code == 400  # the protocol's answer to {}
    assert AgentSession.objects.count() == 1


def test_there_is_no_stream_and_a_switch_takes_it_away(rep, make_key, settings):
    key = make_key(rep)
    assert send(key, method="get").status_code == 405
    settings.MCP_ENABLED = False
    assert message(key, "tools/list", {}).status_code == 404


def test_bodies_are_bounded_and_malformed_ones_refused(rep, make_key):
    key = make_key(rep)
    assert send(key, " " * (2 << 20)).status_code == 413
    assert send(key, "no json").status_code == 400
    assert send(key, "[" * 100_000).status_code == 400


def test_sessions_are_their_grants(rep, make_user, make_key):
    key, other = make_key(rep), make_key(make_user("rep"))
    token = message(key, "initialize", BEGIN)["Mcp-Session-Id"]
    listing = '{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
    assert send(key, listing, **{"Mcp-Session-Id": token}).status_code == 200
    for wrong in (other, key):
        named = token if wrong is other else uuid4().hex
        assert send(wrong, listing, **{"Mcp-Session-Id": named}).status_code == 404
    assert send(key, "", "delete", **{"Mcp-Session-Id": token}).status_code == 204
    assert send(key, listing, **{"Mcp-Session-Id": token}).status_code == 404
    assert AgentSession.objects.get().calls == 2


@pytest.mark.parametrize(
    ("name", "ago"), [("last_used_at", timedelta(minutes=31)), ("started_at", timedelta(hours=25))]
)
def test_named_sessions_end_when_left_alone_and_after_a_day(rep, make_key, name, ago):
    key = make_key(rep)
    token = message(key, "initialize", BEGIN)["Mcp-Session-Id"]
    listing = '{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
    assert send(key, listing, **{"Mcp-Session-Id": token}).status_code == 200
    AgentSession.objects.update(**{name: timezone.now() - ago})
    assert send(key, listing, **{"Mcp-Session-Id": token}).status_code == 404


def test_sessions_that_were_begun_in_vain_are_forgotten(rep, make_key):
    key = make_key(rep)
    message(key, "initialize", BEGIN)
    AgentSession.objects.update(started_at="2020-01-01T00:00Z")
    message(key, "initialize", BEGIN)
    assert AgentSession.objects.count() == 1


def test_clients_without_sessions_go_on_in_their_last_one(rep, make_key):
    key = make_key(rep)
    for _ in range(2):
        message(key, "tools/list", {})
    assert AgentSession.objects.get().calls == 2
    AgentSession.objects.update(last_used_at="2020-01-01T00:00Z")
    message(key, "tools/list", {})
    assert AgentSession.objects.count() == 2


def test_answers_that_are_too_large_say_what_to_ask(posted, rep, make_key, monkeypatch):
    LeadFactory(owner=rep)
    monkeypatch.setattr(protocol, "MAX_ANSWER", 100)  # the real one takes thousands of rows
    [found] = posted(make_key(rep), ("list_records", {"entity": "lead"}))
    assert found.is_error
    assert found.content[0].text.startswith("too_large: ")


def test_the_size_of_an_answer_is_one_of_bytes_and_holds_for_resources(rep, make_key, monkeypatch):
    lead = LeadFactory(owner=rep)
    key = make_key(rep)
    monkeypatch.setattr(protocol, "MAX_ANSWER", 400)
    assert protocol._result({"x": "日" * 100}).is_error is False
    assert protocol._result({"x": "日" * 200}).is_error is True
    answer = message(key, "resources/read", {"uri": f"crm://leads/{lead.pk}"}).json()
    assert answer["error"]["message"].startswith("too_large: ")


def test_what_goes_wrong_inside_is_logged_and_not_shown(rep, make_key, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(protocol, "call", broken)
    answer = message(make_key(rep), "tools/call", {"name": "list_users", "arguments": {}})
    assert answer.json()["error"] == {"code": -32603, "message": protocol.INTERNAL}
    assert "secret of the house" in caplog.text


def test_whole_numbers_are_whole_and_addresses_of_nothing_a_404(posted, rep, make_key):
    lead = LeadFactory(owner=rep)
    found, paged, *nothing = posted(
        make_key(rep),
        ("get_record", {"entity": "lead", "id": float(lead.pk), "fields": "id"}),
        ("list_records", {"entity": "lead", "page_size": 1.0, "fields": "id"}),
        ("get_record", {"entity": "lead", "id": 1e300}),
        ("get_record", {"entity": "lead", "id": 10**30}),
    )
    assert found.structured_content["result"] == {"id": lead.pk}
    assert paged.structured_content["results"] == [{"id": lead.pk}]
    assert [one.content[0].text for one in nothing] == ["not_found: Not found."] * 2


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_cannot_spend_a_row_twice(rep, make_key, at_once):
    message(make_key(rep), "tools/list", {})
    AgentGrant.objects.update(reads_per_hour=10)
    grant = AgentGrant.objects.get()

    def spend():
        try:
            budget.spend_reads(grant, 3)
        except budget.BudgetSpentError:
            return 0
        return 3

    assert sum(at_once(*[spend] * 6)) == 9
    assert AgentUsage.objects.get().rows_read == 9


def test_a_new_hour_renews_the_budget(rep, make_key):
    message(make_key(rep), "tools/list", {})
    grant = AgentGrant.objects.get()
    budget.spend_reads(grant, grant.reads_per_hour)
    with pytest.raises(budget.BudgetSpentError):
        budget.spend_reads(grant, 1)
    AgentUsage.objects.update(hour="2020-01-01T00:00Z")
    budget.spend_reads(grant, 1)
    assert AgentUsage.objects.get().rows_read == 1


def test_more_groups_than_were_taken_are_counted_too(posted, rep, make_key):
    for city in ("Oslo", "Rome", "Bern"):
        LeadFactory(owner=rep, city=city)
    key = make_key(rep)
    asked = {"entity": "lead", "group_by": "city"}
    assert not posted(key, ("statistics", asked))[0].is_error
    assert AgentUsage.objects.get().rows_read == 3
    AgentGrant.objects.update(reads_per_hour=5)
    [refused] = posted(key, ("statistics", asked))
    assert refused.content[0].text.startswith("budget_spent: ")


def test_nothing_of_the_protocol_is_loaded_at_start():
    code = (
        "import backend.asgi, sys;"
        " print([m for m in ('mcp', 'mcp_types', 'starlette', 'oauthlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout.strip().splitlines() or [done.stderr])[-1] == "[]"
