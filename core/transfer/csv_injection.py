"""Cells that a spreadsheet would run as formulas: disarmed on the way out, as they were on the way in.

A cell beginning with a dangerous character, after any apostrophes, is given one apostrophe more; the import
takes exactly that one off again. So export → import changes nothing, whatever the text.
"""

import re

# OWASP's list: = + - @, tab, CR, LF, and the full-width forms that spreadsheets fold to them.
DANGEROUS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\x00"
_GUARDED = re.compile(f"^'+[{re.escape(DANGEROUS)}]")


def needs_escape(text: str) -> bool:
    """Whether a spreadsheet might run the text, or take it for one that was disarmed."""
    return text.lstrip("'")[:1] in DANGEROUS if text and text.lstrip("'") else False


def escape(text: str) -> str:
    """`text` as it may stand in a CSV cell."""
    return "'" + text if needs_escape(text) else text


def unescape(text: str) -> str:
    """What `escape` was given."""
    return text[1:] if text[:1] == "'" and _GUARDED.match(text) else text
