"""Tags over many records at once: which are in use, and renaming, merging and removing them set at a time.

Call what changes records inside `core.changes.audit_context`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from core.access import Permission
from core.entities import record_counts
from core.entities.entity import Entity
from core.entities.usage import UsageTarget
from core.models.folding import fold

# The first place of each tag counts, so that a merged one stands where the first of them stood.
_RENAMED = """
ARRAY(SELECT t FROM (
    SELECT CASE WHEN t = ANY(%s::text[]) THEN %s ELSE t END AS t, n
    FROM unnest(tags) WITH ORDINALITY AS u(t, n)
) AS named GROUP BY t ORDER BY min(n))
"""
_WITHOUT = """
ARRAY(SELECT t FROM unnest(tags) WITH ORDINALITY AS u(t, n) WHERE t <> ALL(%s::text[]) ORDER BY n)
"""


def in_use(entity: Entity, user: Any, search: str = "") -> list[dict[str, Any]]:
    """`{entity, tag, count}` of every tag on records that `user` sees, the commonest first; `search` is text
    in the tag, whatever its case, accents and width."""
    wanted = fold(search)
    found = [(tag, count) for tag, count in record_counts.tags(entity, user).items() if wanted in fold(tag)]
    found.sort(key=lambda one: (-one[1], one[0]))
    return [{"entity": entity.name, "tag": tag, "count": count} for tag, count in found]


def target_of(entity: Entity, tag: str) -> UsageTarget:
    """How definitions name a tag."""
    return UsageTarget(
        format_lazy(gettext_lazy("The tag {tag}"), tag=tag),
        frozenset(("tag", "tags")),
        frozenset((tag,)),
        entity=entity.name,
    )


def merge(entity: Entity, user: Any, tags: Sequence[str], to: str) -> int:
    """Put `to` in the place of any of `tags`, once per record; returns how many records had one of them."""
    return _having(entity, user, tags).update(tags=RawSQL(_RENAMED, [list(tags), to]))  # noqa: S611


def remove(entity: Entity, user: Any, tags: Sequence[str]) -> int:
    """Take `tags` from all records; returns how many had one of them."""
    return _having(entity, user, tags).update(tags=RawSQL(_WITHOUT, [list(tags)]))  # noqa: S611


def _having(entity: Entity, user: Any, tags: Iterable[str]) -> QuerySet:
    """Records with one of the tags that `user` may change, archived ones too."""
    return entity.visible_to(user, Permission.CHANGE).filter(tags__overlap=list(tags))
