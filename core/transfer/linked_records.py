"""Records named in one cell: "contact 12 Ada Byron; opportunity 5", as exports write them, "contact 5,
opportunity 7", or by what a reference may be named by: "contact:ada@x.example"."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from core.access import scopes
from core.activities.further_records import Ref, seen_refs
from core.entities import entities
from core.entities.field_types import trimmed
from core.models.folding import fold
from core.transfer.csv_injection import unescape
from core.transfer.resolving import ID_DIGITS, Resolver
from core.transfer.values import BLANK, Refusal, is_blank_text

EDGES = " \t\r\n;,"


@dataclass(frozen=True)
class _Mention:
    """A record as a cell names it; `pk` is 0 where it is named by something else than its id."""

    kind: str
    pk: int
    name: str

    @property
    def ref(self) -> Ref:
        return self.kind, self.pk


class Mentions:
    """Reads how records of some kinds are named; `alone` is the kind of what is named without its own, and of
    what is counted at the end ("2 more")."""

    def __init__(self, kinds: Collection[str], *, alone: str = "") -> None:
        self.kinds, self.alone = sorted(kinds), alone
        words = "|".join(self.kinds)
        named = rf"[;,\n]\s*(?=(?:{words})(?:\s+[0-9]|\s*:))"
        counted = r"|[;\n]\s*(?=[0-9]+ more[\s;]*\Z)" if alone else ""
        self._between = re.compile(named + counted, re.IGNORECASE)
        self._by_id = re.compile(
            rf"({words})\s+([0-9]{{1,{ID_DIGITS}}})(?:\s+(.+))?", re.IGNORECASE | re.DOTALL
        )
        self._by_name = re.compile(rf"({words})\s*:\s*(.+)", re.IGNORECASE | re.DOTALL)

    def parts(self, cell: str) -> list[str]:
        """What a cell names, one by one, where each name has its kind before it. Commas and semicolons within
        names separate nothing."""
        return _stripped(self._between.split(unescape(cell)))

    def parts_alone(self, part: str) -> list[str]:
        """What a part names where its names have no kind before them: those hold no semicolons."""
        return _stripped(re.split("[;\n]", part))

    def find(self, parts: Iterable[str], resolver: Resolver) -> dict[str, Ref | Refusal]:
        """The record that each part names, or why none: a statement or few for each kind."""
        mentions = {part: self._mention(part) for part in dict.fromkeys(parts)}
        wanted = [m for m in mentions.values() if m is not None]
        titles = seen_refs((m.ref for m in wanted if m.pk), resolver.user)
        named = _by_name([m for m in wanted if m.name and not _is_so_called(m, titles)], resolver)
        return {
            part: self._unreadable(part) if m is None else _found(m, titles, named)
            for part, m in mentions.items()
        }

    def _mention(self, part: str) -> _Mention | None:
        if found := self._by_id.fullmatch(part):
            return _Mention(found[1].lower(), int(found[2]), trimmed(found[3] or ""))
        if found := self._by_name.fullmatch(part):
            return _Mention(found[1].lower(), 0, trimmed(found[2]))
        # A number alone may be a count of records.
        return _Mention(self.alone, 0, trimmed(part)) if self.alone and not part.isdigit() else None

    def named_by_id(self, part: str) -> Ref | None:
        """The record whose id a part says."""
        found = self._by_id.fullmatch(part)
        return (found[1].lower(), int(found[2])) if found else None

    def _unreadable(self, part: str) -> Refusal:
        kinds = ", ".join(self.kinds)
        message = _('%(part)s names no record: expected "contact 5; company 7", of: %(kinds)s.') % {
            "part": repr(part[:80]),
            "kinds": kinds,
        }
        return Refusal("invalid", message)


def _stripped(pieces: Iterable[str]) -> list[str]:
    return [part for part in (piece.strip(EDGES) for piece in pieces) if part]


def read_refs(cells: Sequence[str], resolver: Resolver, mentions: Mentions, at_most: int) -> list[Any]:
    """The records that cells name, as Links; BLANK or Refusal, cell by cell."""

    def read(wanted: list[str]) -> dict[str, Any]:
        parts = {cell: mentions.parts(cell) for cell in wanted}
        found = mentions.find((part for some in parts.values() for part in some), resolver)
        return {cell: as_links([found[part] for part in some], at_most) for cell, some in parts.items()}

    return read_cells(cells, read)


def as_links(found: Iterable[Any], at_most: int) -> Any:
    """What was found as Links, each once, or BLANK; the first Refusal among them, or one of too many."""
    links = tuple(dict.fromkeys(found))
    refusal = next((one for one in links if isinstance(one, Refusal)), None)
    if refusal is None and len(links) > at_most:
        return Refusal("max_length", _("At most %(at_most)s records.") % {"at_most": at_most})
    return refusal or links or BLANK


def read_cells(cells: Sequence[str], read: Callable[[list[str]], dict[str, Any]]) -> list[Any]:
    """Cells that are not blank, each once, by `read`; BLANK for the others."""
    wanted = [cell for cell in dict.fromkeys(cells) if not is_blank_text(cell)]
    known = read(wanted) if wanted else {}
    return [known.get(cell, BLANK) for cell in cells]


def _is_so_called(mention: _Mention, titles: Mapping[Ref, str]) -> bool:
    """Whether the record with the id that is named beside a name has that name."""
    return bool(mention.pk) and fold(trimmed(titles.get(mention.ref, ""))) == fold(mention.name)


def _by_name(mentions: Sequence[_Mention], resolver: Resolver) -> dict[tuple[str, str, str], Any]:
    """(kind, part, name) → the id of what is called so, or why none."""
    asked: dict[tuple[str, str], list[str]] = {}
    for mention in mentions:
        asked.setdefault(_key(mention)[:2], []).append(mention.name)
    found: dict[tuple[str, str, str], Any] = {}
    for (kind, part), names in asked.items():
        if scopes.covers(resolver.user, entities[kind].plural):
            ids = resolver.find(kind, part, names)
            found |= {(kind, part, name): pk for name, pk in zip(names, ids, strict=True)}
    return found


def _key(mention: _Mention) -> tuple[str, str, str]:
    """An id with another name may be another system's: then the name decides, and nothing else."""
    return mention.kind, "name" if mention.pk else "", mention.name


def _found(
    mention: _Mention, titles: Mapping[Ref, str], named: Mapping[tuple[str, str, str], Any]
) -> Ref | Refusal:
    if mention.pk and (not mention.name or _is_so_called(mention, titles)):
        return mention.ref if mention.ref in titles else _missing(mention)
    found = named.get(_key(mention), BLANK)
    if isinstance(found, int):
        return mention.kind, found
    if mention.pk and mention.ref in titles:
        message = _("%(kind)s %(pk)s is not called %(name)s; name it by its id alone.") % {
            "kind": mention.kind,
            "pk": mention.pk,
            "name": repr(mention.name[:80]),
        }
        return Refusal("does_not_exist", message)
    return found if isinstance(found, Refusal) else _missing(mention)


def _missing(mention: _Mention) -> Refusal:
    named = f"{mention.kind} {mention.pk or mention.name[:80]}"
    return Refusal("does_not_exist", _("There is no %(named)s that you may see.") % {"named": named})
