"""What a global search finds, the likeliest first: exact values, then words, then words with typing errors.

Each stage is one statement over all entities, of which each gives no more rows than the page reaches to, in
its list's order; the entities take turns. A later stage is asked only where the earlier ones leave the page
short of hits, typing errors only where they found nothing at all: one word with one slip, then words that
share trigrams, each within a limit of rows and of time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain, zip_longest
from operator import and_, or_
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, CharField, FloatField, Func, Q, QuerySet, Value
from django.db.models.lookups import Contains, Regex

from core.api.problems import is_timeout
from core.entities.entity import Entity
from core.entities.finding import (
    check_search,
    could_be_phone,
    in_search_text,
    is_short,
    phone_digits,
    quoted,
    search,
    shown_search_text,
)
from core.models.folding import Fold, fold
from core.search.slips import MOST_PATTERNS, IsLikePattern, moved, replaced

# Beyond this many hits nobody reads; a list's own search goes on.
MOST = 1_000
# How much of a word's trigrams the words of a record have to share, from 0 to 1.
SIMILARITY = 0.5
# Of each entity so many records that are alike are ranked, and so long they are looked for, in milliseconds.
CANDIDATES = 100
SIMILAR_MS = 1_000
_LIMITS = """
SELECT set_config('pg_trgm.word_similarity_threshold', %s, true), set_config('statement_timeout', %s, true),
       set_config('cpu_operator_cost', '0.025', true)
"""
# What the partial index on external ids answers.
_OF_EXTERNAL_ID = "SELECT FROM {} WHERE external_id = %s AND external_id <> '' AND archived_at IS NULL"
# A shorter number is a part of many.
WHOLE_NUMBER = 7
Matching = Callable[[Entity, Any], QuerySet]


@dataclass(frozen=True)
class Hit:
    """A record found, and by what: an exact value, words, or words like them."""

    entity: Entity
    pk: int
    match: str


def find(entities: Sequence[Entity], user: Any, text: str, most: int) -> list[Hit]:
    """Up to `most` live records that `user` sees, the likeliest first. Raises InvalidError."""
    terms = check_search(text, "q")
    if not terms:
        return []
    exact = text.strip()
    having = _with_value(entities, exact)
    asked = [entity for entity in entities if entity.name in having]
    found = _hits(asked, user, "exact", lambda entity, rows: _exact(entity, rows, exact), most)
    if len(found) < most:
        words = _hits(entities, user, "words", lambda entity, rows: search(entity, rows, text), most)
        seen = {(hit.entity.name, hit.pk) for hit in found}
        found += [hit for hit in words if (hit.entity.name, hit.pk) not in seen]
    return found[:most] or _similar(entities, user, terms, most)


def _with_value(entities: Sequence[Entity], text: str) -> set[str]:
    """The names of the entities that may have a record of this value: for a mere word those that have it as
    an external id, whoever sees that record. That is asked in a fifth of the time of looking for it among
    what the user sees."""
    if not entities or "@" in text or could_be_phone(text) or text.isdigit():
        return {entity.name for entity in entities}
    tables = [(entity.name, entity.model._meta.db_table) for entity in entities]
    selects = [f"SELECT '{name}' WHERE EXISTS ({_OF_EXTERNAL_ID.format(table)})" for name, table in tables]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(selects), [text] * len(tables))
        return {name for (name,) in cursor.fetchall()}


def _hits(entities: Sequence[Entity], user: Any, match: str, matching: Matching, most: int) -> list[Hit]:
    """What is found by one statement; each entity in its order, and they take turns."""
    return _in_turn(entities, match, _rows(entities, user, matching, most, "-pk"))


def _rows(
    entities: Sequence[Entity], user: Any, matching: Matching, most: int, order: str | None, *more: str
) -> list[Any]:
    """The entity's name, the id and `more` of what is found, `most` of each entity, by one statement."""
    branches = []
    for entity in entities:
        rows = matching(entity, entity.visible_to(user).filter(archived_at=None))
        named = rows.annotate(found_in=Value(entity.name, output_field=CharField()))
        ordered = named.order_by(order) if order else named.order_by()
        branches.append(ordered.values_list("found_in", "pk", *more)[:most])
    if not branches:
        return []
    return list(branches[0].union(*branches[1:], all=True) if branches[1:] else branches[0])


