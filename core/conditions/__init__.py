"""The one filter language: lists, saved views, bulk changes, exports, assignment and automation use it.

A condition is an equality map (`{"state": "CA"}`) or a tree of `all`, `any`, `not` over leaves
`{"field": …, "op": …, "value": …}`. It is checked when saved and compiled to a Q.
"""

from core.conditions.compiling import change_q, record_q
from core.conditions.grammar import (
    ChangedPredicate,
    Condition,
    Group,
    Leaf,
    Negation,
    fields_of,
    parse,
    resources_behind,
)

__all__ = [
    "ChangedPredicate",
    "Condition",
    "Group",
    "Leaf",
    "Negation",
    "change_q",
    "fields_of",
    "parse",
    "record_q",
    "resources_behind",
]
