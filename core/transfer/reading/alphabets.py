"""How well a text reads as words of some language: what tells one 8-bit encoding from another.

Read in the wrong encoding, letters become signs, alphabets mix inside a word, small and capital letters
change places, and the letters with marks are those of no one language. Few words are enough to see it.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

# Letters beyond ASCII of languages written in Latin letters, in small letters.
_LATIN = {
    "german": "äöüß", "french": "àâæçèéêëîïôœùûüÿ", "spanish": "áéíñóúü", "portuguese": "àáâãçéêíóôõúü",
    "italian": "àèéìíîòóùú", "scandinavian": "åäæéöøü", "dutch": "áéëïóöüèê", "icelandic": "áðéíóúýþæö",
    "polish": "ąćęłńóśźż", "czech": "áčďéěíňóřšťúůýž", "slovak": "áäčďéíĺľňóôŕšťúýž",
    "hungarian": "áéíóöőúüű", "romanian": "ăâîșțşţ", "south slavic": "čćđšž", "slovene": "čšž",
    "turkish": "âçğ\u0131îöşüi\u0307",
    "lithuanian": "ąčęėįšųūž", "latvian": "āčēģīķļņšūž", "estonian": "äõöüšž", "albanian": "çë",
}  # fmt: skip
_ALPHABETS = {name: frozenset(letters) for name, letters in _LATIN.items()}
# People of several western countries in one list: nearly as good as one of their languages.
_WESTERN = frozenset("".join(_LATIN[n] for n in ("german", "french", "spanish", "portuguese", "italian",
                                                   "scandinavian")))  # fmt: skip
_MIXED = 0.9
# Scripts with capital letters are written with some in lists of names and places.
_SCRIPTS = {"GREEK": True, "CYRILLIC": True, "HEBREW": False, "ARABIC": False}
_WORD = re.compile(r"[^\W\d_]+")
# What people write beside words: quotes, dashes, signs of money and of products.
_SIGNS = frozenset(
    "€£¥§©®°±²³\u00b4µ·¹º»«¼½¾¿¡\u00d7÷\u2013—\u2018\u2019\u201a“”„†‡•…‰\u2039\u203a™ªˆ\u02dc \u00a0№"
)
ENOUGH = 400


@dataclass(frozen=True)
class _Words:
    strange: Counter[str]
    words: list[str]
    signs: int
    odd: int


def plausibility(text: str) -> float:
    """From 0 to 1: how much the part of the text beyond ASCII looks like words of one language."""
    found = _words(text)
    letters = found.strange.total()
    if not letters:
        return 0.75 if found.signs and not found.odd else 0.0
    best = max(_as_latin(found), max(_as_script(found, name) for name in _SCRIPTS))
    return best * letters / (letters + 2 * found.odd)


def _words(text: str) -> _Words:
    strange: Counter[str] = Counter()
    words = []
    for word in _WORD.findall(text):
        if not word.isascii():
            words.append(word)
            strange.update(c for c in word.lower() if c > "\x7f")
            if len(words) >= ENOUGH:
                break
    others = [c for c in text[: 64 << 10] if c > "\x7f" and not c.isalpha()]
    signs = sum(c in _SIGNS for c in others)
    # A sign in the midst of letters is a letter in another encoding.
    inside = len(re.findall(r"[^\W\d_][^\w\s\u2019\u2013\x00-\x7f]+[^\W\d_]", text[: 64 << 10]))
    return _Words(strange, words, signs, len(others) - signs + inside)


def _as_latin(found: _Words) -> float:
    total = found.strange.total()
    covered = max(sum(n for c, n in found.strange.items() if c in letters) for letters in _ALPHABETS.values())
    western = sum(n for c, n in found.strange.items() if c in _WESTERN)
    # Words of a Latin alphabet are mostly of plain letters.
    plain = sum(2 * sum(c <= "\x7f" for c in word) >= len(word) or len(word) < 3 for word in found.words)
    # A letter that stands alone may be a sign.
    alone = 0.6 if max(map(len, found.words)) == 1 else 1
    return (
        alone
        * max(covered / total, _MIXED * western / total)
        * _cased(found.words)
        * plain
        / len(found.words)
    )


def _as_script(found: _Words, script: str) -> float:
    pure = [
        w for w in found.words if len(w) > 1 and all(unicodedata.name(c, "").startswith(script) for c in w)
    ]
    if not pure:
        return 0.0
    share = len(pure) / len(found.words)
    if not _SCRIPTS[script]:
        return share
    capital = sum(word[0].isupper() for word in pure) / len(pure)
    return share * _cased(pure) * (1 if capital > 0.1 else 0.6)


def _cased(words: list[str]) -> float:
    """The share of words that are small, capital, or capitalised."""
    return sum(w.islower() or w.isupper() or w[1:].islower() or not w.isalpha() or w.lower() == w.upper()
               for w in words) / len(words)  # fmt: skip
