"""Tokens of grants by consent: random texts that are kept as digests, and hold nowhere but at /mcp."""

import hashlib

from django.utils import timezone

from core.agents.models import AgentCode, AgentGrant, AgentToken
from core.agents.resource import resource_url

MARK = "crma_"
MAX_LENGTH = 200


def digest(text: str) -> str:
    """A secret of 256 random bits needs no slow hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def find(text: str) -> AgentGrant | None:
    """The grant of a live access token for this endpoint; one query."""
    if not text.startswith(MARK) or len(text) > MAX_LENGTH:
        return None
    asked = {"digest": digest(text), "kind": AgentToken.Kind.ACCESS, "resource": resource_url()}
    rows = AgentToken.objects.select_related("grant__user", "grant__api_key")
    found = rows.filter(**asked, expires_at__gt=timezone.now()).first()
    return found.grant if found else None


def forget_old() -> None:
    """Delete codes and tokens past their time. What was used is kept on for a while, so that it is known when
    it comes back."""
    for kept in (AgentCode, AgentToken):
        kept.objects.filter(expires_at__lt=timezone.now()).delete()
