"""Sharing something and taking it back. Call inside `core.changes.audit_context`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from core.access import Permission
from core.accounts.models import Team, User
from core.changes import ChangeBatch, consumers
from core.conf import conf
from core.entities import Entity, entities
from core.entities.bulk import Bulk, BulkResult
from core.errors import ForbiddenError, InvalidError, NotVisibleError
from core.jobs import Turn
from core.sharing.models import Share

# Expired shares that are deleted at once.
BATCH = 2_000
OWNS_IT = gettext_noop("It is theirs: they own it or it is assigned to them.")


@dataclass(frozen=True)
class Grant:
    """To whom, a user or a team, and what they may do until when."""

    user: User | None = None
    team: Team | None = None
    access: str = Share.Access.READ
    expires_at: datetime | None = None

    @property
    def grantee(self) -> dict[str, Any]:
        """As columns of a share."""
        return {"user": self.user, "team": self.team}

    def check(self, by: Any) -> None:
        """Raises InvalidError for what is no grant, whatever is shared."""
        if (self.user is None) == (self.team is None):
            raise InvalidError.of("user", _('Give either "user" or "team".'), "required")
        if self.user is not None and self.user.pk == by.pk:
            raise InvalidError.of("user", _("You have it already."), "self")
        if self.expires_at is not None and self.expires_at <= timezone.now():
            raise InvalidError.of("expires_at", _("This is past."), "in_past")


def locked(entity: Entity, pk: int, user: Any) -> Any:
    """The record under its row's lock, if `user` may share it; an archived one as well.

    Raises NotVisibleError where it does not exist for them, ForbiddenError where it is not theirs to share.
    """
    rows = entity.model.objects.filter(pk=pk)
    found = rows.visible_to(user, Permission.SHARE).select_for_update(of=("self",)).first()
    if found is not None:
        return found
    if rows.visible_to(user).exists():
        raise ForbiddenError(_("You may see this record but not share it."))
    raise NotVisibleError(_("Not found."))


def share_one(thing: Any, grant: Grant, by: Any) -> tuple[Share, bool]:
    """Share a locked record or saved view, or change the access of who has it already; whether that is new.
    Raises InvalidError."""
    grant.check(by)
    if is_theirs(thing, grant):
        raise InvalidError.of("user", _(OWNS_IT), "owner")
    entity, pk = thing.entity_name, thing.pk
    before = set(Share.objects.of(entity, pk).filter(**grant.grantee).values_list("pk", flat=True))
    share_many(entity, [pk], grant, by)
    share = Share.objects.select_related("user", "team", "created_by").get(
        entity=entity, object_id=pk, **grant.grantee
    )
    return share, share.pk not in before


def share_many(entity: str, pks: Iterable[int], grant: Grant, by: Any) -> None:
    """Share each of these; who has one already gets the new access. What had expired is shared anew."""
    ids = sorted(pks)
    Share.objects.expired().filter(entity=entity, object_id__in=ids, **grant.grantee).delete()
    given = {"entity": entity, "access": grant.access, "expires_at": grant.expires_at, "created_by": by}
    whose = "user" if grant.user else "team"
    Share.objects.bulk_create(
        [Share(object_id=pk, **given, **grant.grantee) for pk in ids],
        update_conflicts=True,
        unique_fields=["entity", "object_id", whose],
        update_fields=["access", "expires_at"],
    )


def is_theirs(thing: Any, grant: Grant) -> bool:
    """Whether it belongs or is assigned to the user whom it is to be shared with."""
    people = (thing.owner_id, getattr(thing, "assigned_to_id", None))
    return grant.user is not None and grant.user.pk in people


def records_of(batch: ChangeBatch) -> dict[str, list[int]]:
    """What changes of shares are about: ids by the name of their entity."""
    rows = batch.changes.order_by().annotate(
        name=Coalesce(KT("changes__entity__1"), KT("changes__entity__0"))
    )
    found: dict[str, list[int]] = {}
    for name, pk in rows.values_list("name", "object_id").distinct():
        found.setdefault(name, []).append(pk)
    return {name: sorted(ids) for name, ids in found.items()}


class ShareBulk(Bulk):
    """Sharing many records with one user or team, and taking that back."""

    def share(self, grant: Grant) -> BulkResult:
        """Raises InvalidError."""
        grant.check(self.user)
        rows = self._locked(Permission.SHARE)
        for row in rows:
            if is_theirs(row, grant):
                self.result.fail(row.pk, "owner", _(OWNS_IT))
                self._stop_if_atomic()
        self.result.done = {row.pk for row in rows if not is_theirs(row, grant)}
        share_many(self.entity.name, self.result.done, grant, self.user)
        return self.result

    def unshare(self, grant: Grant) -> BulkResult:
        """Take back what is shared with the user or team of `grant`; what is not shared stays as it is."""
        rows = self._locked(Permission.SHARE)
        self.result.done = {row.pk for row in rows}
        shares = Share.objects.filter(entity=self.entity.name, object_id__in=self.result.done)
        shares.filter(**grant.grantee).delete()
        return self.result


def forget_old(turn: Turn | None = None) -> int:
    """Delete what expired longer ago than `SHARE_DAYS`, until the `turn` is over; returns how many."""
    old, total = Share.objects.expired(timedelta(days=conf.SHARE_DAYS)), 0
    while not (turn and turn.is_over):
        some = list(old.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not some:
            break
        total += old.filter(pk__in=some).delete()[0]
    return total


_FORGOTTEN = """
DELETE FROM core_share s USING core_change c
WHERE c.id = ANY(%s) AND c.kind = 'deleted' AND s.entity = c.entity AND s.object_id = c.object_id
"""


def forget(batch: ChangeBatch) -> None:
    """A consumer of changes: what was deleted for good is shared no more."""
    if batch.entity in entities:
        with connection.cursor() as cursor:
            cursor.execute(_FORGOTTEN, [batch.ids])


consumers.register("sharing", forget)
