"""A pytest plugin for the contract, whose files stay as they were given to us.

Its `admin` fixture enters (`with`) a client that has signed in already, which httpx refuses ("Cannot open a
client instance more than once"). Entering a client that is open is harmless: it stays open.
"""

import httpx
from httpx._client import ClientState

_enter = httpx.Client.__enter__


def _enter_again(client: httpx.Client) -> httpx.Client:
    return client if client._state == ClientState.OPENED else _enter(client)


httpx.Client.__enter__ = _enter_again  # type: ignore[method-assign]
