"""Demo leads whose outcome depends on what they are, so that scoring has something to learn."""

from datetime import datetime, timedelta
from math import exp
from typing import Any

from core.customization.demo import add_custom_field, add_shared_view
from core.demo import Demo, words
from core.duplicates.demo import add_duplicate_rule
from core.mail.demo import add_email_template
from lead_management.models import Lead, LeadSource, LeadStatus, Priority
from lead_management.querysets import HOT

BATCH = 500
# Of so many leads one was entered before, with another address.
TWICE = 20
SOURCES = dict(zip(LeadSource.values, (30, 12, 15, 14, 8, 7, 8, 4, 2), strict=True))
# What speaks for or against becoming a customer.
BY_SOURCE = {
    "referral": 1.3,
    "partner": 0.6,
    "event": 0.3,
    "email_campaign": -0.4,
    "advertisement": -0.5,
    "cold_call": -1.2,
}
BY_INDUSTRY = {"Software": 0.8, "Finance": 0.5, "Healthcare": 0.3, "Agriculture": -0.6, "Retail": -0.5}
BY_PLAN = {"enterprise": 0.8, "team": 0.2, "starter": -0.4}
SENIOR = ("CEO", "CTO", "VP", "Head", "Director")
OPEN = (LeadStatus.NEW, LeadStatus.CONTACTED, LeadStatus.NURTURING, LeadStatus.QUALIFIED, LeadStatus.PROPOSAL)
GONE = (LeadStatus.UNQUALIFIED, LeadStatus.LOST)
TAGS = ("vip", "newsletter", "trial", "webinar")
PLANS = ("starter", "team", "enterprise")
TEMPLATES = (
    # key, name, subject, text
    (
        "welcome_email",
        "Welcome",
        "Welcome, {{ lead.first_name }}",
        "Hello {{ lead.first_name }},\n\nthank you for your interest. We will be in touch within two days.\n",
    ),
    (
        "follow_up",
        "Follow-up",
        "Shall we talk, {{ lead.first_name }}?",
        "Hello {{ lead.first_name }},\n\nyou asked about us some days ago. When would a call suit you?\n",
    ),
)


def add_leads(demo: Demo) -> str:
    _add_settings(demo)
    leads: list[Lead] = []
    for start in range(0, demo.leads, BATCH):
        rows = [_lead(demo) for _ in range(min(BATCH, demo.leads - start))]
        for place in range(TWICE - 1, len(rows), TWICE):
            _enter_again(rows[place], rows[place - TWICE // 2])
        leads += Lead.objects.bulk_create(rows)
    demo.made["leads"] = leads
    return f"{len(leads)} leads"


def _add_settings(demo: Demo) -> None:
    add_duplicate_rule("Same e-mail address", "lead", "email", across="contact")
    add_custom_field("lead", "budget", "Budget", "money")
    add_custom_field("lead", "plan", "Plan of interest", "choice", PLANS)
    add_custom_field("lead", "trial_ends", "Trial ends", "date")
    hot = {"field": "lead_score", "op": "gt", "value": HOT}
    add_shared_view(demo, "lead", "Hot leads", hot, "-lead_score")
    add_shared_view(demo, "lead", "Californian leads", {"state": "CA"}, "-created_at")
    for template in TEMPLATES:
        add_email_template("lead", *template)


def _lead(demo: Demo) -> Lead:
    first, last = demo.person()
    company = demo.company() if demo.random.random() < 0.8 else ""
    domain = f"{company.lower().replace(' ', '-')}.example" if company else demo.pick(words.FREE_MAIL)
    created = demo.past()
    values: dict[str, Any] = {
        "first_name": first,
        "last_name": last,
        "email": f"{first}.{last}{demo.random.randint(1, 99_999)}@{domain}".lower(),
        "company_name": company,
        "company_size": int(10 ** (0.5 + 3 * demo.random.random())) if company else None,
        "industry": demo.pick(words.INDUSTRIES) if company else "",
        "job_title": demo.pick(words.JOB_TITLES) if demo.random.random() < 0.85 else "",
        "lead_source": demo.pick(list(SOURCES), list(SOURCES.values())),
        "priority": demo.pick(Priority.values, (2, 5, 3, 1)),
        "estimated_value": demo.random.randint(5, 600) * 100 if demo.random.random() < 0.7 else None,
        "tags": demo.random.sample(TAGS, k=demo.random.choice((0, 0, 1, 2))),
        "custom_fields": {"plan": demo.pick(PLANS)} if demo.random.random() < 0.6 else {},
        "owner": demo.seller(),
        "created_at": created,
    }
    values["assigned_to"] = _assignee(demo, values["owner"])
    return Lead(**values, **demo.address(), **_progress(demo, values, created))


def _assignee(demo: Demo, owner: Any) -> Any:
    """Mostly the owner, now and then the manager of the team, else nobody."""
    drawn = demo.random.random()
    return owner if drawn < 0.65 else demo.manager_of(owner) if drawn < 0.75 else None


def _enter_again(lead: Lead, known: Lead) -> None:
    """Make a lead a duplicate of one that is known: somebody wrote down who called, and not who it is."""
    for name in ("first_name", "last_name", "company_name", "phone"):
        setattr(lead, name, getattr(known, name))
    lead.email = f"private.{known.email}"


def _progress(demo: Demo, values: dict[str, Any], created: datetime) -> dict[str, Any]:
    """How far the lead came: the older it is, the more likely it is decided."""
    decided = demo.random.random() < min(0.8, (demo.now - created).days / 200)
    contacted = min(created + timedelta(days=demo.random.random() * 6), demo.now)
    if not decided:
        status = demo.pick(OPEN, (6, 5, 3, 3, 2))
        touched = {} if status == LeadStatus.NEW else {"last_contacted_at": contacted, "call_attempts": 1}
        return {"status": status, "next_follow_up_at": demo.future(14), **touched}
    known = {"last_contacted_at": contacted, "call_attempts": demo.random.randint(1, 5)}
    if demo.random.random() < _chance(values):
        done = min(created + timedelta(days=demo.random.randint(5, 60)), demo.now)
        return known | {"status": LeadStatus.CONVERTED, "converted_at": done}
    status = demo.pick(GONE)
    return known | {"status": status, "lost_reason": "No budget" if status == LeadStatus.LOST else ""}


def _chance(values: dict[str, Any]) -> float:
    """The probability that a decided lead was converted."""
    odds = BY_SOURCE.get(values["lead_source"], 0.0)
    odds += BY_INDUSTRY.get(values["industry"], 0.0)
    odds += BY_PLAN.get(values["custom_fields"].get("plan"), 0.0)
    odds += 1.3 if values["job_title"].startswith(SENIOR) else -0.4
    odds += 0.2 if values["company_name"] else -0.8
    odds += 0.6 if (values["company_size"] or 0) > 200 else 0.0
    odds += 1.1 if "trial" in values["tags"] else 0.0
    return 1 / (1 + exp(2.4 - 1.6 * odds))
