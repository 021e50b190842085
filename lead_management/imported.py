"""What holds for leads that come from other systems' files."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from lead_management.models import LeadStatus


def converted_when_it_was(values: dict[str, Any], before: Mapping[str, Any] | None) -> None:
    """A lead that comes converted was converted when its file says, not today."""
    at = values.pop("converted_at", None)
    if at is not None and before is None and values.get("status") == LeadStatus.CONVERTED:
        values["converted_at"] = min(at, timezone.now())
