"""What leads hand to core."""

from pathlib import Path
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, F, Q
from django.db.models.functions import ExtractDay, Now

from core.api import routes
from core.changes import timeline
from core.demo import demo_parts
from core.entities import column, columns, derived
from core.entities.amounts import fits_currency
from core.entities.entity import Entity, NamedFilter, id_column, record_columns, register
from core.entities.field_types import Boolean, Integer, Phone
from core.entities.money import CURRENCY
from core.entities.ownership import COMMON_FILTERS
from core.lead_scoring.answers import reasons_in_words
from core.models.fields import ADDRESS
from core.notifications.moments import remind
from core.notifications.watching import watch
from core.transfer.added import add
from core.transfer.headers import headers_of, load, people
from lead_management import (
    automation,  # noqa: F401  (triggers and actions)
    digest,  # noqa: F401  (its sections register themselves)
)
from lead_management.demo import add_leads
from lead_management.duplicates import same_lead
from lead_management.models import Lead
from lead_management.querysets import HOT, OPEN
from lead_management.rules import conversion_is_a_verb, lost_with_a_reason, somebody
from lead_management.scoring import first_score
from lead_management.timeline import CONVERSION

SCORE = Integer(min_value=0, max_value=100)


def _hot(wanted: bool, user: Any) -> Q:
    return Q(lead_score__gt=HOT) if wanted else Q(lead_score__lte=HOT)


def _min_score(score: int, user: Any) -> Q:
    return Q(lead_score__gte=score)


def _max_score(score: int, user: Any) -> Q:
    return Q(lead_score__lte=score)


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
            *columns(Lead, "company_name", "company_size", "industry", "job_title", "website", *ADDRESS),
            column(Lead, "lead_source", aliases=("source",)),
            *columns(Lead, "status", "priority", "lost_reason", "estimated_value"),
            column(Lead, "currency", field_type=CURRENCY),
            *columns(Lead, "last_contacted_at", "next_follow_up_at", "call_attempts", "engagement_count"),
            column(Lead, "notes", orderable=False),
            column(Lead, "do_not_contact"),
            column(Lead, "lead_score", field_type=SCORE),
            *columns(Lead, "conversion_probability", "scored_at", "converted_at"),
            *columns(Lead, "converted_contact", "converted_company", "converted_opportunity"),
            derived(
                "is_hot", Boolean(), ExpressionWrapper(Q(lead_score__gt=HOT), output_field=BooleanField())
            ),
            derived("days_since_created", Integer(), ExtractDay(Now() - F("created_at"))),
            *record_columns(Lead),
        ),
        filters={
            **COMMON_FILTERS,
            "hot": NamedFilter(Boolean(), _hot, f"With a score above {HOT}."),
            "min_score": NamedFilter(SCORE, _min_score, "With at least this score."),
            "max_score": NamedFilter(SCORE, _max_score, "With at most this score."),
        },
        open_filter=OPEN,
        rules=(
            somebody,
            conversion_is_a_verb,
            lost_with_a_reason,
            fits_currency("estimated_value"),
            first_score,
        ),
        duplicates=same_lead,
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

timeline.register(CONVERSION)
remind(
    "lead",
    "next_follow_up_at",
    "Follow up with ",
    condition="r.status NOT IN ('converted', 'unqualified', 'lost')",
)
watch("lead", "status")
watch("lead", "lead_score", type="score", above=HOT)

add("lead", "factors", reasons_in_words)


demo_parts.register("lead_management", add_leads)

headers_of.register("lead", load(*people(), Path(__file__).with_name("headers.toml")))


def _register_routes() -> None:
    from lead_management.api.views import LeadViewSet  # the views need LEAD, which this module makes

    routes.register("leads", LeadViewSet)


_register_routes()
