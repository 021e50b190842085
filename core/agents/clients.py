"""Registration of AI clients (RFC 7591): public clients and the addresses that they are sent back to."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from core.agents.models import AgentClient, AgentGrant
from core.errors import DomainError

LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))
MOST_URIS, LENGTH = 10, 500
# Registered clients at a time; those without a grant that holds are forgotten after some days, or sooner
# where there is no room.
MOST_CLIENTS, UNUSED = 5_000, timedelta(days=7)
SUPPORTED = {
    "grant_types": {"authorization_code", "refresh_token"},
    "response_types": {"code"},
}


class ClientRefusedError(DomainError):
    """The metadata of a client is not taken; `code` is RFC 7591's."""

    code = "invalid_client_metadata"


def register(given: Any) -> AgentClient:
    """The stored client that RFC 7591's metadata describe. Raises ClientRefusedError."""
    if not isinstance(given, Mapping):
        raise ClientRefusedError("Expected an object.")
    uris = _redirect_uris(given.get("redirect_uris"))
    if given.get("token_endpoint_auth_method", "none") != "none":
        raise ClientRefusedError("Only public clients: token_endpoint_auth_method is none.")
    for name, known in SUPPORTED.items():
        asked = given.get(name, [])
        if not isinstance(asked, list) or not all(isinstance(one, str) and one in known for one in asked):
            raise ClientRefusedError(f"{name}: known are {', '.join(sorted(known))}.")
    _make_room()
    return AgentClient.objects.create(name=_name(given.get("client_name")), redirect_uris=uris)


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Whether the address is one of those, letter for letter; on loopback with any port (RFC 8252)."""
    return uri in registered or (
        _is_loopback(uri) and _is_safe(uri) and _portless(uri) in map(_portless, registered)
    )


def _redirect_uris(given: Any) -> list[str]:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_URIS:
        raise ClientRefusedError(f"Expected 1 to {MOST_URIS} redirect_uris.", code="invalid_redirect_uri")
    for uri in given:
        if not isinstance(uri, str) or len(uri) > LENGTH or not _is_safe(uri):
            message = (
                "A redirect URI is https, http on loopback, or of a scheme of one's own (com.example.app)."
            )
            raise ClientRefusedError(message, code="invalid_redirect_uri")
    return list(dict.fromkeys(given))


def _is_safe(uri: str) -> bool:
    parts = _split(uri)
    if parts is None or "#" in uri or not uri.isascii() or not uri.isprintable() or " " in uri or "\\" in uri:
        return False
    if parts.username is not None or "@" in parts.netloc:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    return _is_loopback(uri) if parts.scheme == "http" else "." in parts.scheme


def _is_loopback(uri: str) -> bool:
    parts = _split(uri)
    return parts is not None and parts.scheme == "http" and parts.hostname in LOOPBACK


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _portless(uri: str) -> str:
    parts = _split(uri)
    if parts is None:
        return uri
    return parts._replace(
        netloc=f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    ).geturl()


def _name(given: Any) -> str:
    """What the client calls itself, on one line and without characters that hide or turn others."""
    text = given if isinstance(given, str) else ""
    shown = "".join(sign for sign in text if unicodedata.category(sign)[0] != "C")
    return " ".join(shown.split())[:120] or "Unnamed client"


def _make_room() -> None:
    """Forget clients that had no grant for some days, and where that is not enough, the oldest of those that
    have none now. Their sessions stay. Raises ClientRefusedError where all of them are used."""
    old = timezone.now() - UNUSED
    _without_grants_at(old).filter(created_at__lt=old).delete()
    over = AgentClient.objects.count() - MOST_CLIENTS + 1
    if over <= 0:
        return
    unused = _without_grants_at(timezone.now()).order_by("created_at", "pk")[:over]
    AgentClient.objects.filter(pk__in=list(unused.values_list("pk", flat=True))).delete()
    if AgentClient.objects.count() >= MOST_CLIENTS:
        raise ClientRefusedError("Too many clients are in use.")


def _without_grants_at(moment: datetime) -> QuerySet[AgentClient]:
    """Clients that had no grant any more by then."""
    held = Q(revoked_at=None) | Q(revoked_at__gt=moment), Q(expires_at=None) | Q(expires_at__gt=moment)
    return AgentClient.objects.filter(~Exists(AgentGrant.objects.filter(*held, client=OuterRef("pk"))))
