"""The rules an installation begins with: base 50, source, business e-mail, company, high-value tags."""

from core.lead_scoring.rules import Rule, RuleSet

SOURCE_POINTS = {
    "referral": 20,
    "website": 15,
    "partner": 15,
    "event": 10,
    "social_media": 5,
    "email_campaign": 5,
    "advertisement": 5,
}
HIGH_VALUE_TAGS = ["vip", "high-value", "high_value", "enterprise", "hot", "strategic", "decision-maker"]

DEFAULT_RULES = RuleSet(
    base=50,
    rules=(
        *(
            Rule(f"source_{name}", "lead_source", "in", [name], points, f"Came by {name.replace('_', ' ')}")
            for name, points in SOURCE_POINTS.items()
        ),
        Rule("business_email", "email_kind", "in", ["business"], 10, "Business e-mail domain"),
        Rule("company", "company_name", "filled", True, 10, "Company is known"),
        Rule("high_value_tag", "tags", "in", HIGH_VALUE_TAGS, 15, "High-value tag"),
    ),
)
