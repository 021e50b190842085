"""What the words of a header say where no table knows it as a whole: `User Email`, `BILLINGSTREET`.

Words that say whose or which field it is are taken off until the rest is known; what is merely similar is
never taken for the same.
"""

from typing import Any

from core.transfer.headers import headers_of, normalised
from core.transfer.import_fields import ImportFields

# Before or behind the name of a field they do not change what it is.
QUALIFIERS = frozenset(
    """primary main principal default current preferred business work office corporate billing mailing
    shipping postal legal registered contact person people lead customer client user prospect member
    subscriber attendee deal opportunity participant guest buyer respondent applicant delegate your my
    their the of a full complete no nr num number value info information raw original c 1 one first's ihre
    ihr deine votre su il
    die der das kunde kunden client's contacto cliente contatto klant # required mandatory optional
    pflichtfeld erforderlich obligatoire obligatorio obbligatorio""".split()
)
# Not taken off alone: "contact number" is a phone, "number" nothing.
_MEANINGLESS = frozenset(["", "name", "number", "no", "id", "value", "info", "type", "date", "code", "full"])
SYMBOLS = {
    "\u260e": "phone", "\U0001f4de": "phone", "\u260f": "phone", "\U0001f4f1": "mobile",
    "\U0001f4f2": "mobile", "\u2709": "email", "\U0001f4e7": "email", "\U0001f4e9": "email",
    "\U0001f4e8": "email", "\U0001f3e2": "company_name", "\U0001f3ed": "company_name",
    "\U0001f310": "website", "\U0001f517": "website", "\U0001f464": "full_name", "\U0001f3f7": "tags",
    "\U0001f4cd": "address", "\U0001f3e0": "address", "\U0001f4dd": "notes",
}  # fmt: skip
# A header of more words is a sentence.
MOST_WORDS = 8


def meant_by(targets: ImportFields, header: str) -> tuple[str, str]:
    """The target that the words of a header mean, and why; ("", "none") where they mean nothing here."""
    plain = normalised(header)
    as_id = _as_id(targets, plain)
    if as_id is not None:
        return as_id, "words"
    squeezed = targets.squeezed_headers.get(plain.replace(" ", ""), "")
    if squeezed:
        return squeezed, "alias"
    symbol = next((field for sign, field in SYMBOLS.items() if sign in header), "")
    if symbol in targets.by_name:
        return symbol, "words"
    words = [word for word in plain.split(" ") if any(c.isalnum() or c in "#%" for c in word)]
    bare = targets.known_headers.get(" ".join(words), "") if len(words) < len(plain.split(" ")) else ""
    found = bare or _without_qualifiers(targets, words)
    if not found and plain != normalised(header.casefold()):
        # LinkedIn_Profile__c: "linkedin profile" is known, "linked in profile" is not.
        found = _without_qualifiers(targets, normalised(header.casefold()).split(" "))
    return (found, "words") if found else ("", "none")


def _without_qualifiers(targets: ImportFields, words: list[str]) -> str:
    """The field that is left when words are taken off at both ends, the fewest first."""
    if len(words) > MOST_WORDS:
        return ""
    known = targets.known_headers
    parts = [
        (words[start:end], words[:start] + words[end:])
        for start in range(len(words))
        for end in range(len(words), start, -1)
    ]
    for part, off in sorted(parts, key=lambda pair: len(pair[1])):
        rest = " ".join(part)
        if off and rest not in _MEANINGLESS and all(word in QUALIFIERS for word in off) and rest in known:
            return known[rest]
    return ""


def _as_id(targets: ImportFields, plain: str) -> str | None:
    """What an id of another system names: the record itself, or one that it belongs to; "" for what has no
    place here; None for what is no such id."""
    words = plain.removeprefix("associated ").removeprefix("related ").split(" ")
    if words[-1] not in ("id", "ids", "guid", "uuid", "key") and not plain.replace(" ", "").endswith("id"):
        return None
    what = "".join(words).removesuffix("s").removesuffix("id").removesuffix("gu").removesuffix("uu")
    own = headers_of.get(targets.entity.name)
    if own is not None and what in own.called:
        return "external_id"
    for field in targets.by_name.values():
        if field.part == "external_id" and what in _names_of(field.column):
            return field.name
    if own is not None and what in own.also_called:
        return "external_id"
    return "" if words[-1] in ("id", "ids") and len(words) > 1 else None


def _names_of(reference: Any) -> frozenset[str]:
    """What other systems call the records that a reference points at."""
    known = headers_of.get(reference.field_type.target)
    return known.called if known is not None else frozenset()
