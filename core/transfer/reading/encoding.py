"""Which encoding a text file is in: UTF-8 is proven over the whole file, others are judged from samples.

Decoding as ISO-8859-1 always "succeeds", so an 8-bit encoding is only chosen after UTF-8 has failed.
"""

import codecs
import re
from dataclasses import dataclass
from typing import BinaryIO

from charset_normalizer import from_bytes
from django.utils.translation import gettext as _

from core.errors import InvalidError
from core.transfer.reading.alphabets import plausibility

BLOCK = 1 << 18  # of the size of a processor's own cache
SAMPLE = 64 << 10
_BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
# What spreadsheets and CRMs write where it is not UTF-8, the likeliest first.
_SINGLE_BYTE = [
    "cp1252", "cp1250", "iso8859-2", "cp1251", "cp1253", "iso8859-7", "cp1254", "cp1255", "cp1256", "cp1257",
    "koi8-r", "mac-roman", "cp850", "cp437", "cp852", "cp866",
]  # fmt: skip
_HOLED = frozenset(codecs.lookup(name).name for name in _SINGLE_BYTE)
_MULTI_BYTE = ["cp932", "gb18030", "big5", "cp949"]
# So much more plausible than what is likelier before it an encoding must be.
MARGIN = 0.05
SURE = 0.7
# Strays for each character of UTF-8 in a Western text.
FEW_STRAYS = 10
_SEQUENCE = re.compile(b"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = bytes(range(128))
# A byte that is none of the encoding stands in the text as a character of this private area until its row is
# read; what it most probably is, is Windows-1252.
STRAY = "stray_bytes"
_AREA = 0xF700
STRAYS = re.compile("[\uf780-\uf7ff]")


def _mark_strays(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(_AREA + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(STRAY, _mark_strays)


def without_strays(text: str) -> str:
    """The text with its stray bytes as what they most probably are."""
    return STRAYS.sub(lambda found: bytes([ord(found.group()) - _AREA]).decode("cp1252", "replace"), text)


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


def errors_of(codec: str, file: BinaryIO, seen: Scan) -> str:
    """What is done about bytes that the codec does not know: a few are doubted, in any other number they mean
    that it is another encoding."""
    if codec in ("utf-8", "utf-8-sig"):
        if seen.not_utf8_at is None:
            return "strict"
        return STRAY if _is_utf8_but_for_strays(_around(file, seen.not_utf8_at)) else "strict"
    return STRAY if codecs.lookup(codec).name in _HOLED else "strict"


def check(name: str) -> str:
    """The codec a user named. Raises InvalidError for one that does not exist or is no text encoding."""
    try:
        found = codecs.lookup(name)
        b"a".decode(found.name, "replace")  # some codecs know no replacing, or nothing but failing
    except (LookupError, ValueError):
        found = None
    if found is None or not found._is_text_encoding:
        raise InvalidError.of(
            "encoding",
            _("Unknown encoding %(name)s; try utf-8, utf-16 or cp1252.") % {"name": repr(name[:40])},
        )
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
    """Judged from what surrounds the first byte that is no UTF-8: UTF-8 all the same where most of it is."""
    sample = _around(file, at)
    if _is_utf8_but_for_strays(sample):
        return "utf-8"
    scores = {
        name: plausibility(text.replace("\ufffd", ""))
        for name in _SINGLE_BYTE
        if (text := _decoded(sample, name))
    }
    best = max(scores, key=lambda name: scores[name] + (MARGIN if name == "cp1252" else 0), default="cp1252")
    if scores.get(best, 0) >= SURE:
        return best
    found = from_bytes(sample, cp_isolation=_MULTI_BYTE).best()
    return found.encoding if found is not None and _sounds(sample, found.encoding) else best


def _around(file: BinaryIO, at: int) -> bytes:
    file.seek(max(0, at - SAMPLE // 4))
    return file.read(SAMPLE)


def _is_utf8_but_for_strays(sample: bytes) -> bool:
    """Whether a text is UTF-8 but for stray bytes: by chance hardly two bytes of an 8-bit text look like a
    character of it, and in a Western one the pairs that do are hardly ever written (Ã«). So there a few
    characters of UTF-8 among many strays are enough: two files were put together."""
    valid = _SEQUENCE.findall(sample)
    strays = len(sample.translate(None, _HIGH)) - sum(map(len, valid))
    if len(valid) > strays:
        return True
    is_western = all(len(found) == 2 and found[:1] in b"\xc2\xc3" for found in valid)
    return len(valid) > 1 and is_western and len(valid) * FEW_STRAYS >= strays and _is_western(sample)


def _is_western(sample: bytes) -> bool:
    """Whether what is no UTF-8 in a sample reads as Western European text."""
    rest = _SEQUENCE.sub(b"", sample)
    scores = {name: plausibility(_decoded(rest, name).replace("\ufffd", "")) for name in _SINGLE_BYTE}
    return scores["cp1252"] + MARGIN >= max(scores.values())


def _decoded(sample: bytes, name: str) -> str:
    """The sample in an encoding; "" where it is none."""
    text = sample.decode(name, "replace")
    # The sample may begin and end anywhere; a codec of one byte has holes.
    return "" if text.count("\ufffd") * 4 > len(sample.translate(None, _HIGH)) else text


def _sounds(sample: bytes, name: str) -> bool:
    """Whether hardly anything of the sample is lost in a multi-byte encoding."""
    return sample.decode(name, "replace").count("\ufffd") <= 2
