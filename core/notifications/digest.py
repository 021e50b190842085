"""The daily and the weekly digest, at 08:00 of each user's own zone.

Users whose digest is due are taken zone by zone, a thousand at a time; each section is one query for all of
them. A digest is a notification that goes out by e-mail only, unique per user and local day.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, RowNumber
from django.utils import timezone

from core import jobs
from core.access import TEAM_REACH
from core.accounts.models import User
from core.activities.models import Mention
from core.entities import entities, field_rights
from core.entities.field_rights import UNLIMITED, FieldRights
from core.entities.reading import title_of
from core.jobs import ENDLESS_S, Turn
from core.notifications import preferences
from core.notifications.models import Delivery, Notification, NotificationPreference
from core.notifications.planning import SEND_JOB
from core.notifications.preferences import Preferences, wall
from core.notifications.types import EMAIL
from core.registry import Registry

AT = time(8)
WEEKLY_ON = 0  # Monday
CHUNK = 1_000
# Entries shown per section; the rest is a number.
SHOWN = 8


@dataclass(frozen=True)
class DigestPeriod:
    """What a digest looks at: `since` to `now`. `day` is the readers' present one and ends at `day_end`."""

    user_ids: list[int]
    since: datetime
    now: datetime
    day: date
    day_end: datetime
    zone: ZoneInfo
    # Of those of the readers who are limited.
    rights: Mapping[int, FieldRights] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One user's part of a section: how many there are, and the first of them."""

    total: int
    items: list[dict[str, Any]]


@dataclass(frozen=True)
class Section:
    """A heading and what gives its parts by user, in one query."""

    key: str
    title: str
    collect: Callable[[DigestPeriod], dict[int, Part]]


sections: Registry[Section] = Registry("digest section")


def section(key: str, title: str, collect: Callable[[DigestPeriod], dict[int, Part]]) -> None:
    """Add a section to every digest, after those registered before."""
    sections.register(key, Section(key, title, collect))


def of_records(
    entity: str,
    condition: Callable[[DigestPeriod], Q],
    order: tuple[str, ...],
    details: tuple[str, ...] = (),
) -> Callable[[DigestPeriod], dict[int, Part]]:
    """A section of records that meet a condition and belong to the reader: are assigned to them, or owned by
    them and assigned to nobody."""

    def collect(period: DigestPeriod) -> dict[int, Part]:
        found = entities[entity]
        mine = Q(assigned_to__in=period.user_ids) | Q(assigned_to=None, owner__in=period.user_ids)
        rows = found.model.objects.filter(mine, condition(period), archived_at=None)
        rows = rows.annotate(reader=Coalesce("assigned_to_id", "owner_id"))
        columns = dict.fromkeys(("id", *found.display_columns, *details))

        def item(row: dict[str, Any]) -> dict[str, Any]:
            seen = found.limited(period.rights.get(row["reader"], UNLIMITED))
            shown = {
                name: row[name] for name in details if row[name] not in (None, "") and name not in seen.hidden
            }
            shown = {name.replace("_", " "): _stored(value, period.zone) for name, value in shown.items()}
            return {"entity": entity, "id": row["id"], "title": title_of(seen, row), "details": shown}

        return parts(rows, order, tuple(columns), item)

    return collect


def _stored(value: Any, zone: ZoneInfo) -> str:
    """A value as it is kept until its reader's language has it (core.notifications.wording), moments by
    the reader's clock (in UTC where that has no such year)."""
    if isinstance(value, datetime):
        with suppress(OverflowError):
            value = value.astimezone(zone)
        return value.isoformat(timespec="minutes")
    return value.isoformat() if isinstance(value, date) else str(value)


def parts(
    rows: QuerySet, order: tuple[str, ...], columns: tuple[str, ...], item: Callable[[dict[str, Any]], Any]
) -> dict[int, Part]:
    """The first SHOWN rows and the number of all, per `reader`; one query."""
    by_reader: dict[str, Any] = {"partition_by": F("reader")}
    ranked = rows.order_by().annotate(
        place=Window(RowNumber(), order_by=order, **by_reader), total=Window(Count("pk"), **by_reader)
    )
    found: dict[int, Part] = {}
    first = ranked.filter(place__lte=SHOWN).order_by("reader", "place")
    for row in first.values("reader", "total", *columns):
        found.setdefault(row["reader"], Part(row["total"], [])).items.append(item(row))
    return found


_MENTIONS_SEEN = """
SELECT m.id FROM core_mention m JOIN core_comment k ON k.id = m.comment_id
JOIN {table} r ON r.id = k.object_id JOIN core_user u ON u.id = m.user_id
WHERE k.entity = %s AND m.user_id = ANY(%s) AND m.created_at >= %s AND {viewers}
"""


def _mentions_seen(period: DigestPeriod) -> RawSQL:
    """The mentions since then on records that the reader still sees."""
    parts, params = [], []
    for entity in entities:
        viewers = entity.model.policy.viewers("r", "u")
        parts.append(_MENTIONS_SEEN.format(table=entity.model._meta.db_table, viewers=viewers))
        params += [entity.name, period.user_ids, period.since]
    return RawSQL(f"{TEAM_REACH} {' UNION ALL '.join(parts)}", params)  # noqa: S611 (names are the registry's)


