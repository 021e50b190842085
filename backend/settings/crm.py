"""The product's own settings (core/conf.py holds them all, with their defaults), lead scoring."""

from pathlib import Path

from babel.numbers import list_currencies

from backend.settings.environment import DATA_DIR, env

CRM = {
    "DEFAULT_CURRENCY": env.choice("DEFAULT_CURRENCY", sorted(list_currencies("en")), "USD"),
    "EXCHANGE_RATE_SOURCE": env.text("EXCHANGE_RATE_SOURCE", ""),
    "EXCHANGE_RATE_URL": env.url(
        "EXCHANGE_RATE_URL",
        ["https", "http"],
        "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml",
    ),
    "RECORD_URL": env.pattern(
        "RECORD_URL",
        ["base", "app", "entity", "plural", "id"],
        "{base}/admin/{app}/{entity}/{id}/change/",
    ),
    "PASSWORD_URL": env.pattern("PASSWORD_URL", ["base", "token"], "{base}/password/#token={token}"),
    "COMPANY_BY_DOMAIN": env.choice("COMPANY_BY_DOMAIN", ["off", "suggest", "link"], "suggest"),
    "FREE_MAIL_DOMAINS": env.words("FREE_MAIL_DOMAINS", []),
    "AGENT_READS_PER_HOUR": env.integer("AGENT_READS_PER_HOUR", 5_000, minimum=0),
    "AGENT_WRITES_PER_HOUR": env.integer("AGENT_WRITES_PER_HOUR", 200, minimum=0),
    "PRIVACY_HOURS": env.integer("PRIVACY_HOURS", 7 * 24, minimum=1),
    "RUN_DAYS": env.integer("RUN_DAYS", 90, minimum=0),
    "MAIL_DAYS": env.integer("MAIL_DAYS", 365, minimum=0),
    "DELIVERY_DAYS": env.integer("DELIVERY_DAYS", 30, minimum=0),
    "NOTIFICATION_DAYS": env.integer("NOTIFICATION_DAYS", 365, minimum=1),
    "JOB_DAYS": env.integer("JOB_DAYS", 365, minimum=0),
    "AGENT_SESSION_DAYS": env.integer("AGENT_SESSION_DAYS", 365, minimum=0),
    "ADMIN_LOG_DAYS": env.integer("ADMIN_LOG_DAYS", 0, minimum=0),
    "CHANGE_DAYS": env.integer("CHANGE_DAYS", 0, minimum=0),
    "OUTBOUND_PLAIN_HTTP": env.flag("OUTBOUND_PLAIN_HTTP", False),
    "OUTBOUND_PORTS": env.integers("OUTBOUND_PORTS", [443, 80], minimum=1, maximum=65535),
    "OUTBOUND_ALLOWED_HOSTS": env.words("OUTBOUND_ALLOWED_HOSTS", []),
}

# The endpoint for AI clients, /mcp.
MCP_ENABLED = env.flag("MCP_ENABLED", True)

LEAD_SCORING_MODEL_PATH = Path(
    env.text("LEAD_SCORING_MODEL_PATH", str(DATA_DIR / "models" / "lead_scoring_model.json"))
)
LEAD_SCORING_RETRAIN_SCHEDULE = env.text("LEAD_SCORING_RETRAIN_SCHEDULE", "0 2 * * 1")  # Monday 02:00 UTC
