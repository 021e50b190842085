"""The links that the rows of one chunk ask for, written behind the rows."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.transfer.checked import Checked
from core.transfer.linked_columns import LinkedColumn, Links
from core.transfer.writing import Pending


def joined(links: Links, more: Links) -> Links:
    """Both, each link once."""
    return tuple(dict.fromkeys((*links, *more)))


class Linking:
    """`columns` are those that the file has."""

    def __init__(
        self, columns: Iterable[LinkedColumn], user: Any, checked: Checked, *, clear_blank: bool
    ) -> None:
        self.columns = {column.name: column for column in columns}
        self.user, self.checked, self.clear_blank = user, checked, clear_blank

    def of(self, row: int, *, is_new: bool) -> dict[str, Links]:
        """The links that a row asks for; a blank cell asks for none of what is stored, where it empties."""
        given = self.checked.links.get(row, {})
        if is_new or not self.clear_blank or not self.columns:
            return dict(given)
        unreadable = self.checked.unreadable.get(row, ())
        return {name: () for name in self.columns if name not in unreadable} | given

    def write(self, pendings: Iterable[Pending]) -> tuple[set[Pending], dict[Pending, tuple[str, str, str]]]:
        """Write the links of records that are stored by now: whose were others before, and whose cannot be
        written, with field, code and message."""
        changed: set[Pending] = set()
        refused: dict[Pending, tuple[str, str, str]] = {}
        linked = [pending for pending in pendings if pending.links]
        for name, column in self.columns.items() if linked else ():
            asked = {pending.pk: pending for pending in linked if name in pending.links}
            done = column.write({pk: pending.links[name] for pk, pending in asked.items()}, self.user)
            changed |= {asked[pk] for pk in done.changed}
            refused |= {asked[pk]: (name, *why) for pk, why in done.refused.items()}
        return changed, refused

    def asking(self, pending: Pending) -> list[int]:
        """Those of the rows of a record that ask for links."""
        return [row for row in pending.rows if self.of(row, is_new=pending.before is None)]


def add(links: dict[str, Links], more: Mapping[str, Links]) -> None:
    """Add what another row asks for."""
    for name, some in more.items():
        links[name] = joined(links.get(name, ()), some)
