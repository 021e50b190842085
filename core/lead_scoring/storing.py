"""Scores into the database, set at a time: binary COPY to a stage, one UPDATE and one upsert from it.

The stage is a temporary table of the transaction: nothing is bound to the session.
"""

from dataclasses import dataclass

import numpy as np
from django.db import connection
from django.db.models import QuerySet

from core.lead_scoring.scorer import Scored
from core.lead_scoring.scoring_target import ScoringTarget

PLACES = 6
# A change of probability that is worth a row in the history of a lead whose score stays.
WORTH_RECORDING = 0.01
_HEADER = b"PGCOPY\n\xff\r\n\x00" + b"\x00" * 8
_TRAILER = b"\xff\xff"
INT2_OID = 21


@dataclass(frozen=True)
class ScoreOrigin:
    """What scored: the ids of the model (None for rules alone) and of the rule set. Without a rule set a
    model has the rules it was trained with, and rules alone are the first ones."""

    model_id: int | None
    rules_id: int | None


def store(target: ScoringTarget, ids: list[int], scored: Scored, origin: ScoreOrigin, *, always: bool) -> int:
    """Write scores and reasons of existing leads in the caller's transaction; how many leads were written.

    With `always` every lead gets its time of scoring; without, leads whose score did not move are left as
    they are, and only their reasons are renewed.
    """
    if not ids:
        return 0
    _fill_stage(ids, scored)
    names = names_of(target)
    with connection.cursor() as cursor:
        cursor.execute(_LOCK.format(**names))
        cursor.execute(update_statement(target, always=always), {"least": WORTH_RECORDING})
        written = cursor.rowcount
        cursor.execute(_REASONS.format(**names), [origin.model_id, origin.rules_id])
    return written


def names_of(target: ScoringTarget) -> dict[str, str]:
    """The tables and columns of a target, quoted, as the statements call them."""
    named = {
        "table": target.table,
        "scores": target.scores_table,
        "pending": target.pending_table,
        "key": target.key,
        "score": target.score_column,
        "probability": target.probability_column,
    }
    return {name: connection.ops.quote_name(value) for name, value in named.items()}


def update_statement(target: ScoringTarget, *, always: bool) -> str:
    """The statement that writes what is staged into the records."""
    names = names_of(target)
    return _UPDATE.format(unless="" if always else _MOVED.format(**names), **names)


def forget(target: ScoringTarget, rows: QuerySet) -> int:
    """Take the scores of these records away: nothing scores them. How many had one."""
    written = rows.filter(scored_at__isnull=False).order_by("pk")
    ids = list(written.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))
    if ids:
        empty = dict.fromkeys((target.score_column, target.probability_column, "scored_at"))
        target.model.objects.filter(pk__in=ids).update(**empty)
        target.score_model.objects.filter(pk__in=ids).delete()
    return len(ids)


_CREATE = """
CREATE TEMP TABLE IF NOT EXISTS crm_score_stage (
    lead_id bigint, score smallint, probability float8, points smallint[], codes smallint[]
) ON COMMIT DROP
"""
# In order of id, as everything that locks leads does: two writers wait for each other and never deadlock.
_LOCK = """
SELECT 1 FROM {table} WHERE id IN (SELECT lead_id FROM crm_score_stage) ORDER BY id FOR NO KEY UPDATE
"""
_UPDATE = """
UPDATE {table} l SET {score} = s.score, {probability} = s.probability, scored_at = now()
FROM crm_score_stage s WHERE l.id = s.lead_id {unless}
"""
_MOVED = """AND (l.scored_at IS NULL OR l.{score} <> s.score OR l.{probability} IS NULL
    OR abs(l.{probability} - s.probability) >= %(least)s)"""
_REASONS = """
INSERT INTO {scores} AS r ({key}, score, probability, model_id, rules_id, points, codes, scored_at)
SELECT s.lead_id, s.score, s.probability, %s, %s, s.points, s.codes, now()
FROM crm_score_stage s JOIN {table} l ON l.id = s.lead_id
ON CONFLICT ({key}) DO UPDATE SET score = excluded.score, probability = excluded.probability,
    model_id = excluded.model_id, rules_id = excluded.rules_id, points = excluded.points,
    codes = excluded.codes, scored_at = excluded.scored_at
"""


def _fill_stage(ids: list[int], scored: Scored) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_CREATE)
        cursor.execute("TRUNCATE crm_score_stage")
        with cursor.copy("COPY crm_score_stage FROM STDIN (FORMAT binary)") as copy:
            copy.write(_HEADER)
            copy.write(binary_rows(ids, scored))
            copy.write(_TRAILER)


def binary_rows(ids: list[int], scored: Scored) -> bytes:
    """The rows in PostgreSQL's binary COPY format: all are of one width, so NumPy lays them out at once."""
    n, factors = scored.points.shape
    inputs = scored.codes.shape[1]
    layout = np.dtype(
        [
            ("fields", ">i2"),
            *[("id_size", ">i4"), ("id", ">i8"), ("score_size", ">i4"), ("score", ">i2")],
            *[("p_size", ">i4"), ("p", ">f8")],
            *_array_layout("points", factors),
            *_array_layout("codes", inputs),
        ]
    )
    rows = np.zeros(n, dtype=layout)
    rows["fields"], rows["id_size"], rows["score_size"], rows["p_size"] = 5, 8, 2, 8
    rows["id"], rows["score"], rows["p"] = ids, scored.score, np.round(scored.probability, PLACES)
    _fill_array(rows, "points", scored.points)
    _fill_array(rows, "codes", scored.codes)
    return rows.tobytes()


def _array_layout(name: str, width: int) -> list[tuple]:
    """A one-dimensional smallint[]: its size, then dimensions, flags, element type, length, lower bound."""
    head = [(f"{name}_size", ">i4"), (f"{name}_head", ">i4", (5 if width else 3,))]
    return [*head, (name, [("size", ">i4"), ("value", ">i2")], (width,))] if width else head


def _fill_array(rows: np.ndarray, name: str, values: np.ndarray) -> None:
    width = values.shape[1]
    rows[f"{name}_size"] = 12 + (8 + 6 * width if width else 0)
    rows[f"{name}_head"] = [1, 0, INT2_OID, width, 1] if width else [0, 0, INT2_OID]
    if width:
        rows[name]["size"] = 2
        rows[name]["value"] = values
