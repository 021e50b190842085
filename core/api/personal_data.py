"""Kept answers: what they say of persons (core.personal_data)."""

from core.personal_data import Erasure, PersonalTable, personal_tables

personal_tables.register(
    "core_idempotencykey",
    PersonalTable(
        "answers kept for repeated requests",
        on_match=Erasure.DELETE,
        read={"body": "convert_from(t.body, 'UTF8')"},
        kept={"fingerprint": "A keyed digest of the request."},
    ),
)
