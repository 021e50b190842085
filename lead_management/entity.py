"""The declaration of leads: everything generic (API, import, export, conditions, admin, scoring) reads it."""

from django.db.models import BooleanField, ExpressionWrapper, F
from django.db.models.functions import ExtractDay, Now

from contacts.rules import company_named
from core.entities import column, columns, derived
from core.entities.amounts import currency_column, fits_currency
from core.entities.comparisons import NAME_AND_COMPANY, SAME_ADDRESS, SamePhone, SameValue
from core.entities.entity import Entity, id_column, record_columns, register
from core.entities.field_types import Boolean, Integer, Phone
from core.entities.merging import Merging, TakenTogether, any_of, latest, total
from core.models.fields import ADDRESS
from lead_management.models import Lead
from lead_management.querysets import IS_HOT, OPEN
from lead_management.rules import conversion_is_a_verb, lost_with_a_reason, somebody
from lead_management.scoring import first_score

# What a conversion leaves on a lead.
CONVERSION = ("converted_at", "converted_contact", "converted_company", "converted_opportunity")
SCORE = Integer(min_value=0, max_value=100)


LEAD = register(
    Entity(
        name="lead",
        plural="leads",
        model=Lead,
        display_fields=("first_name", "last_name"),
        display_fallback=("email", "company_name", "phone", "mobile"),
        columns=(
            id_column(Lead),
            *columns(Lead, "first_name", "last_name", "email"),
            column(Lead, "phone", field_type=Phone()),
            column(Lead, "mobile", field_type=Phone()),
            *columns(Lead, "company", "company_name", "company_size", "industry", "job_title"),
            *columns(Lead, "website", *ADDRESS),
            column(Lead, "lead_source", aliases=("source",)),
            *columns(Lead, "status", "priority", "lost_reason", "estimated_value"),
            currency_column(Lead),
            *columns(Lead, "last_contacted_at", "next_follow_up_at", "call_attempts", "engagement_count"),
            column(Lead, "notes", orderable=False),
            column(Lead, "do_not_contact"),
            column(Lead, "lead_score", field_type=SCORE),
            *columns(Lead, "conversion_probability", "scored_at", "converted_at"),
            *columns(Lead, "converted_contact", "converted_company", "converted_opportunity"),
            derived("is_hot", Boolean(), ExpressionWrapper(IS_HOT, output_field=BooleanField())),
            derived("days_since_created", Integer(), ExtractDay(Now() - F("created_at"))),
            *record_columns(Lead),
        ),
        open_filter=OPEN,
        rules=(
            somebody,
            company_named,
            conversion_is_a_verb,
            lost_with_a_reason,
            fits_currency("estimated_value"),
            first_score,
        ),
        duplicates=(
            SameValue("email", "e-mail address", ("email",), weight=0.9),
            SamePhone("phone", "phone number", ("phone", "mobile")),
            NAME_AND_COMPANY,
            SAME_ADDRESS,
        ),
        merging=Merging(
            combined={
                "do_not_contact": any_of,
                "call_attempts": total,
                "engagement_count": total,
                "last_contacted_at": latest,
            },
            together=(
                # A converted lead among them makes the survivor a converted one.
                TakenTogether((*CONVERSION, "status", "lost_reason"), decided_by=("converted_at",)),
                TakenTogether(("company", "company_name"), decided_by=("company",)),
                TakenTogether(("estimated_value", "currency"), decided_by=("estimated_value",)),
                TakenTogether(ADDRESS, decided_by=ADDRESS),
            ),
        ),
        always_shown=(
            *("status", "priority", "lost_reason", "lead_source", "estimated_value"),
            *("lead_score", "conversion_probability", "scored_at", "is_hot", "converted_at"),
            *("last_contacted_at", "next_follow_up_at", "do_not_contact"),
        ),
        example={
            "first_name": "Ada",
            "last_name": "Byron",
            "email": "ada@engines.example",
            "company_name": "Analytical Engines",
            "lead_source": "referral",
            "estimated_value": "12000.00",
            "tags": ["vip"],
        },
    )
)
