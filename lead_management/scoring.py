"""What lead scoring knows of leads: their features, their outcome, their first score."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext_noop

from contacts.mail_domains import business_domain
from core.changes import current_audit_context
from core.lead_scoring import LeadScoringEngine
from core.lead_scoring.activity_counts import EMAILS, FIRST_CONTACT, INBOUND, MEETINGS, activity_counts
from core.lead_scoring.default_rules import DEFAULT_RULES
from core.lead_scoring.features import Kind
from core.lead_scoring.models import LeadScore, ScoringPending
from core.lead_scoring.scoring_target import Batch, ScoringTarget, days, days_since, scoring_targets
from lead_management.job_titles import function_of, seniority_of
from lead_management.models import Lead, LeadStatus

CLOSED = (LeadStatus.CONVERTED, LeadStatus.LOST, LeadStatus.UNQUALIFIED)

LEADS = scoring_targets.register(
    "lead",
    ScoringTarget(
        entity="lead",
        won=Q(status=LeadStatus.CONVERTED),
        lost=Q(status__in=(LeadStatus.LOST, LeadStatus.UNQUALIFIED)),
        outcome_column="status",
        closed_column="converted_at",
        score_model=LeadScore,
        pending_model=ScoringPending,
        score_column="lead_score",
        probability_column="conversion_probability",
        default_rules=DEFAULT_RULES,
    ),
)

LEADS.plain("lead_source", "Source", Kind.CATEGORY)
LEADS.plain("company_size", gettext_noop("Company size"), Kind.NUMBER)
LEADS.plain("estimated_value", gettext_noop("Estimated value"), Kind.NUMBER)
LEADS.plain("industry", "Industry", Kind.CATEGORY)
LEADS.plain("country", "Country", Kind.CATEGORY)
LEADS.plain("tags", "Tags", Kind.MULTI)
LEADS.plain("engagement_count", "Engagements", Kind.NUMBER)
LEADS.plain("call_attempts", gettext_noop("Calls tried"), Kind.NUMBER)


@LEADS.feature("email_kind", "E-mail", Kind.CATEGORY, "email")
def _email_kind(batch: Batch) -> list[str | None]:
    """Of a business, of a free provider, or none: never the address itself."""
    return [("business" if business_domain(e) else "free") if e else None for e in batch.columns["email"]]


@LEADS.feature("company_name", "Company", Kind.CATEGORY, "company_name")
def _company(batch: Batch) -> list[str | None]:
    """Whether the company is known: never its name."""
    return ["known" if name else None for name in batch.columns["company_name"]]


@LEADS.feature("seniority", "Seniority", Kind.CATEGORY, "job_title")
def _seniority(batch: Batch) -> list[str | None]:
    return [seniority_of(title) for title in batch.columns["job_title"]]


@LEADS.feature("job_function", "Function", Kind.CATEGORY, "job_title")
def _function(batch: Batch) -> list[str | None]:
    return [function_of(title) for title in batch.columns["job_title"]]


REACHED_BY = ("email", "phone", "mobile", "company_name", "job_title", "website", "city", "country")


@LEADS.feature("completeness", "Contact details", Kind.NUMBER, *REACHED_BY)
def _completeness(batch: Batch) -> np.ndarray:
    """How many of eight ways to know and reach the person are filled."""
    return np.sum([[bool(v) for v in batch.columns[name]] for name in REACHED_BY], axis=0)


@LEADS.feature("age_days", "Days since creation", Kind.NUMBER, "created_at")
def _age(batch: Batch) -> np.ndarray:
    return days_since(batch.columns["created_at"], batch.moments)


@LEADS.feature("days_since_contact", "Days since contact", Kind.NUMBER, "last_contacted_at")
def _recency(batch: Batch) -> np.ndarray:
    return days_since(batch.columns["last_contacted_at"], batch.moments)


def _activities(batch: Batch) -> np.ndarray:
    """What `activity_counts` gives; `engagement_count` counts what these features are made of."""
    return activity_counts(batch, "lead", any_=any(batch.columns["engagement_count"]))


@LEADS.feature("emails", "E-mails", Kind.NUMBER, "engagement_count")
def _emails(batch: Batch) -> np.ndarray:
    return _activities(batch)[:, EMAILS]


@LEADS.feature("meetings", "Meetings", Kind.NUMBER, "engagement_count")
def _meetings(batch: Batch) -> np.ndarray:
    return _activities(batch)[:, MEETINGS]


@LEADS.feature("inbound", "Heard from them", Kind.NUMBER, "engagement_count")
def _inbound(batch: Batch) -> np.ndarray:
    return _activities(batch)[:, INBOUND]


@LEADS.feature("response_hours", "Hours to first contact", Kind.NUMBER, "created_at", "engagement_count")
def _response(batch: Batch) -> np.ndarray:
    age = days_since(batch.columns["created_at"], batch.moments)
    return (_activities(batch)[:, FIRST_CONTACT] - (batch.moments - age)) * 24


@LEADS.feature("owner_load", "Open leads of the assignee", Kind.NUMBER, "assigned_to_id")
def _load(batch: Batch) -> Any:
    """How much open work the assignee has at the moment."""
    users = [user for user in set(batch.columns["assigned_to_id"]) if user]
    if batch.historic:
        return _load_then(batch, users)
    open_leads = Lead.objects.filter(assigned_to__in=users, archived_at=None).exclude(status__in=CLOSED)
    load = dict(open_leads.order_by().values_list("assigned_to").annotate(Count("pk"))) if users else {}
    return [load.get(user, 0) if user else None for user in batch.columns["assigned_to_id"]]


def _load_then(batch: Batch, users: list[int]) -> list[int | None]:
    """The same at past moments: leads of the assignee made by then, less those closed by then."""
    rows = Lead.objects.filter(assigned_to__in=users).order_by()
    made: dict[int, list[float]] = {user: [] for user in users}
    done: dict[int, list[float]] = {user: [] for user in users}
    for user, created, status, converted, updated in rows.values_list(
        "assigned_to", "created_at", "status", "converted_at", "updated_at"
    ):
        made[user].append(days(created))
        if status in CLOSED:
            done[user].append(days(converted or updated))
    ordered = {user: (np.sort(made[user]), np.sort(done[user])) for user in users}
    return [
        int(np.searchsorted(ordered[user][0], at) - np.searchsorted(ordered[user][1], at)) if user else None
        for user, at in zip(batch.columns["assigned_to_id"], batch.moments, strict=True)
    ]


def first_score(values: dict[str, Any], before: Mapping[str, Any] | None) -> None:
    """A new lead has its score at once; imported ones get theirs in the background, set at a time."""
    if before is not None or current_audit_context().source == "import":
        return
    values["lead_score"], values["conversion_probability"] = LeadScoringEngine().score_values(values)
    values["scored_at"] = timezone.now()
