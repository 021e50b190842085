"""Conditions of a list as conditions on rows. What cannot be asked of the database is refused: a page that is
filtered afterwards would count wrong."""

from collections.abc import Callable, Mapping
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import Q
from scim2_models import InvalidFilterException
from scim2_models.path import (
    CompareOperator,
    Comparison,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    ValuePath,
)

EVERYTHING, NOBODY = Q(), Q(pk__in=())
MAX_LENGTH, MAX_TERMS = 2_000, 20
_BIGGEST_ID = 2**63 - 1

Condition = Callable[[Any], Q]


def known_id(value: Any) -> int | None:
    """The id that a text is, if it can be one at all."""
    text = str(value)
    usable = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if usable and int(text) <= _BIGGEST_ID else None


def by_id(column: str) -> Condition:
    return lambda value: NOBODY if (pk := known_id(value)) is None else Q(**{column: pk})


def by_text(column: str, lookup: str = "iexact") -> Condition:
    """By a column that is "" where there is nothing, which no value is equal to."""
    return lambda value: Q(**{f"{column}__{lookup}": value}) if value and _is_text(value) else NOBODY


def _is_text(value: str) -> bool:
    """Whether the database can hold it; a filter may escape what UTF-8 cannot."""
    return "\x00" not in value and not any("\ud800" <= one <= "\udfff" for one in value)


def by_constant(constant: Any) -> Condition:
    """By what is the same for everyone."""
    return lambda value: EVERYTHING if value == constant else NOBODY


# By the attribute in small letters; what is in brackets is below its attribute.
USERS: Mapping[str, Condition] = {
    "id": by_id("pk"),
    "username": by_text("username"),
    "externalid": by_text("provisioned__external_id", "exact"),
    "active": lambda value: Q(is_active=value),
    "name.givenname": by_text("first_name"),
    "name.familyname": by_text("last_name"),
    "emails": by_text("email"),
    "emails.value": by_text("email"),
    "emails.type": lambda value: ~Q(email="") if str(value).lower() == "work" else NOBODY,
    "emails.primary": lambda value: ~Q(email="") if value else NOBODY,
    "groups": by_id("provisioned_groups"),
    "groups.value": by_id("provisioned_groups"),
}
GROUPS: Mapping[str, Condition] = {
    "id": by_id("pk"),
    "displayname": by_text("display_name"),
    "externalid": by_text("external_id", "exact"),
    "members": by_id("members"),
    "members.value": by_id("members"),
}


class RowConditions(FilterVisitor[Q]):
    """`eq`, `and`, `or` and brackets over the attributes that are known."""

    def __init__(self, known: Mapping[str, Condition], below: str = "") -> None:
        self.known, self.below = known, below

    def visit_comparison(self, node: Comparison) -> Q:
        path = node.attr_path
        name = ".".join(filter(None, (self.below, path.attr, path.sub_attr))).lower()
        if node.op != CompareOperator.eq or name not in self.known:
            raise _refused()
        if isinstance(node.value, bool) != (name in ("active", "emails.primary")) or node.value is None:
            raise _refused()
        return self.known[name](node.value if isinstance(node.value, bool) else str(node.value))

    def visit_logical_expr(self, node: LogicalExpr) -> Q:
        if len(node.terms) > MAX_TERMS:
            raise InvalidFilterException(detail="The filter is too long.")
        joined = and_ if node.op == LogicalOperator.and_ else or_
        return reduce(joined, [self.visit(term) for term in node.terms])

    def visit_value_path(self, node: ValuePath) -> Q:
        if self.below:
            raise _refused()
        return RowConditions(self.known, node.attr_path.attr).visit(node.val_filter)

    def visit_present(self, node: Any) -> Q:
        raise _refused()

    def visit_not(self, node: Any) -> Q:
        raise _refused()


def condition(text: Any, known: Mapping[str, Condition]) -> Q:
    """What a filter asks for. Raises InvalidFilterException."""
    if text is None:
        return EVERYTHING
    if len(text) > MAX_LENGTH or text.count(" ") > 4 * MAX_TERMS:
        raise InvalidFilterException(detail="The filter is too long.")
    return RowConditions(known).visit(text.ast)


def _refused() -> InvalidFilterException:
    return InvalidFilterException(
        detail="Filters compare id, userName, externalId, active, emails, name, groups, displayName or"
        " members by eq, joined by and, or and brackets."
    )
