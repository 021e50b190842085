"""The links that the rows of one chunk ask for, written behind the rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.transfer.checked import Checked
from core.transfer.linked_columns import LinkedColumn, Links
from core.transfer.writing import Pending


def joined(links: Links, more: Links) -> Links:
    """Both, each link once."""
    return tuple(dict.fromkeys((*links, *more)))


@dataclass
class AskedLinks:
    """What the chunks so far asked for, by the id of the record: a later row adds to it."""

    links: dict[int, dict[str, Links]] = field(default_factory=dict)
    # Ids of stored records and names of linked columns of which a row's cell could not be read.
    unreadable: set[tuple[int, str]] = field(default_factory=set)


class Linking:
    """`columns` are those that the file has; `asked` is shared by all chunks."""

    def __init__(
        self,
        columns: Iterable[LinkedColumn],
        user: Any,
        checked: Checked,
        asked: AskedLinks,
        *,
        clear_blank: bool,
    ) -> None:
        self.columns = {column.name: column for column in columns}
        self.user, self.checked, self.asked, self.clear_blank = user, checked, asked, clear_blank

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
            asked = {p.pk: p for p in linked if name in p.links and (p.pk, name) not in self.asked.unreadable}
            done = column.write({pk: self._all_of(pending, name) for pk, pending in asked.items()}, self.user)
            changed |= {asked[pk] for pk in done.changed}
            refused |= {asked[pk]: (name, *why) for pk, why in done.refused.items()}
        return changed, refused

    def leave_unreadable(self, pendings: Iterable[Pending]) -> None:
        """The links of a stored record stay where one of its rows says something that could not be read: what
        the others say is not all of them."""
        for pending in pendings:
            for row in pending.rows if pending.before is not None else ():
                names = self.columns.keys() & self.checked.unreadable.get(row, set())
                self.asked.unreadable |= {(pending.pk, name) for name in names}

    def _all_of(self, pending: Pending, name: str) -> Links:
        """What the rows of a record ask for, those in earlier chunks included."""
        return joined(self.asked.links.get(pending.pk, {}).get(name, ()), pending.links[name])

    def remember(self, written: Iterable[Pending]) -> None:
        """Keep what was asked for, for the chunks to come."""
        for pending in written:
            given = {name: links for name, links in pending.links.items() if links}
            if given:
                add(self.asked.links.setdefault(pending.pk, {}), given)

    def asking(self, pending: Pending) -> list[int]:
        """Those of the rows of a record that ask for links."""
        return [row for row in pending.rows if self.of(row, is_new=pending.before is None)]


def add(links: dict[str, Links], more: Mapping[str, Links]) -> None:
    """Add what another row asks for."""
    for name, some in more.items():
        links[name] = joined(links.get(name, ()), some)
