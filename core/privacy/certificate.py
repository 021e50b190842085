"""The certificate of an erasure: what was done, when and at whose request, and nothing about the person."""

from typing import Any

from core.personal_data import kept_by_law
from core.privacy.models import PrivacyRequest
from core.privacy.steps import label_of


def counts_of(request: PrivacyRequest) -> list[dict[str, Any]]:
    """One line for each table, in words."""
    return [{"table": name, "label": label_of(name), **counted} for name, counted in request.counts.items()]


def certificate_of(request: PrivacyRequest) -> dict[str, Any]:
    shared = [{"table": "", "reason": f"{one['kind']}: {one['reason']}"} for one in request.kept]
    return {
        "request": request.pk,
        "requested_by": request.requested_by_id,
        "requested_at": request.created_at,
        "erased_at": request.finished_at,
        "erased": counts_of(request),
        "kept": [{"table": name, "reason": reason} for name, reason in kept_by_law.items()] + shared,
    }
