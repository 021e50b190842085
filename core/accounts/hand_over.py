"""Handing over what a user has to others, before they are deactivated.

Records go by owner and assignee, those that are somebody's work only while they are open: who closed a deal
keeps it. What acts in the user's name, or names them, goes on with a receiver. Call inside `audit_context`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from core.access import role_allows
from core.accounts import hand_over_sql
from core.accounts.models import User
from core.entities.bulk import merging
from core.entities.custom import PREFIX, definitions
from core.entities.entity import Entity, entities
from core.entities.models import CustomField
from core.entities.usage import UsageSource, release, replaced, sources, usages
from core.errors import ConflictError, FieldIssue, InvalidError

MAX_NAMED = 50
# What every row meets: a count takes no empty condition.
ALL = Q(pk__isnull=False)


@dataclass
class HandOver:
    """What went over, records by the plural of their entity and other things by their kind; how many closed
    records the user keeps; and what could not go."""

    records: dict[str, int] = field(default_factory=dict)
    # By `leads.custom_fields.<key>`: open records on which a custom field named the user.
    fields: dict[str, int] = field(default_factory=dict)
    changed: dict[str, list[int]] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    left: list[FieldIssue] = field(default_factory=list)


def hand_over(user: User, receivers: Sequence[User]) -> HandOver:
    """Give everything of `user` to the receivers, in turn. Raises InvalidError where there is none."""
    if not receivers:
        raise InvalidError.of("to", _("There is no active user to hand over to."), "nobody")
    done = HandOver()
    for entity in entities:
        done.records[entity.plural] = _reassign(entity, user, [receiver.pk for receiver in receivers])
        done.kept[entity.plural] = _live_records(entity, user).count()
        for key in user_fields(entity):
            count = _put_in(entity, key, user, [receiver.pk for receiver in receivers])
            done.fields |= {f"{entity.plural}.{PREFIX}{key}": count} if count else {}
    turns = cycle(receivers)
    for source in sources:
        named = [row for row in source.rows() if source.where(row, user.usage_target())]
        ids = [row.pk for row in named if _rename(source, row, user, next(turns), receivers)]
        done.changed |= {source.name: ids} if ids else {}
    done.left = still_held(user)
    return done


@dataclass(frozen=True)
class PlannedHandOver:
    """What `hand_over` would find: records to go and closed ones that stay, by the plural of their entity;
    how many open records name the user in a custom field, and how many other things do."""

    records: dict[str, int]
    kept: dict[str, int]
    fields: int
    named: int


def plan(user: User) -> PlannedHandOver:
    """What there is to hand over, without doing it."""
    counts = {entity.plural: _counted(entity, user) for entity in entities}
    return PlannedHandOver(
        {plural: open_ for plural, (open_, _closed) in counts.items()},
        {plural: closed for plural, (_open, closed) in counts.items()},
        sum(_naming(entity, key, user).count() for entity in entities for key in user_fields(entity)),
        len(usages(user.usage_target())),
    )


def dealt(count: int, receivers: int) -> list[int]:
    """How many of `count` records each receiver gets, who take turns."""
    return [(count - place + receivers - 1) // receivers for place in range(receivers)]


def _counted(entity: Entity, user: User) -> tuple[int, int]:
    """Live records of the user: open ones, and closed ones."""
    is_open = Count("pk", filter=entity.open_filter or ALL)
    found = _live_records(entity, user).aggregate(all=Count("pk"), open=is_open)
    return found["open"], found["all"] - found["open"]


def still_held(user: User) -> list[FieldIssue]:
    """What is the user's still: records, and what acts in their name or names them."""
    counts = {entity.plural: _open_records(entity, user).count() for entity in entities}
    records = [
        FieldIssue(
            plural,
            "in_use",
            _("%(count)s belong or are assigned to %(user)s.") % {"count": count, "user": user},
        )
        for plural, count in counts.items()
        if count
    ]
    named = [
        FieldIssue(
            f"{entity.plural}.{PREFIX}{key}",
            "in_use",
            _("%(count)s name %(user)s.") % {"count": count, "user": user},
        )
        for entity in entities
        for key in user_fields(entity)
        if (count := _naming(entity, key, user).count())
    ]
    return [*records, *named, *(usage.issue for usage in usages(user.usage_target()))][:MAX_NAMED]


def release_user(user: User, *, force: bool = False) -> None:
    """Make sure that a user has nothing any more, before they are deactivated.

    With `force` it stays where it is, and what acts in their name is paused. Raises ConflictError that names
    it.
    """
    found = [] if force else still_held(user)
    if found:
        message = _(
            "%(user)s still has something: hand it over first (or, over the API, send force=true)."
        ) % {"user": user}
        raise ConflictError(message, code="hand_over_needed", issues=found)
    release(user.usage_target(), force=force)


def _live_records(entity: Entity, user: User) -> QuerySet:
    """Live records that the user owns or is assigned."""
    return entity.model.objects.filter(Q(owner=user) | Q(assigned_to=user), archived_at=None)


def _open_records(entity: Entity, user: User) -> QuerySet:
    """Of these, what is to be handed over: of what is somebody's work, the open ones."""
    return _live_records(entity, user).filter(entity.open_filter or Q())


def _reassign(entity: Entity, user: User, receivers: Sequence[int]) -> int:
    rows = _open_records(entity, user).order_by("pk").select_for_update(of=("self",))
    return hand_over_sql.reassign(rows, user.pk, receivers)


def user_fields(entity: Entity) -> list[str]:
    """Keys of the custom fields of an entity that name a user."""
    return [d.key for d in definitions(entity) if d.type == CustomField.Type.USER]


def _naming(entity: Entity, key: str, user: User) -> QuerySet:
    """Live records, of what is somebody's work the open ones, on which a custom field names the user."""
    rows = entity.model.objects.filter(archived_at=None, custom_fields__contains={key: user.pk})
    return rows.filter(entity.open_filter or Q())


def _put_in(entity: Entity, key: str, user: User, receivers: list[int]) -> int:
    """Put the receivers in turn where a custom field names the user."""
    rows = _naming(entity, key, user).order_by("pk").select_for_update(of=("self",))
    pks = list(rows.values_list("pk", flat=True))
    for i, receiver in enumerate(receivers):
        merged = merging({key: receiver}, {key: receiver})
        entity.model.objects.filter(pk__in=pks[i :: len(receivers)]).update(custom_fields=merged)
    return len(pks)


def _rename(source: UsageSource, row: Any, user: User, receiver: User, receivers: Sequence[User]) -> bool:
    """Put a receiver in the user's place; what acts in someone's name goes to one whose role allows it."""
    target = user.usage_target()
    values = {part: replaced(target, getattr(row, part), receiver.pk) for part in source.parts}
    if source.principal_of(row) == user.pk:
        able = (r for r in (receiver, *receivers) if not source.action or role_allows(r, source.action))
        values[f"{source.principal}_id"] = getattr(next(able, user), "pk", None)
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        row.save(update_fields=list(changed))
    return bool(changed)
