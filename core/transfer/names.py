"""Whole names taken apart."""

import re

from core.entities.field_types import trimmed
from core.transfer.csv_injection import unescape

# Chinese, Japanese and Korean names have no blank between the parts.
_EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_PARTICLES = frozenset(
    [
        "van",
        "von",
        "de",
        "der",
        "den",
        "del",
        "della",
        "di",
        "da",
        "dos",
        "du",
        "la",
        "le",
        "bin",
        "al",
        "ter",
    ]
)


def split_name(text: str) -> tuple[str, str]:
    """First and last name. "Last, First" is turned round; particles go with the last name."""
    name = " ".join(trimmed(unescape(text)).split())
    if name.count(",") == 1:
        last, _, first = (part.strip() for part in name.partition(","))
        if first and last:
            return first, last
    words = name.split(" ")
    if len(words) == 1 or _EAST_ASIAN.search(name):
        return name, ""
    start = len(words) - 1
    while start > 1 and words[start - 1].lower() in _PARTICLES:
        start -= 1
    return " ".join(words[:start]), " ".join(words[start:])
