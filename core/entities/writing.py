"""Creating, changing, archiving and deleting single records: for the API, automation and the admin alike.

Call inside `core.changes.audit_context`, which opens the transaction and says who acts.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from core.access import Permission
from core.entities import aliases
from core.entities.cleaning import clean, taken, unique_values
from core.entities.duplicate_rules import check_new
from core.entities.entity import Entity, entity_of
from core.entities.field_rights import FieldRights
from core.entities.lookups import Lookups
from core.errors import ConflictError, FieldIssue, ForbiddenError, NotVisibleError
from core.models.uniqueness import TAKEN, violated_fields

MERGED = gettext_noop("It was merged into {}: undo the merge instead.")
NOT_THEIRS = gettext_noop("It is shared with you: whom it belongs and is assigned to is not yours to say.")


def values_of(record: Any) -> dict[str, Any]:
    """A record's columns by table column, as rules and cleaning look at them."""
    return {f.attname: getattr(record, f.attname) for f in record._meta.concrete_fields if not f.generated}


def create_from_input(
    entity: Entity,
    data: Mapping[str, Any],
    user: Any,
    lookups: Lookups | None = None,
    origin: Any = None,
    rights: FieldRights | None = None,
) -> Any:
    """A new record from client input, owned by `user` unless they say otherwise; `rights` are as for `clean`.
    Raises InvalidError, and ConflictError as `create_clean` does."""
    values = clean(entity, data, user=user, lookups=lookups, rights=rights)
    return create_clean(entity, values, user, origin)


def create_clean(entity: Entity, values: dict[str, Any], user: Any, origin: Any = None) -> Any:
    """Store clean values as a new record; `origin` is the one that it is made from.

    Raises ConflictError where a rule about duplicates refuses it. What other rules found is the record's
    `duplicates_found`.
    """
    found = check_new(entity, values, user, origin)
    if user is not None:
        values["created_by_id"] = user.pk
        if values.get("owner_id") is None:
            values["owner_id"] = user.pk
    record = entity.model(**values)
    _save(record, force_insert=True)
    ensure_still_permitted(entity, [record.pk], user)
    record.duplicates_found = found
    return record


def update_from_input(
    entity: Entity, record: Any, data: Mapping[str, Any], user: Any, *, partial: bool = True
) -> Any:
    """Change a record that the caller has locked. Raises InvalidError; ForbiddenError when the change would
    put it out of the user's own reach."""
    values = clean(entity, data, user=user, before=values_of(record), partial=partial)
    return save_clean(entity, record, values, user)


def save_clean(entity: Entity, record: Any, values: Mapping[str, Any], user: Any) -> Any:
    """Write those of the clean values that differ. Raises ForbiddenError where they would give a record to
    somebody that is not the user's to give, or put it out of their own reach."""
    changed = {name: value for name, value in values.items() if getattr(record, name) != value}
    if not changed:
        return record
    if user is not None and record.policy.gives_away(user, values_of(record), changed):
        raise ForbiddenError(_(NOT_THEIRS))
    for name, value in changed.items():
        setattr(record, name, value)
    _save(record, update_fields=list(changed))
    reached = _permitted(entity, user).filter(pk=record.pk).values_list("version", "updated_at").first()
    if reached is None:
        raise _out_of_reach()
    record.version, record.updated_at = reached
    return record


def _save(record: Any, **options: Any) -> None:
    """Save; what a unique constraint refuses is a conflict that names its fields."""
    try:
        with transaction.atomic():
            record.save(**options)
    except IntegrityError as error:
        names = violated_fields(type(record), error)
        if names is None:
            raise
        issues = [FieldIssue(name, "unique", _(TAKEN)) for name in names]
        raise ConflictError(_(TAKEN), code="unique", issues=issues) from error


def locked(
    entity: Entity, pk: int, user: Any, action: str = Permission.CHANGE, *, archived: bool = False
) -> Any:
    """The record under a row lock, if `user` may do `action` on it.

    Raises NotVisibleError where it does not exist for them and ForbiddenError where it may only be seen.
    """
    rows = entity.model.objects.filter(archived_at__isnull=not archived)
    allowed = rows.visible_to(user, action) if user is not None else rows
    record = allowed.select_for_update(of=("self",)).filter(pk=pk).first()
    if record is not None:
        return record
    if user is not None and rows.visible_to(user, Permission.VIEW).filter(pk=pk).exists():
        raise ForbiddenError(_("You may see this record but not do this with it."))
    raise NotVisibleError(_("Not found."))


def locked_many(entity: Entity, pks: Iterable[int], user: Any) -> dict[int, Any]:
    """Those of the records that `user` may change, under their rows' locks, taken in order of ids."""
    rows = entity.model.objects.filter(archived_at=None, pk__in=pks)
    allowed = rows.visible_to(user, Permission.CHANGE) if user is not None else rows
    return {record.pk: record for record in allowed.order_by("pk").select_for_update(of=("self",))}


def ensure_still_permitted(entity: Entity, pks: list[int], user: Any) -> None:
    """What a write leaves must still be the writer's to change. Who reaches everything is not asked."""
    reached = _permitted(entity, user)
    if reached.query.where and reached.filter(pk__in=pks).count() != len(pks):
        raise _out_of_reach()


def _permitted(entity: Entity, user: Any) -> QuerySet:
    """What `user` may change, the system everything; in no order."""
    rows = entity.model.objects.order_by()
    return rows if user is None else rows.visible_to(user, Permission.CHANGE)


def _out_of_reach() -> ForbiddenError:
    return ForbiddenError(_("This would put the record out of your own reach."))


def archive(record: Any) -> None:
    """Take a record out of lists; `restore` brings it back."""
    record.archived_at = timezone.now()
    record.save(update_fields=["archived_at"])


def restore(record: Any) -> None:
    """Bring it back. Raises ConflictError where another record took one of its unique values meanwhile, or
    where it was merged into one."""
    entity = entity_of(record)
    survivor = aliases.survivor_of(entity, record.pk)
    if survivor is not None:
        raise ConflictError(_(MERGED).format(survivor), code="merged")
    if taken(entity, record.pk, unique_values(entity, [record])[record.pk]):
        raise ConflictError(_("Another record has one of its unique values by now."), code="unique")
    record.archived_at = None
    _save(record, update_fields=["archived_at"])


def delete(record: Any) -> None:
    """Delete for good. Raises ConflictError where other records still need this one."""
    try:
        record.delete()
    except ProtectedError as error:
        raise ConflictError(_("Other records still refer to this one."), code="protected") from error
