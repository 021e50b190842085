"""Conversions on the timelines of the lead and of what it became."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from core.api.schema.parts import ID, nullable
from core.changes.timeline import RecordRef, TimelineSource
from core.entities.blanking import seen_by
from lead_management.models import Lead

BECAME = {
    "contact": "converted_contact_id",
    "company": "converted_company_id",
    "opportunity": "converted_opportunity_id",
}


def conversions(subject: RecordRef) -> QuerySet:
    """The lead itself once it is converted, or the leads that became this record."""
    converted = seen_by(subject.user, Lead.objects.filter(converted_at__isnull=False))
    if subject.entity.name == "lead":
        return converted.filter(pk=subject.pk)
    column = BECAME.get(subject.entity.name)
    whose = Q(**{column: subject.pk}) if column else Q(pk__in=[])
    return converted.filter(whose)


def shown(lead: Lead, subject: RecordRef) -> dict[str, Any]:
    made = {entity: getattr(lead, column) for entity, column in BECAME.items()}
    return {
        "type": "converted",
        "title": _("%(lead)s was converted") % {"lead": lead},
        "data": {"lead": lead.pk, **made},
    }


DATA = {"lead": ID, **dict.fromkeys(BECAME, nullable(ID))}
CONVERSION = TimelineSource("conversion", conversions, shown, DATA, at="converted_at")
