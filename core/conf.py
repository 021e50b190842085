"""The product's own settings: `CRM` in Django's settings, over defaults; an unknown key is an error."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

DEFAULTS: dict[str, Any] = {
    "PAGE_SIZE": 50,
    "MAX_PAGE_SIZE": 500,
    # Lists count exactly up to here; beyond it the planner's estimate is given and marked.
    "COUNT_LIMIT": 10_000,
    "BULK_LIMIT": 10_000,
    # The organisation's currency (ISO 4217): that of amounts which name none, and what rates are given in.
    "DEFAULT_CURRENCY": "USD",
    # A callable (its dotted path) that gives the day's exchange rates, and where it reads them.
    "EXCHANGE_RATE_SOURCE": "",
    "EXCHANGE_RATE_URL": "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml",
    # Where phone numbers without a country code are from (ISO 3166-1 alpha-2) if neither the record nor its
    # writer says so; without a region they are kept as they are written.
    "DEFAULT_PHONE_REGION": "",
    "IDEMPOTENCY_HOURS": 24,
    # Changes handed to the consumers in one transaction.
    "DISPATCH_BATCH": 5_000,
    # Failed attempts to prove a password, before the next has to wait.
    "SIGN_IN_FAILURES": {"account_and_address": "5/minute", "address": "30/minute", "account": "50/hour"},
    # Tokens, keys and tickets that are refused, from one address.
    "CREDENTIAL_FAILURES": "100/minute",
    # Links for a new password: asked for from one address, and for one account.
    "PASSWORD_MAILS": {"address": "20/hour", "account": "3/hour"},
    # Where such a link leads to: a page of your own front end may take this one's place.
    "PASSWORD_URL": "{base}/password/#token={token}",
    # Open WebSockets of one user.
    "LIVE_CONNECTIONS": 20,
    # Imports: the largest file in megabytes, and up to how many rows one is answered at once.
    "IMPORT_MAX_MB": 512,
    "IMPORT_ROWS_AT_ONCE": 2_000,
    "IMPORT_UNDO_DAYS": 30,
    # How long a merge of records can be undone; after that what it would take is forgotten.
    "MERGE_UNDO_DAYS": 30,
    # How long a share that has expired is kept; it gives nothing any more.
    "SHARE_DAYS": 1,
    # What happens with a company that has the domain of a person's e-mail address: "suggest" (people decide),
    # "link" (by itself, where only one has it) or "off"; and further domains of free mail, which say nothing.
    "COMPANY_BY_DOMAIN": "suggest",
    "FREE_MAIL_DOMAINS": (),
    # Exports made in the background are kept so long.
    "EXPORT_HOURS": 24,
    # What was asked for of a person, and the file of an export of their data, are kept so long.
    "PRIVACY_HOURS": 7 * 24,
    # How long notifications and the record of their deliveries are kept.
    "NOTIFICATION_DAYS": 365,
    # Where messages and calendars lead to: a page of your own front end may take the admin's place.
    "RECORD_URL": "{base}/admin/{app}/{entity}/{id}/change/",
    # How often an open WebSocket asks whether its session still holds.
    "LIVE_CHECK_S": 15,
    # Features scoring must not learn from (protected ones), and those that no leak check may drop.
    "SCORING_EXCLUDED_FEATURES": (),
    "SCORING_ALLOWED_FEATURES": (),
    # What the forecast weighs open deals by where nobody says: "stage", or "model" (the win probability).
    "FORECAST_WEIGHTS": "stage",
    # Calls to others' machines: https on these ports. Hosts (or host:port) inside one's own network that may
    # be called all the same, over http and on any port, are the operator's to name.
    "OUTBOUND_PLAIN_HTTP": False,
    "OUTBOUND_PORTS": (443, 80),
    "OUTBOUND_ALLOWED_HOSTS": (),
    # How long rows are kept, in days, 0 for ever: what imports, exports and scoring did; sessions of AI
    # clients, and of the admin site past their end; what was done in that site; the history of records, with
    # which timelines and undoing end.
    "JOB_DAYS": 365,
    "AGENT_SESSION_DAYS": 365,
    "ADMIN_SESSION_DAYS": 1,
    "ADMIN_LOG_DAYS": 0,
    "CHANGE_DAYS": 0,
    "RUN_DAYS": 90,
    "MAIL_DAYS": 365,
    "DELIVERY_DAYS": 30,
    # AI clients: rows that a grant may read and write within an hour where nobody says otherwise, how long an
    # unused session goes on, how long what it did can be undone.
    "AGENT_READS_PER_HOUR": 5_000,
    "AGENT_WRITES_PER_HOUR": 200,
    "AGENT_SESSION_MINUTES": 30,
    "AGENT_UNDO_DAYS": 30,
}


class Conf:
    """Attribute access to `settings.CRM` over the defaults; read at each access, so tests may override it."""

    def __getattr__(self, name: str) -> Any:
        given = getattr(settings, "CRM", {})
        unknown = set(given) - set(DEFAULTS)
        if unknown:
            raise ImproperlyConfigured(f"unknown keys in settings.CRM: {', '.join(sorted(unknown))}")
        if name not in DEFAULTS:
            raise AttributeError(name)
        return given.get(name, DEFAULTS[name])


conf = Conf()


def reading_database() -> str:
    """The database for heavy reading that may lag some moments behind: the replica where there is one."""
    return "replica" if "replica" in settings.DATABASES else "default"
