"""Companies and contacts in the admin site."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter

from contacts import related, suggestions_admin
from contacts.models import Company, Contact
from contacts.suggestions_admin import CompanySuggestionsAdmin
from core.admin import columns, formats, record_page
from core.admin.filters import RecordSelectFilter
from core.admin.navigation import SELL, Menu
from core.admin.record_page import Fact
from core.admin.records import ADDRESS
from core.duplicates.admin import MergeableAdmin

record_page.related.register("contacts", related.build)
record_page.related.register("suggested_companies", suggestions_admin.build)


@admin.register(Company)
class CompanyAdmin(MergeableAdmin):
    menu = Menu(SELL, "domain", 40)
    list_display = (
        "name",
        "domain",
        "industry",
        "company_size",
        "country",
        "shown_revenue",
        "shown_assigned_to",
        "shown_owner",
        "shown_created_at",
    )
    shown_revenue = columns.amount("annual_revenue", _("revenue"))
    list_filter = (("parent", RecordSelectFilter),)
    autocomplete_fields = (*MergeableAdmin.autocomplete_fields, "parent")
    sections = (
        (
            None,
            {
                "fields": (
                    "name",
                    ("domain", "website"),
                    ("industry", "company_size"),
                    ("annual_revenue", "currency"),
                    ("email", "phone"),
                    "parent",
                    "notes",
                )
            },
        ),
        (_("Address"), {"fields": ADDRESS}),
    )

    def facts(self, company: Any) -> list[Fact]:
        found = [Fact(_("Industry"), company.industry)] if company.industry else []
        found += [Fact(_("Website"), company.website, company.website)] if company.website else []
        found += [record_page.mail(company.email)] if company.email else []
        found += [record_page.phone(company.phone)] if company.phone else []
        return [*found, *([record_page.link(_("Belongs to"), company.parent)] if company.parent else [])]


@admin.register(Contact)
class ContactAdmin(CompanySuggestionsAdmin):
    menu = Menu(SELL, "contacts", 30)
    list_display = (
        "__str__",
        "company",
        "job_title",
        "email",
        "phone",
        "shown_contacted",
        "shown_assigned_to",
        "shown_owner",
        "shown_created_at",
    )
    shown_contacted = columns.moment("last_contacted_at", _("contacted"))
    list_filter = (("company", RecordSelectFilter), ("do_not_contact", BooleanRadioFilter))
    list_select_related = (*CompanySuggestionsAdmin.list_select_related, "company")
    autocomplete_fields = (*CompanySuggestionsAdmin.autocomplete_fields, "company")
    sections = (
        (
            None,
            {
                "fields": (
                    ("first_name", "last_name"),
                    ("job_title", "department"),
                    ("company", "company_name"),
                    ("email", "additional_emails"),
                    ("phone", "mobile"),
                    "additional_phones",
                    "website",
                    ("lead_source", "do_not_contact"),
                    "last_contacted_at",
                    "notes",
                )
            },
        ),
        (_("Address"), {"fields": ADDRESS}),
    )

    def badges(self, contact: Any) -> list[Any]:
        opted_out = [formats.badge(_("Do not contact"), "bad")] if contact.do_not_contact else []
        return [*opted_out, *super().badges(contact)]

    def facts(self, contact: Any) -> list[Fact]:
        found = [Fact(_("Job"), contact.job_title)] if contact.job_title else []
        found += [record_page.link(_("Company"), contact.company)] if contact.company else []
        found += [record_page.mail(contact.email)] if contact.email else []
        found += [record_page.phone(contact.phone)] if contact.phone else []
        return [*found, Fact(_("Last contact"), formats.when(contact.last_contacted_at) or _("never"))]
