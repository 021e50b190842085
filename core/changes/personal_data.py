"""The change table: what it says of persons (core.personal_data)."""

from core.personal_data import NUMBERS, Erasure, PersonalTable, holds_none, personal_tables
from core.retention import RetainedTable, retained_tables

holds_none(NUMBERS, "core_outbox", "core_sealbound", "core_changeretention", "core_auditverification")
holds_none("Names and hashes of files; docs/privacy.md says what they hold.", "core_changearchive")
holds_none(
    "Hashes of changes; those of rows that were erased go with the salt they were made with.",
    "core_auditseal",
)
personal_tables.register(
    "core_change",
    PersonalTable(
        "history of changes",
        # Of what hung on the person's records and was deleted before.
        linked="(t.kind = 'deleted' AND EXISTS (SELECT FROM {records}"
        " WHERE p.entity = t.changes #>> '{{entity,0}}' AND p.id::text = t.changes #>> '{{object_id,0}}'))",
        on_link=Erasure.EMPTY,
        emptied={"changes": "'{}'"},
    ),
)
personal_tables.register("core_faileddispatch", PersonalTable("changes that a consumer refused"))

retained_tables.register(
    "core_change",
    RetainedTable("t.at < %s", "CHANGE_DAYS", function="core_change_prune"),
)
