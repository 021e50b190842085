"""Several e-mail addresses or phone numbers in one cell, as address books write them (`a@x ::: b@x`)."""

import re

# `;ext=12` belongs to the number before it (RFC 3966).
_SEPARATOR = re.compile(r"\s*(?::::|[,\n]|;(?!ext=))\s*")
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\Z")
_NUMBER = re.compile(r"(?:tel:)?[+(]?\d(?:\D{0,3}\d){5,}")


def addresses_in(cell: str, *, is_email: bool) -> list[str]:
    """The addresses or numbers of a cell that holds nothing but several of them; [] of any other cell."""
    parts = [part for part in _SEPARATOR.split(cell) if part]
    form = _ADDRESS if is_email else _NUMBER
    return parts if len(parts) > 1 and all(form.match(part) for part in parts) else []
