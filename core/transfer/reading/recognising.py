"""Recognises by its first bytes what a file is that is no table, so that the refusal names it."""

import re
import zipfile
from typing import BinaryIO

from django.utils.translation import gettext as _

from core.errors import InvalidError

HEAD = 4096
# First bytes → what to call it. A spreadsheet (zip with a workbook inside) is told apart later.
_MAGIC: list[tuple[bytes, str]] = [
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a media file"),
    (b"BM6", "a bitmap image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf'\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"{\\rtf", "an RTF document"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3", "an SQLite database"),
    (b"BEGIN:VCARD", "a vCard file"),
    (b"BEGIN:VCALENDAR", "a calendar file"),
]
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML = re.compile(rb"^\s*<(!doctype\s+html|html|head|body|table|\?xml)", re.IGNORECASE)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROL = bytes(set(range(32)) - {0, 9, 10, 11, 12, 13, 26, 27})
# A sheet that unpacks to more than this many times its size is no honest spreadsheet.
MAX_RATIO = 200
MAX_UNPACKED = 2_000_000_000


def not_a_table(what: str, advice: str = "Send a CSV or XLSX file.") -> InvalidError:
    """The refusal that names what was sent."""
    return InvalidError.of(
        "file",
        _("This is %(what)s, not a table. %(advice)s") % {"what": what, "advice": advice},
        "not_a_table",
    )


def kind_of_file(file: BinaryIO) -> str:
    """ "csv" or "xlsx". Raises InvalidError naming what it is otherwise."""
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    if not head:
        raise InvalidError.of("file", _("The file is empty."), "empty_file")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _kind_of_zip(file)
    if head.startswith(_OLE):
        raise not_a_table(
            _("an old Office document (.xls, .doc)"), _("Save it as .xlsx or CSV and send that.")
        )
    for magic, name in _MAGIC:
        if head.startswith(magic):
            raise not_a_table(name)
    _refuse_markup_and_binary(head)
    return "csv"


def _refuse_markup_and_binary(head: bytes) -> None:
    text = head.removeprefix(b"\xef\xbb\xbf")
    if _HTML.match(text):
        raise not_a_table(_("an HTML or XML page"), _("Was a sign-in page downloaded instead of the export?"))
    if text.lstrip()[:1] in (b"{", b"[") and re.match(rb"\s*[\[{]\s*[\"{\[\]}]", text):
        raise not_a_table("JSON")
    if head.startswith(_UTF16) and len(head) > 4:
        return
    controls = len(head) - len(head.translate(None, _CONTROL))
    if controls > 3 and controls * 50 > len(head):
        raise not_a_table(_("binary data"))


def _kind_of_zip(file: BinaryIO) -> str:
    """Spreadsheets are zip archives with a workbook in them."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise not_a_table(_("a damaged zip archive")) from None
    finally:
        file.seek(0)
    names = {member.filename for member in members}
    if "word/document.xml" in names:
        raise not_a_table(_("a Word document"))
    if "ppt/presentation.xml" in names:
        raise not_a_table("a presentation")
    if not names & {"xl/workbook.xml", "xl/workbook.bin", "content.xml"}:
        raise not_a_table(_("a zip archive"), _("Unpack it and send the CSV or XLSX file inside."))
    _refuse_bomb(members)
    return "xlsx"


def _refuse_bomb(members: list[zipfile.ZipInfo]) -> None:
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members) or 1
    if unpacked > MAX_UNPACKED or (unpacked > 50_000_000 and unpacked / packed > MAX_RATIO):
        raise not_a_table(_("a spreadsheet that unpacks to an unreasonable size"))
