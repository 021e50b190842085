"""Demo deals, which went through some stages before they came where they are."""

from collections.abc import Sequence
from datetime import timedelta
from math import exp, log10
from typing import Any

from core.customization.demo import add_custom_field, add_shared_view
from core.demo import Demo
from core.mail.demo import add_email_template
from opportunities.models import (
    ContactRole,
    ForecastCategory,
    LostReason,
    Opportunity,
    OpportunityContact,
    Pipeline,
)
from opportunities.stages import key_of

BATCH = 500
# Where open deals are by now, with weights.
OPEN = {"prospecting": 5, "qualification": 5, "proposal": 4, "negotiation": 3}
# The stages passed on the way.
PASSED = {
    "prospecting": [],
    "qualification": ["qualification"],
    "proposal": ["qualification", "proposal"],
    "negotiation": ["qualification", "proposal", "negotiation"],
    "closed_won": ["qualification", "proposal", "negotiation", "closed_won"],
    "closed_lost": ["qualification", "closed_lost"],
}
CLOSED_SHARE = 0.7
# The share of the deals that the manager of the team sees to.
MANAGERS = 0.1
# What speaks for or against winning a deal, in log-odds.
BY_SOURCE = {"referral": 1.8, "partner": 0.8, "website": 0.0, "event": -0.4, "cold_call": -1.8}
BY_PLAN = {"starter": -1.0, "team": 0.2, "enterprise": 1.0}
RENEWAL = 1.6
REASONS = ("Price", "Competitor", "No budget", "Bad timing", "No answer")
ESTIMATES = (ForecastCategory.PIPELINE, ForecastCategory.BEST_CASE, ForecastCategory.COMMIT)
PLANS = ("starter", "team", "enterprise")
SOON = {"field": "expected_close_date", "op": "within_next", "value": {"days": 30}}
# Of the primary contact of a deal, and of a second one.
ROLES = (ContactRole.DECISION_MAKER, ContactRole.ECONOMIC_BUYER, ContactRole.CHAMPION)
SECOND_ROLES = (ContactRole.INFLUENCER, ContactRole.EVALUATOR, ContactRole.END_USER, ContactRole.OTHER)
OTHER_ROLE = "Legal counsel"
WON_TEMPLATE = (
    "deal_won",
    "Deal won",
    "Welcome aboard",
    "Hello,\n\nwe are glad to work with you on {{ opportunity.name }}.\n",
)


def add_opportunities(demo: Demo) -> str:
    """Created in the first stage and then moved, so that each has a history of stages."""
    add_lost_reasons()
    add_custom_field("opportunity", "plan", "Plan", "choice", PLANS)
    add_shared_view(demo, "opportunity", "Closing soon", SOON, "expected_close_date")
    add_email_template("opportunity", *WON_TEMPLATE)
    pipeline = Pipeline.objects.get(is_default=True)
    rows = [_deal(demo, pipeline) for _ in range(max(20, demo.leads * 2 // 3))]
    demo.made["opportunities"] = Opportunity.objects.bulk_create(rows, batch_size=BATCH)
    for stage, deals in _destinations(demo).items():
        for passed in PASSED[stage]:
            _move(demo, deals, passed)
    return f"{len(rows)} opportunities"


def add_lost_reasons() -> None:
    """Those that the demo's deals are lost for, and `other`; what is there already stays."""
    for place, name in enumerate((*REASONS, "Other")):
        values = {"name": name, "position": place}
        LostReason.objects.get_or_create(pipeline=None, key=key_of(name), defaults=values)


def add_deal_contacts(demo: Demo) -> str:
    """Deals of companies where one knows somebody else too have that one as a second contact."""
    colleagues: dict[int, list[Any]] = {}
    for contact in demo.made["contacts"]:
        colleagues.setdefault(contact.company_id, []).append(contact)
    rows: list[OpportunityContact] = []
    for deal in demo.made["opportunities"]:
        others = [one for one in colleagues[deal.company_id] if one.pk != deal.contact_id]
        if others:
            rows.append(_in_role(demo, deal, deal.contact_id, ROLES))
            rows.append(_in_role(demo, deal, demo.pick(others).pk, SECOND_ROLES))
    OpportunityContact.objects.bulk_create(rows, batch_size=BATCH)
    return f"{len(rows)} roles of contacts in opportunities"


def _in_role(demo: Demo, deal: Opportunity, contact: int, roles: Sequence[ContactRole]) -> OpportunityContact:
    role = demo.pick(roles)
    text = OTHER_ROLE if role == ContactRole.OTHER else ""
    return OpportunityContact(
        opportunity=deal, contact_id=contact, role=role, role_text=text, created_at=deal.created_at
    )


def _move(demo: Demo, deals: list[Opportunity], stage: str) -> None:
    """Into a stage; closed ones were closed some time between their creation and now."""
    for deal in deals:
        deal.stage = stage
        if stage in ("closed_won", "closed_lost"):
            later = deal.created_at + (demo.now - deal.created_at) * demo.random.random()
            deal.actual_close_date = later.date()
        if stage == "closed_lost":
            deal.lost_reason = demo.pick(REASONS)
    written = ["stage", "actual_close_date", "lost_reason"]
    Opportunity.objects.bulk_update(deals, written, batch_size=BATCH)


def _destinations(demo: Demo) -> dict[str, list[Opportunity]]:
    found: dict[str, list[Opportunity]] = {}
    for deal in demo.made["opportunities"]:
        found.setdefault(_destination(demo, deal), []).append(deal)
    return found


def _destination(demo: Demo, deal: Opportunity) -> str:
    if demo.random.random() > CLOSED_SHARE:
        return demo.pick(list(OPEN), list(OPEN.values()))
    return "closed_won" if demo.random.random() < _chance(deal) else "closed_lost"


def _chance(deal: Opportunity) -> float:
    """The probability that a closed deal was won."""
    odds = BY_SOURCE[deal.lead_source] + BY_PLAN[deal.custom_fields["plan"]]
    odds += RENEWAL if deal.tags else 0.0
    odds -= 1.2 * (log10(deal.amount) - 4.3)
    return 1 / (1 + exp(-odds))


def _deal(demo: Demo, pipeline: Pipeline) -> Opportunity:
    contact = demo.pick(demo.made["contacts"])
    created = demo.past(150)
    return Opportunity(
        name=f"{contact.company_name}: {demo.pick(PLANS)} plan",
        company=contact.company,
        contact=contact,
        company_name=contact.company_name,
        pipeline=pipeline,
        stage="prospecting",
        lead_source=demo.pick(list(BY_SOURCE)),
        amount=demo.random.randint(10, 900) * 100,
        currency=demo.pick(("USD", "USD", "USD", "EUR")),
        forecast_category=demo.pick(ESTIMATES, (5, 3, 2)),
        expected_close_date=(created + timedelta(days=demo.random.randint(60, 240))).date(),
        owner=contact.owner,
        assigned_to=demo.manager_of(contact.owner) if demo.random.random() < MANAGERS else None,
        created_at=created,
        stage_changed_at=created,
        tags=["renewal"] if demo.random.random() < 0.2 else [],
        custom_fields={"plan": demo.pick(PLANS)},
    )
