"""What the cells of a column say about it: addresses, phone numbers, whole names, opt-outs.

A header that may mean several things is judged by them, and a column without a known header is taken where
nearly all of them are unmistakable.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from core.transfer.headers import normalised
from core.transfer.import_fields import FULL_NAME, ImportFields, MappedColumn
from core.transfer.reading import Table
from core.transfer.reading.layout import LOOKED_AT_CHARS
from core.transfer.values import is_blank_text

SAMPLE = 200
# Of so many cells more than one differs from the others where they are names.
FEW = 20
MOST = 0.8
SOME = 0.5
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[a-z]{2,}\Z", re.IGNORECASE)
_URL = re.compile(r"(https?://|www\.)\S+\Z|[\w-]+(\.[\w-]+)*\.[a-z]{2,12}(/\S*)?\Z", re.IGNORECASE)
_PHONE = re.compile(r"(?=.*[+() /.-])\+?[\d\s()./-]{7,22}(\s*(x|ext\.?)\s*\d{1,6})?\Z", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b")
_WHOLE_NAME = re.compile(r"[^\W\d_][\w.'\u2019-]*(,? [^\W\d_][\w.'\u2019-]*){1,3}\Z")
# In the header of a column that says whether somebody wants mail.
_OF_SUBSCRIPTIONS = frozenset(
    """status state subscription subscribed statut estado stato consent marketing mailing newsletter bounce
    bounced suppression suppressions""".split()
)
PLAIN_NAMES = frozenset(["first_name", "last_name", FULL_NAME])


def refine_by_values(targets: ImportFields, found: list[MappedColumn], table: Table) -> list[MappedColumn]:
    """The mapping with what its columns' first cells add to it or take from it."""
    sample = table.head(SAMPLE)
    cells = [
        [c.strip()[:LOOKED_AT_CHARS] for c in sample.column(m.position) if not is_blank_text(c)]
        for m in found
    ]
    judged = [_checked_by_values(targets, m, column, found) for m, column in zip(found, cells, strict=True)]
    for index, (mapped, column) in enumerate(zip(judged, cells, strict=True)):
        if mapped.target is None and mapped.reason == "none" and column:
            judged[index] = _recognised(targets, mapped, column, judged)
    return judged


def share(cells: Sequence[str], is_one: Callable[[str], object]) -> float:
    """How many of the cells are such."""
    return sum(bool(is_one(cell)) for cell in cells) / len(cells) if cells else 0.0


def is_phone(cell: str) -> bool:
    return bool(_PHONE.match(cell)) and not _DATE.match(cell) and sum(c.isdigit() for c in cell) >= 7


def _checked_by_values(
    targets: ImportFields, mapped: MappedColumn, cells: list[str], found: Sequence[MappedColumn]
) -> MappedColumn:
    """A column whose header is known, unless its cells say that it is something else."""
    if _is_subscription(targets, mapped, cells):
        return replace(mapped, target=targets.by_name["do_not_contact"], reason="values")
    name = mapped.target.name if mapped.target else ""
    if mapped.reason not in ("alias", "words") or not name:
        return mapped
    if name == FULL_NAME and not _are_names(cells):
        return replace(mapped, target=None, reason="none of its values seems to be a name")
    if name == "website" and cells and share(cells, _URL.match) < SOME:
        return replace(mapped, target=None, reason="its values are no web addresses")
    if name == "last_name" and _holds_whole_names(mapped, cells, found):
        return replace(mapped, target=targets.by_name.get(FULL_NAME), reason="values")
    if name == "phone" and len(cells) > 4 and share(cells, _EMAIL.match) > MOST:
        return replace(mapped, target=targets.by_name.get("email"), reason="values")
    return mapped


def _are_names(cells: Sequence[str]) -> bool:
    """Whether a column headed by such a word as "contact" holds names: some, and not the same few again and
    again (how somebody was contacted)."""
    return bool(cells) and (len(cells) < FEW or len(set(cells)) * FEW > len(cells))


def _holds_whole_names(mapped: MappedColumn, cells: Sequence[str], found: Sequence[MappedColumn]) -> bool:
    """Whether a column that may be surnames holds first names too, and no other column gives them."""
    others = {m.target.name for m in found if m.target and m is not mapped}
    return not others & {"first_name", FULL_NAME} and share(cells, _WHOLE_NAME.match) > MOST


def _is_subscription(targets: ImportFields, mapped: MappedColumn, cells: Sequence[str]) -> bool:
    """Whether a status is that of a mailing list: everything it says is about wanting mail, and somebody
    does not want any."""
    known = targets.headers.opt_out
    if known is None or known.field not in targets.by_name or mapped.reason == "own export":
        return False
    header = set(normalised(mapped.header).split(" "))
    if not header & _OF_SUBSCRIPTIONS:
        return False
    words = {normalised(cell) for cell in cells}
    meant = targets.headers.values.get(known.field, {})
    return bool(words & known.words) and all(word in meant for word in words)


def _recognised(
    targets: ImportFields, mapped: MappedColumn, cells: Sequence[str], found: Sequence[MappedColumn]
) -> MappedColumn:
    """A column whose header nobody knows, by what stands in it, where no other column gives the field."""
    taken = {m.target.name for m in found if m.target}
    distinct = len(set(cells)) / len(cells)
    name = ""
    if share(cells, _EMAIL.match) >= MOST:
        name = "email"
    elif share(cells, is_phone) >= MOST and distinct > SOME:
        name = "phone"
    elif share(cells, re.compile(r"(https?://|www\.)").match) >= MOST and _are_own_sites(cells):
        name = "website"
    elif not taken & PLAIN_NAMES and distinct > MOST and share(cells, _is_name) >= MOST:
        name = FULL_NAME
    if name in taken or name not in targets.by_name:
        return mapped
    return replace(mapped, target=targets.by_name[name], reason="values")


def _is_name(cell: str) -> bool:
    words = cell.replace(",", " ").split()
    return bool(_WHOLE_NAME.match(cell)) and 2 <= len(words) <= 3 and all(w[0].isupper() for w in words)


def _are_own_sites(cells: Sequence[str]) -> bool:
    """Whether the addresses are of many hosts: profiles in one network are no websites."""
    hosts = Counter(re.sub(r"^(https?://)?(www\.)?", "", cell).partition("/")[0].lower() for cell in cells)
    return len(cells) < 3 or hosts.most_common(1)[0][1] <= len(cells) * SOME
