"""The timeline of a record: everything that happened to it, of all sources, newest first.

Each source is read by its own index from its own position, one page at most, and the parts are merged: a page
costs the same however long the record has lived. A cursor holds one position per source, so an entry appears
once even where a source's order and its times disagree by a hair.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import F, Func, JSONField, Q, QuerySet, TextField, Value
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from core.access import scopes
from core.changes.history import actors_of, one_or_more, shown_changes
from core.changes.models import Change
from core.entities import Entity
from core.entities.aliases import ids_of
from core.labels import label
from core.models.engagement import COLUMNS
from core.registry import Registry

Position = tuple[str, int] | None


@dataclass(frozen=True)
class RecordRef:
    """The record asked for, and who asks."""

    entity: Entity
    pk: int
    user: Any


@dataclass(frozen=True)
class TimelineSource:
    """Where one kind of entries comes from.

    `rows` gives what concerns the record and may be seen, in parts that no row is in twice where each has an
    index of its own; `at` names the moment, by which (and then by id)
    the rows are read newest first; `by_id` says that the id alone orders them. `show` makes an entry's text
    and data from a row, and `data` describes what it gives as such: name → JSON schema. `actor` names the
    column of who did it.
    """

    kind: str
    rows: Callable[[RecordRef], QuerySet | Sequence[QuerySet]]
    show: Callable[[Any, RecordRef], dict[str, Any]]
    data: Mapping[str, Any]
    at: str
    actor: str = ""
    by_id: bool = False
    # Values of the rows' own types by which `type=` narrows them; "" where there are none.
    type: str = ""
    # The resource its entries are, as scopes name it; "" where they are a part of the record.
    resource: str = ""


@dataclass(frozen=True)
class TimelineQuery:
    """Which part of the timeline: kinds (all where empty), times, types, whose doing."""

    kinds: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    actor: int | None = None


@dataclass(frozen=True)
class TimelineEntry:
    at: datetime
    kind: str
    row: Any = field(compare=False)


sources: Registry[TimelineSource] = Registry("timeline source")


def register(source: TimelineSource) -> TimelineSource:
    return sources.register(source.kind, source)


def page(
    subject: RecordRef, query: TimelineQuery, positions: dict[str, Position], size: int
) -> tuple[list[dict[str, Any]], dict[str, Position] | None]:
    """`size` entries behind the positions, and the positions behind them (None at the end).

    An API key is shown the kinds that its scopes cover. Raises ScopeMissingError for others that it names.
    """
    if query.kinds:
        wanted = [s for s in sources if s.kind in query.kinds]
        scopes.require(subject.user, *(s.resource for s in wanted if s.resource))
    else:
        wanted = [s for s in sources if not s.resource or scopes.covers(subject.user, s.resource)]
    parts = [_part(s, subject, query, positions.get(s.kind), size) for s in wanted if _is_asked_for(s, query)]
    merged = merge(*parts, key=lambda entry: entry.at, reverse=True)
    entries = list(islice(merged, size + 1))
    shown = entries[:size]
    return presented(shown, subject), _behind(positions, shown) if len(entries) > size else None


def _is_asked_for(source: TimelineSource, query: TimelineQuery) -> bool:
    """A source that cannot answer a filter has nothing that passes it."""
    return not (query.types and not source.type) and not (query.actor and not source.actor)


def _part(
    source: TimelineSource, subject: RecordRef, query: TimelineQuery, position: Position, size: int
) -> list[TimelineEntry]:
    found = source.rows(subject)
    parts = [found] if isinstance(found, QuerySet) else found
    entries = [_entries(source, rows, query, position, size) for rows in parts]
    return list(islice(merge(*entries, key=_place_in(source), reverse=True), size + 1))


def _place_in(source: TimelineSource) -> Callable[[TimelineEntry], Any]:
    """What the entries of a source are ordered by."""
    return lambda entry: entry.row.pk if source.by_id else (entry.at, entry.row.pk)


def _entries(
    source: TimelineSource, rows: QuerySet, query: TimelineQuery, position: Position, size: int
) -> list[TimelineEntry]:
    if query.since:
        rows = rows.filter(**{f"{source.at}__gte": query.since})
    if query.until:
        rows = rows.filter(**{f"{source.at}__lt": query.until})
    if query.types:
        rows = rows.filter(**{f"{source.type}__in": query.types})
    if query.actor:
        rows = rows.filter(**{source.actor: query.actor})
    if position:
        rows = rows.filter(_before(source, position))
    order = ("-id",) if source.by_id else (f"-{source.at}", "-id")
    return [
        TimelineEntry(getattr(row, source.at), source.kind, row) for row in rows.order_by(*order)[: size + 1]
    ]


def _before(source: TimelineSource, position: tuple[str, int]) -> Q:
    text, pk = position
    if source.by_id:
        return Q(id__lt=pk)
    at = parse_datetime(text)
    return Q(**{f"{source.at}__lte": at}) & (Q(**{f"{source.at}__lt": at}) | Q(id__lt=pk))


def _behind(positions: dict[str, Position], entries: Iterable[TimelineEntry]) -> dict[str, Position]:
    return positions | {e.kind: (e.at.isoformat(), e.row.pk) for e in entries}


def presented(entries: Sequence[TimelineEntry], subject: RecordRef) -> list[dict[str, Any]]:
    """Entries as the API shows them; who acted in one query."""
    doers = [_Doer(_actor_of(entry)) for entry in entries]
    people = actors_of(doers)
    return [
        {
            "kind": entry.kind,
            "id": entry.row.pk,
            "at": entry.at,
            "actor": people.get(doer.actor_id or 0),
            **sources[entry.kind].show(entry.row, subject),
        }
        for entry, doer in zip(entries, doers, strict=True)
    ]


@dataclass(frozen=True)
class _Doer:
    actor_id: int | None


def _actor_of(entry: TimelineEntry) -> int | None:
    name = sources[entry.kind].actor
    return getattr(entry.row, name) if name else None


# ---- The record's own changes ----

# What an activity raises by itself is shown with the activity.
REST = Func(
    F("changes"),
    Value(list(COLUMNS), ArrayField(TextField())),
    template="%(expressions)s",
    arg_joiner=" - ",
    output_field=JSONField(),
)


def _changes(subject: RecordRef) -> QuerySet:
    ids = one_or_more(ids_of(subject.entity, subject.pk))
    rows = Change.objects.filter(entity=subject.entity.name, **ids)
    return rows.alias(rest=REST).exclude(kind=Change.Kind.UPDATED, rest={})


def _shown_change(change: Change, subject: RecordRef) -> dict[str, Any]:
    changes = shown_changes(change.changes, subject.entity)
    return {
        "type": change.kind,
        "title": _title(change.kind, changes),
        "data": {
            "changes": changes,
            "source": change.source,
            "execution_id": change.execution_id,
            "agent_session_id": change.agent_session_id,
            "agent": change.agent,
        },
    }


def _title(kind: str, changes: dict[str, Any]) -> str:
    if kind != Change.Kind.UPDATED:
        return label(kind)
    return (_("updated %(names)s") % {"names": ", ".join(sorted(changes))}).strip()


VALUES = {"type": "object", "properties": {"old": {}, "new": {}}, "required": ["old", "new"]}
CHANGE_DATA = {
    "changes": {"type": "object", "additionalProperties": VALUES},
    "source": {"type": "string"},
    "execution_id": {"type": ["integer", "null"]},
    "agent_session_id": {"type": ["integer", "null"]},
    "agent": {"type": "string"},
}

register(
    TimelineSource(
        "change",
        _changes,
        _shown_change,
        CHANGE_DATA,
        at="at",
        actor="actor_id",
        by_id=True,
        type="kind",
    )
)
