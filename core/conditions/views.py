"""What a saved view must be to be of use: it fails when it is saved and not in a list."""

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _

from core.access import Permission
from core.conditions.grammar import parse
from core.conditions.models import SavedView
from core.entities.custom import schema
from core.entities.entity import Entity, entities
from core.entities.finding import check_search, ordering
from core.entities.reading import pick
from core.errors import FieldIssue, ForbiddenError, InvalidError


def check_view(wanted: SavedView, user: Any, before: SavedView | None = None) -> None:
    """Refuse a view whose entity, conditions, search, ordering or fields are wrong, or name what is hidden
    from who writes it. Raises InvalidError; ForbiddenError where it is not theirs to share with everyone."""
    entity = _entity(wanted, before).for_user(user)
    issues: list[FieldIssue] = []
    for name in ("conditions", "search", "ordering", "fields"):
        if before is not None and getattr(before, name) == getattr(wanted, name):
            continue  # what it names may have gone since; it can be renamed all the same
        try:
            _CHECKS[name](entity, getattr(wanted, name))
        except InvalidError as error:
            issues += error.issues
    if issues:
        raise InvalidError(issues)
    if before is not None and wanted.is_shared != before.is_shared:
        _check_may_share(before, user)


def _check_may_share(view: SavedView, user: Any) -> None:
    """Whoever has a view shared with them may change it and not share it with everyone."""
    if not SavedView.objects.visible_to(user, Permission.SHARE).filter(pk=view.pk).exists():
        raise ForbiddenError(_("You may change this view but not share it."))


def _entity(wanted: SavedView, before: SavedView | None) -> Entity:
    if before is not None and wanted.entity != before.entity:
        raise InvalidError.of("entity", _("A view stays with its entity."), "immutable")
    if wanted.entity not in entities:
        raise InvalidError.of(
            "entity", _("Not one of: %(names)s.") % {"names": ", ".join(entities.keys())}, "invalid_choice"
        )
    return entities[wanted.entity]


def _fields(entity: Entity, names: Any) -> None:
    pick(schema(entity, names=names), names, "fields")


_CHECKS: dict[str, Callable[[Any, Any], Any]] = {
    "conditions": parse,
    "search": lambda entity, text: check_search(text),
    "ordering": ordering,
    "fields": _fields,
}
