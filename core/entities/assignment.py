"""Who gets which record: one user, several in turn, or whoever has least open work."""

import hashlib
from collections.abc import Sequence

from django.contrib.auth import get_user_model
from django.db.models import Count, Q

from core.access import can_change_records
from core.entities.entity import Entity
from core.entities.models import AssignmentTurn

METHODS = ("round_robin", "least_busy")


def working_members(team: int) -> list[int]:
    """Ids of the active members of a team, viewers left out: they could not work on what they are given."""
    members = get_user_model().objects.filter(can_change_records(), team_id=team)
    return list(members.order_by("pk").values_list("pk", flat=True))


def shares(
    entity: Entity, ids: Sequence[int], users: Sequence[int], method: str, team: int | None = None
) -> dict[int, int]:
    """Record id → user id. `method` is one of METHODS: "least_busy" levels what is open, "round_robin" goes
    on with whoever comes after the last one. `users` are those of `team`, if one is given.

    Call inside a transaction.
    """
    if len(users) == 1:
        return dict.fromkeys(ids, users[0])
    if method == "least_busy":
        return _levelled(ids, open_work(entity, users))
    return dict(zip(ids, take_turns(entity, users, len(ids), team), strict=True))


def planned_shares(entity: Entity, ids: Sequence[int], users: Sequence[int], method: str) -> dict[int, int]:
    """As `shares` would give at this moment; nobody's turn is taken."""
    if len(users) == 1 or method == "least_busy":
        return shares(entity, ids, users, method)
    turn = AssignmentTurn.objects.filter(entity=entity.name, people=_named(users)).first()
    return dict(zip(ids, _in_turn(users, turn, len(ids)), strict=True))


def take_turns(entity: Entity, users: Sequence[int], count: int, team: int | None = None) -> list[int]:
    """The next `count` users in turn; whose turn it was is kept, one transaction at a time."""
    key = {"entity": entity.name, "people": f"team:{team}" if team else _named(users)}
    AssignmentTurn.objects.bulk_create([AssignmentTurn(**key)], ignore_conflicts=True)
    turn = AssignmentTurn.objects.select_for_update().get(**key)
    taken = _in_turn(users, turn, count)
    if taken:
        turn.last_user_id = taken[-1]
        turn.save(update_fields=["last_user_id"])
    return taken


def _in_turn(users: Sequence[int], turn: AssignmentTurn | None, count: int) -> list[int]:
    """The next `count` users behind the last one, from the beginning again behind the last of all."""
    order = list(users)
    first = order.index(turn.last_user_id) + 1 if turn and turn.last_user_id in order else 0
    return [order[(first + i) % len(order)] for i in range(count)]


def _named(users: Sequence[int]) -> str:
    """The key of a set of users, whatever their order."""
    listed = ",".join(str(user) for user in sorted(set(users)))
    return f"users:{listed}" if len(listed) <= 80 else f"users:{hashlib.sha256(listed.encode()).hexdigest()}"


def open_work(entity: Entity, users: Sequence[int]) -> dict[int, int]:
    """Open, unarchived records assigned to each of `users`, in one query."""
    rows = entity.model.objects.filter(
        entity.open_filter or Q(), archived_at=None, assigned_to__in=users
    ).order_by()
    counts = dict(rows.values_list("assigned_to").annotate(Count("pk")))
    return {user: counts.get(user, 0) for user in users}


def _levelled(ids: Sequence[int], work: dict[int, int]) -> dict[int, int]:
    """Each record to whoever has least at that moment; ties go to the first named."""
    given = {}
    for pk in ids:
        user = min(work, key=lambda u: work[u])
        given[pk] = user
        work[user] += 1
    return given
