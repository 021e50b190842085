"""What lead scoring knows of leads: their features, their outcome, their first score."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone

from core.changes import current_audit_context
from core.lead_scoring import LeadScoringEngine
from core.lead_scoring.features import Kind
from core.lead_scoring.scoring_target import (
    Batch,
    ScoringTarget,
    days,
    days_since,
    feature,
    plain,
    scoring_targets,
)
from lead_management.job_titles import function_of, seniority_of
from lead_management.mail_domains import business_domain
from lead_management.models import Lead, LeadStatus

CLOSED = (LeadStatus.CONVERTED, LeadStatus.LOST, LeadStatus.UNQUALIFIED)

scoring_targets.register(
    "lead",
    ScoringTarget(
        entity="lead",
        won=Q(status=LeadStatus.CONVERTED),
        lost=Q(status__in=(LeadStatus.LOST, LeadStatus.UNQUALIFIED)),
        outcome_column="status",
        closed_column="converted_at",
    ),
)

plain("lead_source", "Source", Kind.CATEGORY)
plain("company_size", "Company size", Kind.NUMBER)
plain("estimated_value", "Estimated value", Kind.NUMBER)
plain("industry", "Industry", Kind.CATEGORY)
plain("country", "Country", Kind.CATEGORY)
plain("tags", "Tags", Kind.MULTI)
plain("engagement_count", "Engagements", Kind.NUMBER)
plain("call_attempts", "Calls tried", Kind.NUMBER)


@feature("email_kind", "E-mail", Kind.CATEGORY, "email")
def _email_kind(batch: Batch) -> list[str | None]:
    """Of a business, of a free provider, or none: never the address itself."""
    return [("business" if business_domain(e) else "free") if e else None for e in batch.columns["email"]]


@feature("company_name", "Company", Kind.CATEGORY, "company_name")
def _company(batch: Batch) -> list[str | None]:
    """Whether the company is known: never its name."""
    return ["known" if name else None for name in batch.columns["company_name"]]


@feature("seniority", "Seniority", Kind.CATEGORY, "job_title")
def _seniority(batch: Batch) -> list[str | None]:
    return [seniority_of(title) for title in batch.columns["job_title"]]


@feature("job_function", "Function", Kind.CATEGORY, "job_title")
def _function(batch: Batch) -> list[str | None]:
    return [function_of(title) for title in batch.columns["job_title"]]


REACHED_BY = ("email", "phone", "mobile", "company_name", "job_title", "website", "city", "country")


@feature("completeness", "Contact details", Kind.NUMBER, *REACHED_BY)
def _completeness(batch: Batch) -> np.ndarray:
    """How many of eight ways to know and reach the person are filled."""
    return np.sum([[bool(v) for v in batch.columns[name]] for name in REACHED_BY], axis=0)


@feature("age_days", "Days since creation", Kind.NUMBER, "created_at")
def _age(batch: Batch) -> np.ndarray:
    return days_since(batch.columns["created_at"], batch.moments)


@feature("days_since_contact", "Days since contact", Kind.NUMBER, "last_contacted_at")
def _recency(batch: Batch) -> np.ndarray:
    return days_since(batch.columns["last_contacted_at"], batch.moments)


_KINDS = """
SELECT p.i, count(*) FILTER (WHERE a.type = 'email'), count(*) FILTER (WHERE a.type = 'meeting'),
       count(*) FILTER (WHERE a.direction = 'inbound'),
       extract(epoch FROM min(a.happened_at) FILTER (WHERE a.direction = 'outbound' AND a.type <> 'note'))
FROM unnest(%s::bigint[], %s::float8[]) WITH ORDINALITY AS p(id, at, i)
JOIN core_activity a ON a.entity = 'lead' AND a.object_id = p.id
    AND a.created_at <= to_timestamp(p.at * 86400)
GROUP BY p.i
"""


def _activities(batch: Batch) -> np.ndarray:
    """By lead: e-mails, meetings, what came from them, the first outbound contact (days since 1970)."""
    if "activities" not in batch.memo:
        batch.memo["activities"] = _count_activities(batch)
    return batch.memo["activities"]


def _count_activities(batch: Batch) -> np.ndarray:
    found = np.zeros((len(batch.ids), 4))
    found[:, 3] = np.nan
    ids = [pk or 0 for pk in batch.ids]
    if not any(batch.columns["engagement_count"]):  # it counts what these features are made of
        return found
    with connection.cursor() as cursor:
        cursor.execute(_KINDS, [ids, batch.moments.tolist()])
        for i, emails, meetings, inbound, first in cursor.fetchall():
            found[i - 1] = emails, meetings, inbound, float(first) / 86_400 if first is not None else np.nan
    return found


@feature("emails", "E-mails", Kind.NUMBER, "engagement_count")
def _emails(batch: Batch) -> np.ndarray:
    return _activities(batch)[:, 0]


@feature("meetings", "Meetings", Kind.NUMBER, "engagement_count")
def _meetings(batch: Batch) -> np.ndarray:
    return _activities(batch)[:, 1]


@feature("inbound", "Heard from them", Kind.NUMBER, "engagement_count")
def _inbound(batch: Batch) -> np.ndarray:
    return _activities(batch)[:, 2]


@feature("response_hours", "Hours to first contact", Kind.NUMBER, "created_at", "engagement_count")
def _response(batch: Batch) -> np.ndarray:
    age = days_since(batch.columns["created_at"], batch.moments)
    return (_activities(batch)[:, 3] - (batch.moments - age)) * 24


@feature("owner_load", "Open leads of the assignee", Kind.NUMBER, "assigned_to_id")
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
