"""AI clients for the tests: the SDK's own, over HTTP, at the server that is deployed."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from backend.testing.web import serving


@pytest.fixture
def address(transactional_db):
    from backend.handler import ThreadedHandler

    with serving(ThreadedHandler(4)) as address:
        yield address


@pytest.fixture
def make_key():
    """make_key(user, *scopes) → the text of a key."""
    from core.accounts import keys  # models can be imported once Django is set up

    def make(user, *scopes):
        return keys.make(user, "Claude", list(scopes or ("read",)))[1]

    return make


@asynccontextmanager
async def connected(address, token, mode="legacy"):
    import httpx2
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(f"http://{address}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


@pytest.fixture
def session(address):
    """session(token, work) → what `await work(client)` gave, of a client that is connected."""

    def run(token, work, mode="legacy"):
        async def all_of_it():
            async with connected(address, token, mode) as client:
                return await work(client)

        return asyncio.run(all_of_it())

    return run


@pytest.fixture
def calls(session):
    """calls(token, (name, arguments), …) → the result of each tool, called in one session."""

    def run(token, *wanted, mode="legacy"):
        async def work(client):
            return [await client.call_tool(name, arguments) for name, arguments in wanted]

        return session(token, work, mode)

    return run


def message(token, method, params):
    """What /mcp answers to one message, without a client of the protocol."""
    from rest_framework.test import APIClient

    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    return APIClient().post("/mcp", body, headers=headers)


@pytest.fixture
def posted(db):
    """posted(token, (name, arguments), …): as `calls`, each as a message of its own to this process."""
    import mcp_types

    def run(token, *wanted):
        answers = [message(token, "tools/call", {"name": name, "arguments": given}) for name, given in wanted]
        for answer in answers:
            assert answer.status_code == 200, answer.content
        return [mcp_types.CallToolResult.model_validate(answer.json()["result"]) for answer in answers]

    return run


@pytest.fixture
def posted_tools(db):
    """posted_tools(token) → the tools that are offered."""
    import mcp_types

    def run(token):
        answer = message(token, "tools/list", {})
        return mcp_types.ListToolsResult.model_validate(answer.json()["result"]).tools

    return run