def _mentions(period: DigestPeriod) -> dict[int, Part]:
    rows = Mention.objects.filter(pk__in=_mentions_seen(period))
    rows = rows.exclude(comment__author=F("user")).annotate(reader=F("user_id"))
    columns = ("comment__body", "comment__entity", "comment__object_id", "comment__author__username")

    def item(row: dict[str, Any]) -> dict[str, Any]:
        title = f"{row['comment__author__username']}: {row['comment__body'][:120]}"
        about = {"entity": row["comment__entity"], "id": row["comment__object_id"]}
        return about | {"title": title, "details": {}}

    return parts(rows, ("-created_at",), columns, item)


section("mentions", "You were mentioned", _mentions)


# ---- Who is due ----


def send_digests(now: datetime | None = None, turn: Turn | None = None) -> int:
    """Make the digests that are due by `now`, until the `turn` is over; returns how many there is something
    to say in."""
    now, turn = now or timezone.now(), turn or Turn(ENDLESS_S)
    zones = User.objects.filter(is_active=True).order_by().values_list("time_zone", flat=True).distinct()
    made = sum(_of_zone(zone, now, turn) for zone in zones)
    if made:
        jobs.enqueue(SEND_JOB)
    return made


def _of_zone(name: str, now: datetime, turn: Turn) -> int:
    try:
        local = now.astimezone(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return 0  # a zone that is no longer in the database: no digest rather than one at the wrong hour
    if local.time() < AT:
        return 0
    made = _of_day("daily", name, local.date(), now, timedelta(days=1), turn)
    if local.weekday() == WEEKLY_ON:
        made += _of_day("weekly", name, local.date(), now, timedelta(days=7), turn)
    return made


def _of_day(kind: str, zone: str, day: date, now: datetime, span: timedelta, turn: Turn) -> int:
    """Everyone of a zone whose digest of this day was not made yet, in chunks."""
    done = f"notification_preference__{kind}_on"
    waiting = User.objects.filter(time_zone=zone, is_active=True).exclude(email="")
    waiting = waiting.filter(Q(**{f"{done}__isnull": True}) | Q(**{f"{done}__lt": day}))
    made, last = 0, 0
    while not turn.is_over:
        ids = list(waiting.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:CHUNK])
        if not ids:
            break
        made, last = made + _of_chunk(kind, ids, day, now, span), ids[-1]
    return made


@transaction.atomic
def _of_chunk(kind: str, ids: list[int], day: date, now: datetime, span: timedelta) -> int:
    readers = [w for w in preferences.load(ids).values() if getattr(w, kind) and w.channel(EMAIL)]
    if not readers:
        return 0
    period = period_of(readers, day, now, span)
    contents = collected(period)
    rows = [
        _row(kind, day, now, reader, contents[reader.user.pk])
        for reader in readers
        if contents[reader.user.pk]
    ]
    Notification.objects.bulk_create(rows, ignore_conflicts=True)
    stored = Notification.objects.filter(key=_key(kind, day), recipient__in=[w.user.pk for w in readers])
    held = {reader.user.pk: reader.held_until("digest", now) for reader in readers}
    deliveries = [
        Delivery(notification_id=pk, channel=EMAIL, due_at=held[user])
        for pk, user in stored.values_list("pk", "recipient_id")
    ]
    Delivery.objects.bulk_create(deliveries, ignore_conflicts=True)
    _mark(kind, day, [reader.user.pk for reader in readers])
    return len(rows)


def period_of(readers: Iterable[Preferences], day: date, now: datetime, span: timedelta) -> DigestPeriod:
    """From the last digest's hour on the wall to now; a day may have 23 or 25 hours."""
    people = [reader.user for reader in readers]
    end = wall(day + timedelta(days=1), time(0), people[0])
    ids = [u.pk for u in people]
    since, rights = wall(day - span, AT, people[0]), field_rights.of_users(ids)
    return DigestPeriod(ids, since, now, day, end, people[0].zone, rights)


def collected(period: DigestPeriod) -> dict[int, list[dict[str, Any]]]:
    """The sections of each user that have something in them."""
    found: dict[int, list[dict[str, Any]]] = {pk: [] for pk in period.user_ids}
    for one in sections:
        for pk, part in one.collect(period).items():
            found[pk].append(
                {"key": one.key, "title": one.title, "total": part.total, "items": part.items}
                | {"more": part.total - len(part.items)}
            )
    return found


def _row(
    kind: str, day: date, now: datetime, reader: Preferences, content: list[dict[str, Any]]
) -> Notification:
    return Notification(
        recipient=reader.user,
        type="digest",
        title=f"Your {kind} digest, {day:%A} {day.day} {day:%B}",
        key=_key(kind, day),
        data={"kind": kind, "day": day.isoformat(), "sections": content},
        is_in_inbox=False,
        channels_planned_at=now,
    )


def _key(kind: str, day: date) -> str:
    return f"digest:{kind}:{day.isoformat()}"


def _mark(kind: str, day: date, ids: list[int]) -> None:
    """Remember that these users' digest of the day is made, whether or not there was anything to say."""
    column = f"{kind}_on"
    NotificationPreference.objects.bulk_create(
        [NotificationPreference(user_id=pk, **{column: day}) for pk in ids],
        update_conflicts=True,
        unique_fields=["user"],
        update_fields=[column],
    )
