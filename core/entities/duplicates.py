"""Naming records that may be the same as a new one."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from core.entities.comparisons import ComparedRecords, Question, matches
from core.entities.entity import Entity
from core.entities.reading import title_of
from core.errors import ConflictError, InvalidError

NAMED = 5


def possible_duplicates(entity: Entity, values: Mapping[str, Any], user: Any) -> list[dict[str, Any]] | None:
    """Up to five visible records that may be the same by what is always compared, as `{id, name}`; None where
    nobody asks for it."""
    always = [comparison for comparison in entity.duplicates if comparison.always]
    if not always:
        return None
    questions = [Question(comparison, comparison, entity.model) for comparison in always]
    found = {match.pk for match in matches(questions, ComparedRecords([values]))}
    names = names_of(entity, found, user)
    return [{"id": pk, "name": names[pk]} for pk in sorted(names)[:NAMED]]


def names_of(entity: Entity, ids: set[int], user: Any) -> dict[int, str]:
    """What those of the records that the user sees are called, by id; the system sees all."""
    if not ids:
        return {}
    entity = entity.for_user(user)
    rows = entity.model.objects.all() if user is None else entity.visible_to(user)
    paths = dict.fromkeys(("id", *entity.display_columns))
    return {row["id"]: title_of(entity, row) for row in rows.filter(pk__in=ids).values(*paths)}


def refuse_duplicates(on_duplicate: str, found: Sequence[Mapping[str, Any]] | None) -> None:
    """Obey `on_duplicate`: "reject" raises ConflictError when there are any, "create" (default) goes on."""
    if on_duplicate not in ("", "create", "reject"):
        raise InvalidError.of("on_duplicate", _("Expected create or reject."))
    if on_duplicate == "reject" and found:
        names = ", ".join(f"{twin['name']} ({twin['id']})" for twin in found)
        raise ConflictError(
            _("Possible duplicates: %(names)s.") % {"names": names}, code="possible_duplicate"
        )
