"""The feed for integrators: every change once, in an order that never grows backwards.

Sorted by (transaction id, id) and cut at the oldest transaction still running: whatever commits later has a
position after everything already given out, so a cursor passes over nothing.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from core.access import Role, role_of, scopes
from core.changes import archived
from core.changes.models import AuditSeal, Change
from core.entities import entities
from core.entities.reading import resource_named
from core.errors import InvalidError
from core.models import capture

Position = tuple[int, int]


class _LookedUp(Exists):
    """Whether there is such a row, looked up for each change that is read.

    Without the offset PostgreSQL first reads all rows of the subquery into a hash table: for one page all
    that the user sees.
    """

    template = "EXISTS(%(subquery)s OFFSET 0)"


def horizon() -> int:
    """The id of the oldest transaction still running: all below it have ended."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
        return int(cursor.fetchone()[0])


def settled(before: int | None = None) -> QuerySet[Change]:
    """Changes of transactions below the horizon `before` (the present one by default), in feed order."""
    ended = RawSQL("xid < %s::text::xid8", [str(horizon() if before is None else before)])
    return Change.objects.annotate(ended=ended).filter(ended=True).order_by("xid", "id")


def visible(changes: QuerySet[Change], user: Any) -> QuerySet[Change]:
    """Changes of records that `user` sees now; administrators also see those of deleted and other things.

    An API key is shown those of the resources that its scopes cover.
    """
    covered = [name for name in capture.NAMES if all(scopes.covers(user, shown) for shown in _shown_by(name))]
    if len(covered) < len(capture.NAMES):
        changes = changes.filter(entity__in=covered)
    if role_of(user) == Role.ADMIN:
        return changes
    seen: Any = Q(pk__in=[])
    for entity in entities:
        rows = entity.visible_to(user).filter(pk=OuterRef("object_id"))
        seen |= Q(entity=entity.name) & _LookedUp(rows)
    return changes.filter(seen)


def _shown_by(name: str) -> tuple[str, ...]:
    """The resources that changes of this name are about."""
    part = capture.PARTS.get(name)
    return part.shows if part else (resource_named(name),)


def after(changes: QuerySet[Change], cursor: str, before: int | None = None) -> QuerySet[Change]:
    """The changes behind a cursor. Raises InvalidError for one that was not given out here, as by the server
    that this database was restored from (none points beyond the horizon `before`), and where what follows was
    archived."""
    xid, pk = decode(cursor)
    if xid > (horizon() if before is None else before):
        raise InvalidError.of("cursor", _("This cursor is ahead of the feed: begin anew without one."))
    found = archived.newest()
    if found and xid < found.last_xid:
        raise InvalidError.of(
            "cursor",
            _("Changes behind this cursor were archived: begin anew without one."),
            "archived",
        )
    position = RawSQL("(xid, core_change.id) > (%s::text::xid8, %s)", [str(xid), pk])
    return changes.annotate(behind=position).filter(behind=True)


def since(changes: QuerySet[Change], moment: datetime) -> QuerySet[Change]:
    """The changes made from a moment on.

    Times are not in the order of the feed: a change has that of the beginning of its transaction. But a seal
    is made after all changes it is about had their place in the feed, and transactions that begin later get
    places behind these. So the newest seal of before the moment says where to begin reading.
    """
    changes = changes.filter(at__gte=moment)
    made = AuditSeal.objects.filter(kind=AuditSeal.Kind.SEALED, at__lte=moment).order_by("-at")
    sealed = made.values_list("last_id", flat=True).first() or 0
    before = Change.objects.filter(pk__lte=sealed).order_by("-pk").values_list("xid", flat=True).first()
    if before is None:
        return changes
    return changes.annotate(later=RawSQL("xid > %s::text::xid8", [str(before)])).filter(later=True)


def encode(change: Change | dict[str, Any] | Position) -> str:
    """The cursor that points behind a change, or at a position."""
    if isinstance(change, Change):
        change = (change.xid, change.pk)
    xid, pk = (change["xid"], change["id"]) if isinstance(change, dict) else change
    return urlsafe_b64encode(f"{xid}.{pk}".encode()).decode().rstrip("=")


def decode(cursor: str) -> Position:
    try:
        xid, pk = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(".")
        position = int(xid), int(pk)
    except (ValueError, Base64Error):
        raise InvalidError.of("cursor", _("Not a cursor of this feed.")) from None
    if not all(0 <= part < 2**63 for part in position):
        raise InvalidError.of("cursor", _("Not a cursor of this feed."))
    return position
