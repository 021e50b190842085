"""What AI clients ask for access to: the one resource there is, and its scopes."""

from functools import lru_cache

from django.conf import settings

from core.access.scopes import READ, WRITE
from core.agents.tools import SEARCH, all_tools, resource_of_path

PATH = "/mcp"


def public_url() -> str:
    return settings.PUBLIC_URL.rstrip("/")


def resource_url() -> str:
    """What tokens are for (RFC 8707)."""
    return f"{public_url()}{PATH}"


@lru_cache(maxsize=1)
def known_scopes() -> tuple[str, ...]:
    """Those that any tool asks for."""
    found: set[str] = set()
    for tool in all_tools().values():
        resources = {resource_of_path(path) for path in tool.paths().values()} - {SEARCH}
        found |= {f"{resource}:{WRITE if tool.writes else READ}" for resource in resources}
    return (READ, WRITE, *sorted(found))


def in_words(scope: str) -> str:
    """What a scope lets do, for the person who is asked."""
    resource, _, verb = scope.rpartition(":")
    what = resource.replace("_", " ") or "everything that you see"
    return f"Read {what}" if verb == READ else f"Create and change {what} (nothing is deleted)"
