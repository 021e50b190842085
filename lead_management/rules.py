"""What must hold between the fields of one lead, whoever writes it."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.entities.entity import NeedsAny
from core.errors import InvalidError
from lead_management.models import LeadStatus

somebody = NeedsAny(
    ("first_name", "last_name", "email", "phone", "mobile", "company_name", "company"),
    gettext_lazy("A lead needs a first name, last name, e-mail address, phone number or company."),
)


def conversion_is_a_verb(values: dict[str, Any], before: Mapping[str, Any] | None) -> None:
    """A lead becomes converted by converting it, and stays so. New ones may arrive converted (history)."""
    status = values.get("status")
    if before is None:
        if status == LeadStatus.CONVERTED:
            values.setdefault("converted_at", timezone.now())
        return
    if status is None or status == before["status"]:
        return
    if LeadStatus.CONVERTED in (status, before["status"]):
        raise InvalidError.of(
            "status", _('Use "convert" to convert a lead; a converted one stays converted.')
        )


def lost_with_a_reason(values: dict[str, Any], before: Mapping[str, Any] | None) -> None:
    """Whoever gives a lead up for lost says why, and nobody takes the reason away while it is lost."""
    kept = before or {"status": "", "lost_reason": ""}
    if values.get("status", kept["status"]) != LeadStatus.LOST:
        return
    if kept["status"] == LeadStatus.LOST and not kept["lost_reason"]:
        return  # it came without a reason, from another system, and may be edited all the same
    if not values.get("lost_reason", kept["lost_reason"]):
        raise InvalidError.of("lost_reason", _("A lost lead needs a reason."), "required")
