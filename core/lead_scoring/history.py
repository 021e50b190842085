"""Leads as they were when they might have been scored, for training: what came later is undone.

Of each closed lead there is a snapshot some days after its creation (its landmarks), as long as it was still
open then; the change table gives back what its columns held.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
from django.db import connection
from django.db.models import BooleanField, DateTimeField, ExpressionWrapper, F, Value

from core.lead_scoring.feature_reader import FeatureReader
from core.lead_scoring.features import Frame
from core.lead_scoring.scoring_target import Batch, ScoringTarget, days

# The newest closed leads that are learned from: older ones would hardly weigh, and a training has minutes.
MOST_LEADS = 100_000
CHUNK = 20_000
# What is entered within this time after a lead's creation was known when it was made.
GRACE = timedelta(minutes=10)


@dataclass(frozen=True)
class TrainingSnapshots:
    """States of closed leads some days after their creation, one row each, in order of creation. The rows of
    a lead weigh one together."""

    frame: Frame
    won: np.ndarray
    weight: np.ndarray
    # Which lead each row is about, by its place among them.
    group: np.ndarray
    leads: int
    start: datetime | None
    end: datetime | None


def closed_leads(target: ScoringTarget, most: int = MOST_LEADS) -> list[tuple[int, datetime, datetime, bool]]:
    """(id, created, closed, won) of the newest leads with an outcome, `most` at most, oldest first.

    One that was won was closed when the target's `closed_column` says, any other when its outcome column last
    changed, else at its last change.
    """
    is_won = ExpressionWrapper(target.won, output_field=BooleanField())
    closed = target.closed.order_by("-created_at", "-pk")
    at = F(target.closed_column) if target.closed_column else Value(None, DateTimeField())
    found = closed.values_list("pk", "created_at", "updated_at", at, is_won)[:most]
    rows = list(found)[::-1]
    decided = _decided(target, [pk for pk, *_ in rows])
    return [
        (pk, created, max(created, (won and at) or decided.get(pk) or updated), bool(won))
        for pk, created, updated, at, won in rows
    ]


_DECIDED = """
SELECT object_id, max(at) FROM core_change
WHERE entity = %s AND object_id = ANY(%s) AND changes ? %s GROUP BY object_id
"""


def _decided(target: ScoringTarget, ids: Sequence[int]) -> dict[int, datetime]:
    found: dict[int, datetime] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(ids), CHUNK):
            part = list(ids[start : start + CHUNK])
            cursor.execute(_DECIDED, [target.entity, part, target.outcome_column])
            found |= dict(cursor.fetchall())
    return found


def training_snapshots(reader: FeatureReader, most: int = MOST_LEADS) -> TrainingSnapshots:
    """Every snapshot of the newest closed leads, `most` at most, as features."""
    target = reader.target
    leads = closed_leads(target, most)
    plan = [
        (i, pk, created + timedelta(days=after), won)
        for i, (pk, created, closed, won) in enumerate(leads)
        for after in target.landmarks
        if after == 0 or created + timedelta(days=after) < closed
    ]
    kept: list[tuple[int, int, datetime, bool]] = []
    parts: list[Frame] = []
    for part, batch in _batches(reader, plan):
        rows = _open_then(target, batch)
        kept += [one for one, was_open in zip(part, rows, strict=True) if was_open]
        parts.append(reader.frame(batch).take(rows))
    plan = kept
    counts = np.bincount([one[0] for one in plan], minlength=len(leads)) if plan else np.zeros(0)
    return TrainingSnapshots(
        frame=_joined(reader, parts),
        won=np.array([float(won) for *_, won in plan]),
        weight=np.array([1 / counts[i] for i, *_ in plan]),
        group=np.array([i for i, *_ in plan], dtype=np.int64),
        leads=len({one[0] for one in plan}),
        start=leads[0][1] if leads else None,
        end=leads[-1][1] if leads else None,
    )


def _joined(reader: FeatureReader, parts: list[Frame]) -> Frame:
    if not parts:
        return reader.frame(Batch([], np.zeros(0), {c: [] for c in reader.columns}))
    keys = [spec.key for spec in parts[0].specs]
    columns = {key: np.concatenate([part.columns[key] for part in parts]) for key in keys}
    return Frame(parts[0].specs, columns, sum(part.n for part in parts))


def _open_then(target: ScoringTarget, batch: Batch) -> np.ndarray:
    """Which of these records were open at their moment; all, where the target does not say what open is."""
    if not target.open_values:
        return np.ones(len(batch.ids), dtype=bool)
    return np.array(
        [value in target.open_values for value in batch.columns[target.outcome_column]], dtype=bool
    )


Plan = list[tuple[int, int, datetime, bool]]


def _batches(reader: FeatureReader, plan: Plan) -> Iterator[tuple[Plan, Batch]]:
    columns = tuple(dict.fromkeys((*reader.columns, reader.target.outcome_column)))
    for start in range(0, len(plan), CHUNK):
        part = plan[start : start + CHUNK]
        ids, moments = [pk for _, pk, _, _ in part], [moment for _, _, moment, _ in part]
        yield part, as_of(reader.target, columns, ids, moments)


def as_of(
    target: ScoringTarget, columns: Sequence[str], ids: Sequence[int], moments: Sequence[datetime]
) -> Batch:
    """Columns of records as they were at a moment each; the same record may be asked for several times."""
    rows = target.model.objects.filter(pk__in=set(ids)).values_list("pk", *columns)
    present = {pk: values for pk, *values in rows}
    states = [list(present[pk]) for pk in ids]
    place = {name: j for j, name in enumerate(columns)}
    for i, name, old in _undone(target, columns, ids, moments):
        states[i][place[name]] = old
    by_column = list(zip(*states, strict=True)) if states else [() for _ in columns]
    when = np.array([days(moment) for moment in moments])
    return Batch(list(ids), when, dict(zip(columns, by_column, strict=True)), historic=True)


# The oldest change after the moment says what the column held at it.
_UNDONE = """
SELECT DISTINCT ON (p.i, k.key) p.i, k.key, k.value->0
FROM unnest(%s::bigint[], %s::timestamptz[]) WITH ORDINALITY AS p(id, at, i)
JOIN core_change c ON c.entity = %s AND c.object_id = p.id AND c.at > p.at AND c.kind <> 'created'
CROSS JOIN LATERAL jsonb_each(c.changes) AS k
WHERE k.key = ANY(%s)
ORDER BY p.i, k.key, c.id
"""


def _undone(
    target: ScoringTarget, columns: Sequence[str], ids: Sequence[int], moments: Sequence[datetime]
) -> list[tuple[int, str, Any]]:
    """(place, column, value at the moment) for all that changed since."""
    late = [moment + GRACE for moment in moments]
    with connection.cursor() as cursor:
        cursor.execute(_UNDONE, [list(ids), late, target.entity, list(columns)])
        found = cursor.fetchall()
    return [(i - 1, name, _value(target, name, old)) for i, name, old in found]


def _value(target: ScoringTarget, name: str, old: Any) -> Any:
    """A value of the change table as the model's field has it."""
    parsed = orjson.loads(old) if isinstance(old, str) else old
    field = next(f for f in target.model._meta.concrete_fields if f.attname == name)
    return parsed if isinstance(parsed, list | dict) or field.is_relation else field.to_python(parsed)
