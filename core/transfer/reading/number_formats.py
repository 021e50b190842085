"""Which cells of a sheet show other digits than they hold: `00501` is 501 and a format, `50%` is 0.5 and one.

The reader of spreadsheets gives the number alone, so the formats are read here; a workbook that has none of
this kind, as most have, costs a look at its list of styles.
"""

import html
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO

# (row, column) from 0 → how many digits are shown at least, or PERCENT.
Formats = dict[tuple[int, int], int]
PERCENT = -1
# Formats that every workbook has without naming them.
_BUILT_IN = {"9": "0%", "10": "0.00%"}

STYLES, WORKBOOK, LINKS = "xl/styles.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
PROPERTIES = "docProps/custom.xml"
BLOCK = 1 << 20
MAX_PART = 64 << 20
LOOKED_AT = 1 << 16
_FILLED = re.compile(rb"<(\w+:)?(v|is)[ >]")
_ATTRIBUTE = re.compile(r'([\w:]+)="([^"]*)"')
_CODE = re.compile(r"0{2,}\Z")
# Where the sign is quoted or escaped, it is but a sign.
_PERCENT_CODE = re.compile(r"[#0,.? ]*0[#0,.? ]*%\Z")
_NUMBERED = re.compile(r"([A-Z]{1,3})(\d{1,7})\Z")


def shown(text: str, form: int) -> str:
    """A number as it is seen in a cell of this format."""
    if form != PERCENT:
        return text.zfill(form)
    try:
        return f"{float(text) * 100:.15g}%"
    except ValueError:
        return text


def formats_of(file: BinaryIO, sheet: str) -> Formats:
    """The cells of the sheet whose numbers are shown with leading zeros or as hundredths."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            widths = _styles_of(_part(archive, STYLES))
            path = _path_of(archive, sheet) if widths else ""
            return dict(_cells(archive, path, widths)) if path else {}
    except (zipfile.BadZipFile, KeyError, OSError, ValueError):
        return {}
    finally:
        file.seek(0)


def with_cells(file: BinaryIO, sheets: Sequence[str]) -> tuple[str, ...]:
    """Those of a workbook's sheets that hold anything, as far as their beginning tells."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            return tuple(name for name in sheets if _has_cells(archive, _path_of(archive, name)))
    except (zipfile.BadZipFile, KeyError, OSError, ValueError):
        return ()
    finally:
        file.seek(0)


def _has_cells(archive: zipfile.ZipFile, path: str) -> bool:
    if not path:
        return False
    with archive.open(path) as sheet:
        return _FILLED.search(sheet.read(LOOKED_AT)) is not None


def property_of(file: BinaryIO, name: str) -> str:
    """A custom property of the workbook, which its maker gave it; "" if it has none."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            found = re.search(
                rf'name="{re.escape(name)}"[^>]*>\s*<[^>]*>([^<]*)<', _part(archive, PROPERTIES)
            )
            return html.unescape(found.group(1)) if found else ""
    except (zipfile.BadZipFile, OSError, ValueError):
        return ""
    finally:
        file.seek(0)


def _part(archive: zipfile.ZipFile, name: str) -> str:
    try:
        info = archive.getinfo(name)
    except KeyError:
        return ""
    return archive.read(info).decode("utf-8", "replace") if info.file_size <= MAX_PART else ""


def _styles_of(styles: str) -> dict[str, int]:
    """Index of a cell style → digits that it shows at least, or PERCENT."""
    codes = dict(_BUILT_IN)
    for tag in re.findall(r"<(?:\w+:)?numFmt\b[^>]*>", styles):
        attributes = dict(_ATTRIBUTE.findall(tag))
        codes[attributes.get("numFmtId", "")] = html.unescape(attributes.get("formatCode", ""))
    section = re.search(r"<(?:\w+:)?cellXfs\b.*?</(?:\w+:)?cellXfs>", styles, re.DOTALL)
    found = {}
    for index, tag in enumerate(re.findall(r"<(?:\w+:)?xf\b[^>]*>", section.group(0) if section else "")):
        code = codes.get(dict(_ATTRIBUTE.findall(tag)).get("numFmtId", ""), "").partition(";")[0]
        if _CODE.match(code):
            found[str(index)] = len(code)
        elif _PERCENT_CODE.match(code):
            found[str(index)] = PERCENT
    return found


def _path_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """The part of the archive that holds a sheet."""
    for tag in re.findall(r"<(?:\w+:)?sheet\b[^>]*>", _part(archive, WORKBOOK)):
        attributes = dict(_ATTRIBUTE.findall(tag))
        if html.unescape(attributes.get("name", "")) == sheet:
            wanted = next((v for k, v in attributes.items() if k.endswith(":id")), "")
            for link in re.findall(r"<(?:\w+:)?Relationship\b[^>]*>", _part(archive, LINKS)):
                target = dict(_ATTRIBUTE.findall(link))
                if target.get("Id") == wanted:
                    return str(PurePosixPath("xl") / target.get("Target", "")).removeprefix("/")
    return ""


def _cells(
    archive: zipfile.ZipFile, path: str, widths: dict[str, int]
) -> Iterator[tuple[tuple[int, int], int]]:
    """The place of each number that has one of these styles, and its format."""
    styles = "|".join(sorted(widths))
    tag = re.compile(
        rf'<(?:\w+:)?c\b(?=[^>]*\bs="({styles})")(?![^>]*\bt="(?:s|str|inlineStr|b|e)")[^>]*>'.encode()
    )
    with archive.open(path) as sheet:
        rest = b""
        while block := sheet.read(BLOCK):
            text = rest + block
            cut = text.rfind(b"<")
            for found in tag.finditer(text, 0, cut):
                place = re.search(rb'\br="([A-Z]{1,3}\d{1,7})"', found.group(0))
                if place:
                    yield _place(place.group(1).decode()), widths[found.group(1).decode()]
            rest = text[max(cut, 0) :]


def _place(reference: str) -> tuple[int, int]:
    """`B7` → (6, 1)."""
    found = _NUMBERED.match(reference)
    letters, number = found.groups() if found else ("A", "1")
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(number) - 1, column - 1
