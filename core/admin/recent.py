"""The records whose pages somebody opened last, kept in their session: it ends with signing out."""

from django.http import HttpRequest

KEPT = 10
_KEY = "recent_records"


def remember(request: HttpRequest, entity: str, pk: int) -> None:
    """Put a record first. The session is written only where another one was first."""
    found = recent(request)
    if found[:1] != [(entity, pk)]:
        others = [one for one in found if one != (entity, pk)]
        request.session[_KEY] = [[entity, pk], *map(list, others)][:KEPT]


def recent(request: HttpRequest) -> list[tuple[str, int]]:
    """Entity and id of each, the latest first."""
    return [(entity, pk) for entity, pk in request.session.get(_KEY, [])]
