"""Which stored leads may be the same person as a new one."""

from typing import Any

from django.db.models import Q

from core.entities.duplicates import NOBODY


def same_lead(values: dict[str, Any]) -> Q | None:
    """By the e-mail address or a phone number; each way has its index."""
    phones = [phone for phone in (values.get("phone"), values.get("mobile")) if phone]
    if not values.get("email") and not phones:
        return None
    found = Q(email=values["email"]) if values.get("email") else NOBODY
    return found | Q(phone__in=phones) | Q(mobile__in=phones) if phones else found
