"""Which encoding a text file is in: UTF-8 is proven over the whole file, others are judged from samples.

Decoding as ISO-8859-1 always "succeeds", so an 8-bit encoding is only chosen after UTF-8 has failed.
"""

import codecs
from dataclasses import dataclass
from typing import BinaryIO

from charset_normalizer import from_bytes

from core.errors import InvalidError

BLOCK = 1 << 18  # of the size of a processor's own cache
SAMPLE = 64 << 10
_BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
# What spreadsheets and CRMs write where it is not UTF-8.
_CANDIDATES = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp932", "gb18030",
    "big5", "cp949", "koi8_r", "mac_roman", "cp850", "cp437",
]  # fmt: skip
_WESTERN = {"cp1252", "cp1250", "cp1254", "cp1257", "mac_roman", "cp850", "cp437", "iso8859_1", "latin_1"}
# Below so many non-ASCII bytes statistics mean nothing: Windows-1252 is by far the likeliest.
FEW = 40


@dataclass(frozen=True)
class Scan:
    """One pass over the file: its size, and the offset of the first byte that is no UTF-8."""

    size: int
    not_utf8_at: int | None


def scan(file: BinaryIO) -> Scan:
    """Read the file once, in blocks. Leaves it at its beginning."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    size, bad = 0, None
    while block := file.read(BLOCK):
        if bad is None and not (block.isascii() and not decoder.getstate()[0]):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                bad = size + error.start
        size += len(block)
    if bad is None and decoder.getstate()[0]:
        bad = size - 1
    file.seek(0)
    return Scan(size, bad)


def detect(file: BinaryIO, seen: Scan) -> str:
    """The name of the codec to read the file with."""
    file.seek(0)
    head = file.read(4)
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    wide = _without_mark(file)
    if wide:
        return wide
    return "utf-8" if seen.not_utf8_at is None else _eight_bit(file, seen.not_utf8_at)


def check(name: str) -> str:
    """The codec a user named. Raises InvalidError for one that does not exist or is no text encoding."""
    try:
        found = codecs.lookup(name)
        b"a".decode(found.name, "replace")  # some codecs know no replacing, or nothing but failing
    except (LookupError, ValueError):
        found = None
    if found is None or not found._is_text_encoding:
        raise InvalidError.of("encoding", f"Unknown encoding {name[:40]!r}; try utf-8, utf-16 or cp1252.")
    return "utf-8-sig" if found.name == "utf-8" else found.name


def _without_mark(file: BinaryIO) -> str | None:
    """UTF-16 whose writer left out the mark: every other byte of Latin text is zero."""
    file.seek(0)
    sample = file.read(2048)
    pairs = len(sample) // 2
    if pairs < 4:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > pairs * 0.6 and even < pairs * 0.1:
        return "utf-16-le"
    if even > pairs * 0.6 and odd < pairs * 0.1:
        return "utf-16-be"
    return None


def _eight_bit(file: BinaryIO, at: int) -> str:
    """Judged from what surrounds the first byte that is no UTF-8."""
    file.seek(max(0, at - SAMPLE // 4))
    sample = file.read(SAMPLE)
    strange = sum(byte > 127 for byte in sample)
    western = _decodes(sample, "cp1252")
    if western and strange < FEW:
        return "cp1252"
    best = from_bytes(sample, cp_isolation=_CANDIDATES).best()
    if best is None or (western and best.encoding in _WESTERN and _ordinary(sample)):
        return "cp1252"
    return best.encoding


def _ordinary(sample: bytes) -> bool:
    """Whether most non-ASCII characters, read as Windows-1252, are letters."""
    strange = [c for c in sample.decode("cp1252", "replace") if c > "\x7f"]
    return sum(c.isalpha() for c in strange) * 2 > len(strange)


def _decodes(sample: bytes, name: str) -> bool:
    try:
        sample.decode(name)
    except UnicodeDecodeError:
        return False
    return True
