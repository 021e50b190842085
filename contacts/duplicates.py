"""Which stored contacts and companies may be the same as a new one."""

from typing import Any

from django.db.models import Q

from core.entities.duplicates import NOBODY


def same_person(values: dict[str, Any]) -> Q | None:
    """By any of the e-mail addresses or phone numbers; each way has its index."""
    emails = [e for e in (values.get("email"), *values.get("additional_emails", [])) if e]
    phones = [
        p for p in (values.get("phone"), values.get("mobile"), *values.get("additional_phones", [])) if p
    ]
    if not emails and not phones:
        return None
    found = NOBODY
    if emails:
        found |= Q(email__in=emails) | Q(additional_emails__overlap=emails)
    if phones:
        found |= Q(phone__in=phones) | Q(mobile__in=phones) | Q(additional_phones__overlap=phones)
    return found


def same_company(values: dict[str, Any]) -> Q | None:
    """By domain, or by name, whatever its case, accents and width."""
    found = Q(name__folded=values["name"])
    if values.get("domain"):
        found |= Q(domain=values["domain"])
    return found
