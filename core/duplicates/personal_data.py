"""Merges and duplicates: what they say of persons (core.personal_data)."""

from core.personal_data import NUMBERS, Erasure, PersonalTable, holds_none, personal_tables

holds_none(NUMBERS, "core_mergemove", "core_duplicatescan")
personal_tables.register(
    "core_merge",
    PersonalTable(
        "merges, with what it takes to undo them",
        linked="EXISTS (SELECT FROM {records} WHERE p.entity = t.entity AND p.id = ANY(t.merged_ids))",
        on_link=Erasure.EMPTY,
        emptied={"before": "'{}'", "after": "'{}'", "sources": "'{}'"},
    ),
)
personal_tables.register(
    "core_duplicatepair",
    PersonalTable(
        "possible duplicates",
        linked="EXISTS (SELECT FROM {records} WHERE p.entity = t.entity AND p.id IN (t.low_id, t.high_id))",
    ),
)
personal_tables.register(
    "core_duplicatecheck",
    PersonalTable(
        "records to be compared",
        linked="(t.entity, t.record_id) IN (SELECT p.entity, p.id FROM {records})",
    ),
)
