"""Webhooks: what they say of persons (core.personal_data)."""

from core.personal_data import PersonalTable, personal_tables
from core.retention import RetainedTable, retained_tables

_SEALED = "Sealed."
personal_tables.register(
    "core_webhooksubscription",
    PersonalTable("webhook subscriptions", kept={"secret": _SEALED, "old_secret": _SEALED}),
)
personal_tables.register(
    "core_webhookdelivery",
    PersonalTable(
        "events for webhooks",
        children=(("core_webhookattempt", "delivery_id"),),
        internal=("headers", "secret"),
        json_texts=("body",),
        # It tells receivers to delete theirs, and says nothing but the id.
        untouched="right(t.event, 8) = '.deleted'",
    ),
)
personal_tables.register(
    "core_webhookattempt",
    PersonalTable(
        "attempts at webhooks",
        internal=("request_headers", "response_headers"),
        json_texts=("response_body",),
        related="t.delivery_id IN (SELECT d.id FROM core_webhookdelivery d JOIN {records}"
        " ON d.entity = p.entity AND d.object_id = p.id)",
    ),
)

retained_tables.register(
    "core_webhookdelivery",
    RetainedTable(
        "t.status NOT IN ('queued', 'sending') AND t.created_at < %s",
        "DELIVERY_DAYS",
        children=(("core_webhookattempt", "delivery_id"),),
    ),
)
