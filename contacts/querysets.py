"""Questions about companies and contacts."""

from typing import Any

from django.db.models import Count, Q

from core.models.record import RecordQuerySet

TOP = 20


class CompanyQuerySet(RecordQuerySet):
    def statistics(self) -> dict[str, Any]:
        """Totals of these companies, their commonest industries and countries."""
        totals = self.aggregate(total=Count("pk"), with_domain=Count("pk", filter=~Q(domain="")))
        return totals | {"by_industry": self.top("industry", TOP), "by_country": self.top("country", TOP)}


class ContactQuerySet(RecordQuerySet):
    def statistics(self) -> dict[str, Any]:
        """Totals of these contacts, and the companies and countries most of them are from."""
        totals = self.aggregate(
            total=Count("pk"),
            with_email=Count("pk", filter=~Q(email="")),
            with_phone=Count("pk", filter=~Q(phone="")),
            with_company=Count("pk", filter=Q(company__isnull=False)),
            do_not_contact=Count("pk", filter=Q(do_not_contact=True)),
        )
        return totals | {"by_company": self.top("company_name", TOP), "by_country": self.top("country", TOP)}