def _in_turn(entities: Sequence[Entity], match: str, rows: Iterable[tuple[str, int]]) -> list[Hit]:
    """Hits of rows, whose order stays within each entity; the entities take turns."""
    found: dict[str, list[int]] = {}
    for name, pk in rows:
        found.setdefault(name, []).append(pk)
    named_entities = {entity.name: entity for entity in entities}
    turns = ([Hit(named_entities[name], pk, match) for pk in pks] for name, pks in found.items())
    return [hit for hit in chain.from_iterable(zip_longest(*turns)) if hit is not None]


def _exact(entity: Entity, rows: QuerySet, text: str) -> QuerySet:
    """The records of this id, external id, e-mail address or phone number."""
    conditions = [Q(external_id=text)]
    if text.isascii() and text.isdigit() and len(text) < 19:
        conditions.append(Q(pk=int(text)))
    number = phone_digits(text) if could_be_phone(text) else ""
    if len(number) >= WHOLE_NUMBER:
        # A number stands with its country's code, whether that is typed or not.
        conditions.append(_standing(entity, number, before=""))
    elif "@" in text:
        conditions.append(_standing(entity, text))
    return rows.filter(reduce(or_, conditions))


def _standing(entity: Entity, text: str, before: str = "(^|[ {,])") -> Q:
    """That `text` stands in the search text as a whole; its index answers the first of the two."""
    pattern = f"{before}{quoted(fold(text))}([ ,}}]|$)"
    return in_search_text(
        entity, lambda words: Q(Contains(words, Fold(Value(text)))) & Q(Regex(words, pattern))
    )


def _similar(entities: Sequence[Entity], user: Any, terms: Sequence[str], most: int) -> list[Hit]:
    """Records that have a word like each of the terms: all of them but for one slip or, where there are none,
    as many of their trigrams. A term of one or two letters is like too many."""
    words = [fold(term) for term in terms if not is_short(term)]
    if not words:
        return []
    for slips in (moved, replaced):
        made = {word: slips(word) for word in words}
        if 0 < sum(map(len, made.values())) <= MOST_PATTERNS:
            found = _alike(entities, user, words, partial(_with_one_slip, made), most)
            if found:
                return found
    return _alike(entities, user, words, partial(_with_trigrams, words), most)


def _alike(
    entities: Sequence[Entity], user: Any, words: Sequence[str], condition: Callable[[Any], Q], most: int
) -> list[Hit]:
    """What is found within SIMILAR_MS by a condition on the search text, the likest first; nothing where that
    takes longer. Of very many that are alike some are looked at."""

    def matching(entity: Entity, rows: QuerySet) -> QuerySet:
        text = shown_search_text(entity)
        rows = rows.filter(in_search_text(entity, condition))
        return rows.annotate(likeness=sum((WordSimilarity(Value(word), text) for word in words), Value(0.0)))

    try:
        with transaction.atomic():
            _set_limits()
            found = _rows(entities, user, matching, CANDIDATES, None, "likeness")
            # It wrote nothing; so the settings are those of before.
            transaction.set_rollback(True)
    except OperationalError as error:
        if not is_timeout(error):
            raise
        return []
    likest = sorted(found, key=lambda row: (-row[2], -row[1]))
    return _in_turn(entities, "similar", [(name, pk) for name, pk, _ in likest])[:most]


def _set_limits() -> None:
    """For this transaction: how alike is alike, how long that may take, and that comparing texts costs ten
    times what the planner takes for it, so that it asks the index."""
    with connection.cursor() as cursor:
        cursor.execute(_LIMITS, [str(SIMILARITY), str(SIMILAR_MS)])


def _with_one_slip(patterns: Mapping[str, Sequence[str]], text: Any) -> Q:
    """Whether a text holds all words, one of them as one of its patterns."""
    found = Q(pk__in=[])
    for word, slips in patterns.items():
        others = (Q(Contains(text, Value(other))) for other in patterns if other != word)
        found |= reduce(
            and_, others, reduce(or_, (Q(IsLikePattern(text, one)) for one in slips), Q(pk__in=[]))
        )
    return found


def _with_trigrams(words: Sequence[str], text: Any) -> Q:
    """Whether a text has something like each of the words."""
    return reduce(and_, (Q(IsLike(Value(word), text)) for word in words))


class WordSimilarity(Func):
    """How much of a word's trigrams the likest part of a text shares, from 0 to 1."""

    function = "word_similarity"
    output_field = FloatField()


class IsLike(Func):
    """Whether that is as much as the threshold; a trigram index answers."""

    template = "%(expressions)s"
    arg_joiner = " <%% "
    output_field = BooleanField()
    conditional = True
