"""Who gets which record: one user, several in turn, or whoever has least open work."""

from collections.abc import Sequence
from itertools import cycle

from django.db.models import Count, Q

from core.entities.entity import Entity

METHODS = ("round_robin", "least_busy")


def shares(entity: Entity, ids: Sequence[int], users: Sequence[int], method: str) -> dict[int, int]:
    """Record id → user id. `method` is one of METHODS; "least_busy" levels what is open."""
    if len(users) == 1:
        return dict.fromkeys(ids, users[0])
    if method == "least_busy":
        return _levelled(ids, open_work(entity, users))
    return dict(zip(ids, cycle(users), strict=False))


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
