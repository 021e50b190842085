"""Texts that hold a word with one slip: a letter left out, one too many, another one, two exchanged.

What a slip makes of a word is few texts, and a trigram index finds each of them by the letters that are left
as they were. Asking it for what shares trigrams with the word reads far more: all records whose words begin
alike.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import BooleanField, Func, Value

# What a slip makes of fewer letters is a part of many words.
SHORTEST = 5
# Patterns of all words together: beyond that nobody is looking for a name.
MOST_PATTERNS = 200
Slips = Callable[[str], Iterator[tuple[str, ...]]]
# Letters that a trigram index looks for.
_TRIGRAM = re.compile(r"[^\W_]{3}")
_SPECIAL = re.compile(r"([\\%_])")


def moved(word: str) -> list[str]:
    """The patterns of LIKE for texts that hold a folded word with a letter left out or one too many, or two
    exchanged: all the letters of the word, or all but one of the text, are known."""
    return _patterns(word, _moved)


def replaced(word: str) -> list[str]:
    """The same with another letter in the place of one; there is less to find them by."""
    return _patterns(word, _replaced)


def _patterns(word: str, slips: Slips) -> list[str]:
    """Those that an index answers."""
    if len(word) < SHORTEST:
        return []
    found = {"_".join(parts) for parts in slips(word) if any(map(_TRIGRAM.search, parts))}
    return [f"%{pattern}%" for pattern in sorted(found)]


def _moved(word: str) -> Iterator[tuple[str, ...]]:
    """The letters that slips leave, before and behind one that is not known."""
    for i, letter in enumerate(word):
        before, behind = word[:i], word[i + 1 :]
        yield (_plain(before + behind),)
        if before:
            yield _plain(before), _plain(letter + behind)
        if behind:
            yield (_plain(before + behind[0] + letter + behind[1:]),)


def _replaced(word: str) -> Iterator[tuple[str, ...]]:
    for i in range(len(word)):
        yield _plain(word[:i]), _plain(word[i + 1 :])


def _plain(text: str) -> str:
    """The text as LIKE takes it for itself."""
    return _SPECIAL.sub(r"\\\1", text)


class IsLikePattern(Func):
    """Whether a text is as a pattern of LIKE says; a trigram index answers."""

    template = "%(expressions)s"
    arg_joiner = " LIKE "
    output_field = BooleanField()
    conditional = True

    def __init__(self, text: Any, pattern: str) -> None:
        super().__init__(text, Value(pattern))
