"""Companies and contacts in the admin site."""

from django.contrib import admin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, BooleanRadioFilter

from contacts.models import Company, Contact
from core.admin.records import RecordAdmin
from core.models.fields import ADDRESS


@admin.register(Company)
class CompanyAdmin(RecordAdmin):
    list_display = (
        "name",
        "domain",
        "industry",
        "company_size",
        "country",
        "owner",
        "assigned_to",
        "created_at",
    )
    list_filter = (("parent", AutocompleteSelectFilter),)
    autocomplete_fields = (*RecordAdmin.autocomplete_fields, "parent")
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
        ("Address", {"fields": ADDRESS}),
    )


@admin.register(Contact)
class ContactAdmin(RecordAdmin):
    list_display = ("__str__", "email", "phone", "job_title", "company", "owner", "assigned_to", "created_at")
    list_filter = (("company", AutocompleteSelectFilter), ("do_not_contact", BooleanRadioFilter))
    list_select_related = (*RecordAdmin.list_select_related, "company")
    autocomplete_fields = (*RecordAdmin.autocomplete_fields, "company")
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
        ("Address", {"fields": ADDRESS}),
    )
