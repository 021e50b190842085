"""Pages by cursor (keyset pagination): a list from any place on, read along an index however deep that is.

The list has segments. The rows with a value in the first column of the ordering come before those without, so
these are asked for one after the other, and neither has to sort what an index has sorted. Within a segment,
"behind this row" is a range of the leading columns and, where those are equal, the rest of the ordering.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core import signing
from django.db.models import BooleanField, Expression, F, Func, Q, QuerySet, Value
from django.db.models.expressions import OrderBy
from django.utils.translation import gettext as _
from rest_framework.request import Request

from core.api.pagination import Page, address, fingerprint, page_size
from core.entities.finding import Order
from core.errors import InvalidError

SALT = "crm.cursor"
# The sort keys of the row behind which the page begins; None at the beginning of the list.
Keys = Sequence[Any] | None


def page_of_ids(request: Request, rows: QuerySet, orders: Sequence[Order]) -> Page:
    """The ids on the page of `rows` behind the request's cursor. Raises InvalidError."""
    size = page_size(request)
    names = [f"_k{i}" for i in range(len(orders))]
    keyed = rows.annotate(**{name: order.column.sort_key for name, order in zip(names, orders, strict=True)})
    found: list[Any] = []
    for part in segments(keyed, orders, _keys(request, len(orders))):
        found += part.values_list("pk", *names)[: size + 1 - len(found)]
        if len(found) > size:
            break
    following = None
    if len(found) > size:
        token = signing.dumps([fingerprint(request), *map(_plain, found[size - 1][1:])], salt=SALT)
        following = address(request, cursor=token)
    return Page([row[0] for row in found[:size]], following, None, None)


def segments(rows: QuerySet, orders: Sequence[Order], keys: Keys, start: int = 0) -> Iterator[QuerySet]:
    """The rows behind `keys` as querysets that follow each other; `rows` have sort keys `_k0`, `_k1`, …"""
    if not orders:
        return
    if not orders[0].may_be_empty:
        yield _segment(rows, orders, keys, start)
        return
    name = f"_k{start}__isnull"
    if keys is None or keys[0] is not None:
        yield _segment(rows.filter(**{name: False}), orders, keys, start)
        keys = None
    rest = keys and keys[1:]
    yield from segments(rows.filter(**{name: True}), orders[1:], rest, start + 1)


def _segment(rows: QuerySet, orders: Sequence[Order], keys: Keys, start: int) -> QuerySet:
    """The rows behind `keys`, in order; every one has a value in the first column."""
    first, *others = orders
    by = OrderBy(first.column.sort_key, descending=first.descending)
    rows = rows.order_by(by, *(order.by() for order in others))
    if keys is None:
        return rows
    together = _comparable_together(orders)
    bound = _range_from(rows, orders[:together], keys[:together], start, whole=together == len(orders))
    return rows.filter(bound) if together == len(orders) else rows.filter(bound, _after(orders, keys, start))


def _comparable_together(orders: Sequence[Order]) -> int:
    """How many leading columns have one direction and a plain value: an index compares them as one."""
    count = 1
    for order in orders[1:]:
        if order.may_be_empty or order.descending != orders[0].descending:
            break
        count += 1
    return 1 if orders[0].column.expression is not None else count


def _range_from(
    rows: QuerySet, orders: Sequence[Order], keys: Sequence[Any], start: int, *, whole: bool
) -> Expression | Q:
    """The range that begins at the keys of the leading columns; without them where they are `whole`."""
    sign = ("<" if orders[0].descending else ">") + ("" if whole else "=")
    if len(orders) == 1:
        return Q(**{f"_k{start}__{_LOOKUPS[sign]}": keys[0]})
    names = [f"_k{start + i}" for i in range(len(orders))]
    fields = [rows.query.annotations[name].output_field for name in names]
    given = [Value(field.to_python(key), field) for field, key in zip(fields, keys, strict=True)]
    sides = (Func(*map(F, names), function="ROW"), Func(*given, function="ROW"))
    return Func(*sides, template="(%(expressions)s)", arg_joiner=f" {sign} ", output_field=BooleanField())


_LOOKUPS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def _after(orders: Sequence[Order], keys: Sequence[Any], start: int) -> Q:
    """Rows after the keys in a mixed ordering: equal in the first columns, beyond in the next."""
    found, equal = Q(), Q()
    for i, (order, key) in enumerate(zip(orders, keys, strict=True), start):
        name = f"_k{i}"
        if key is None:
            equal &= Q(**{f"{name}__isnull": True})
            continue
        beyond = Q(**{f"{name}__{'lt' if order.descending else 'gt'}": key})
        if order.may_be_empty and i > start:
            beyond |= Q(**{f"{name}__isnull": True})
        found |= equal & beyond
        equal &= Q(**{name: key})
    return found


def _keys(request: Request, length: int) -> Keys:
    """The sort keys in the request's cursor; None at the beginning. Raises InvalidError."""
    text = request.query_params["cursor"]
    if not text:
        return None
    try:
        mark, *keys = signing.loads(text, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        raise InvalidError.of("cursor", _("Not a cursor given out here.")) from None
    if mark != fingerprint(request) or len(keys) != length:
        raise InvalidError.of("cursor", _("This cursor belongs to other filters or another ordering."))
    return keys


def _plain(key: Any) -> Any:
    return key if key is None or isinstance(key, int | float | str | bool) else str(key)
