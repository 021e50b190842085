"""What a list's conditions imply about the stored search text, which has an index where columns have none.

The conditions themselves stay as they are: they are also asked of states that are no rows of a table.
"""

from functools import reduce
from operator import and_

from django.db.models import F, Q, Value
from django.db.models.lookups import Contains

from core.conditions.grammar import Condition, Group, Leaf
from core.conditions.related import RelatedColumn
from core.entities import field_types
from core.entities.entity import Entity
from core.entities.finding import TRIGRAM, number_in
from core.models.folding import Fold, fold, words_of

# How a text stands in the search text, where a blank is before and behind each column.
STANDING = {"eq": " {} ", "contains": "{}", "starts_with": " {}", "ends_with": "{} "}


def narrowing_q(entity: Entity, condition: Condition) -> Q:
    """A condition on `search_text` that every record meets which meets `condition`."""
    if isinstance(condition, Leaf):
        return _narrowing_leaf(entity, condition)
    if isinstance(condition, Group) and condition.word == "all":
        return reduce(and_, (narrowing_q(entity, child) for child in condition.children), Q())
    return Q()


def _narrowing_leaf(entity: Entity, leaf: Leaf) -> Q:
    column = leaf.column
    if isinstance(column, RelatedColumn):
        return Q()  # what it asks of the other record is narrowed there
    if leaf.op not in STANDING or column.expression is not None or column.path not in words_of(entity.model):
        return Q()
    if isinstance(column.field_type, field_types.Phone):
        # Of numbers, the digits are in the search text.
        number = number_in(column, leaf.value)
        return Q(search_text__contains=number) if number else Q()
    if len(fold(leaf.value)) < TRIGRAM:
        return Q()
    standing = STANDING[leaf.op].format(leaf.value)
    return Q(Contains(F("search_text"), Fold(Value(standing))))
