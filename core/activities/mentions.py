"""`@username` in comments, or `@ada@crm.example`, by whichever name one signs in."""

import re
from typing import Any

from django.db import connection

from core.access import TEAM_REACH
from core.accounts.models import User
from core.activities.models import Comment, Mention
from core.entities import entities

# As Django allows usernames, as long as e-mail addresses are; what stands before the @ keeps other addresses
# out.
MENTION = re.compile(r"(?<![\w@.+-])@([\w.@+-]{1,254})")
MAX_MENTIONS = 50


def names_in(body: str) -> set[str]:
    """Lower-cased names a text may mean: "@ada." is "ada." or, without the full stop, "ada"."""
    found: set[str] = set()
    for name in MENTION.findall(body)[:MAX_MENTIONS]:
        found |= {name.lower(), name.rstrip(".@+-").lower()}
    return found - {""}


def create_comment(**fields: Any) -> Comment:
    """A new comment, whoever writes it, with those whom it mentions."""
    comment = Comment.objects.create(**fields)
    save_mentions(comment)
    return comment


def save_mentions(comment: Comment) -> list[int]:
    """Store who the comment mentions and may see its record; returns their ids. Everyone else is text."""
    names = names_in(comment.body)
    ids = _seeing(comment, names) if names else []
    Mention.objects.filter(comment=comment).exclude(user__in=ids).delete()
    rows = [Mention(comment=comment, user_id=pk) for pk in ids]
    Mention.objects.bulk_create(rows, ignore_conflicts=True)
    return ids


def _seeing(comment: Comment, names: set[str]) -> list[int]:
    entity = entities[comment.entity]
    table = entity.model._meta.db_table
    statement = (
        f"{TEAM_REACH} SELECT u.id FROM {User._meta.db_table} u JOIN {table} r ON r.id = %s"  # noqa: S608
        f" WHERE (lower(u.username) = ANY(%s) OR (u.email <> '' AND lower(u.email) = ANY(%s)))"
        f" AND {entity.model.policy.viewers('r', 'u')} ORDER BY u.id"
    )
    addresses = sorted(name for name in names if "@" in name)
    with connection.cursor() as cursor:
        cursor.execute(statement, [comment.object_id, sorted(names), addresses])
        return [row[0] for row in cursor.fetchall()]
