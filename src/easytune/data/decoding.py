"""From the bytes of a file to its text, whatever encoding it was saved in."""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

from charset_normalizer import from_bytes

from easytune.errors import FileEmpty, FileUnreadable

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (
    b"PK\x03\x04", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh",
    b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x7fELF", b"SQLite format 3", b"\x80\x04\x95",
    b"\xd0\xcf\x11\xe0", b"ARROW1", b"PAR1",
)  # fmt: skip
_SAMPLE = 64 * 1024
_ASCII = bytes(range(128))
# In a text that else is English, these are no letters of any other encoding either.
_NO_LETTERS = b"\xfe\xff"
_FEW = 4
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1a\x1b")


def decode(raw: bytes, path: str) -> str:
    """Return the text of a small file. See `Transcoder` for what becomes of damaged bytes.

    Raises FileEmpty, and FileUnreadable for what is not text.
    """
    content = b"".join(Transcoder(path).utf8([raw]))
    return content.decode("utf-8", errors="surrogateescape")


class Transcoder:
    """Turns the bytes of a file into UTF-8 as they come, whatever encoding it was saved in.

    `encoding` is what was found: by the byte order mark, as UTF-8, or by a guess.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.encoding = "utf-8"

    def utf8(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the file as UTF-8 without its byte order mark.

        Bytes that are wrong in an encoding stay as they are, so that only the rows they are in
        are lost: decode with `surrogateescape` and they come back as lone surrogates.

        Raises FileEmpty, and FileUnreadable for what is not text.
        """
        source = iter(blocks)
        head, whole = _head(source)
        if whole and not head.strip():
            raise FileEmpty(path=self.path)
        if head.startswith(codecs.BOM_UTF8):
            yield head.removeprefix(codecs.BOM_UTF8)
            yield from source
            return
        # A file may be in English for a megabyte before its first Chinese letter.
        while not whole and head.isascii() and _may_be_text(head):
            yield head
            head, whole = _head(source)
        self.encoding = self._tell(head, whole)
        yield from self._decoded(chain([head], source))

    def _tell(self, head: bytes, whole: bool) -> str:
        encoding = _marked(head) or _strict_utf8(head, whole) or _wide(head, whole)
        if encoding:
            return encoding
        if _is_binary(head):
            raise unreadable(self.path, "binary")
        return "utf-8" if _is_damaged_utf8(head) else _guess(head)

    def _decoded(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        if self.encoding == "utf-8":
            yield from blocks
            return
        wide = self.encoding.startswith(("utf-16", "utf-32"))
        errors = "replace" if wide else "surrogateescape"
        decoder = codecs.getincrementaldecoder(self.encoding)(errors)
        for block in chain(blocks, [None]):
            text = decoder.decode(block or b"", final=block is None)
            if wide and "\0" in text:
                raise unreadable(self.path, "binary")
            if text:
                yield text.encode("utf-8", "surrogateescape")


def _head(source: Iterator[bytes]) -> tuple[bytes, bool]:
    """Return enough bytes to tell an encoding by, and whether that is all there is left."""
    head = b""
    for block in source:
        head += block
        if len(head) >= _SAMPLE:
            return head, False
    return head, True


def unreadable(path: str, code: str, line: int = 0) -> FileUnreadable:
    """Return the error for a file; `code` names a text under `data.unreadable`."""
    place = f" (@data.line {line})" if line else ""
    return FileUnreadable(path=path, line=line, reason=f"@data.unreadable.{code}{place}")


def _marked(raw: bytes) -> str | None:
    return next((name for mark, name in _BYTE_ORDER_MARKS if raw.startswith(mark)), None)


def _strict_utf8(raw: bytes, whole: bool) -> str | None:
    # A NUL is legal UTF-8, but no text file has one: that is UTF-16 without its mark, or binary.
    if not _may_be_text(raw):
        return None
    return "utf-8" if _strict(raw, "utf-8", whole) is not None else None


def _may_be_text(raw: bytes) -> bool:
    return b"\0" not in raw[:_SAMPLE] and not raw.startswith(_MAGIC)


def _strict(raw: bytes, encoding: str, whole: bool) -> str | None:
    """Return the text, None when it is not in that encoding; the last letter may be incomplete."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(raw, final=whole)
    except UnicodeDecodeError:
        return None


def _wide(raw: bytes, whole: bool) -> str | None:
    """Tell UTF-16 without a mark by the line ends and spaces it is full of."""
    sample = raw[: _SAMPLE & ~1]
    if b"\0" not in sample or raw.startswith(_MAGIC) or (whole and len(raw) % 2):
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if min(even, odd) * 10 > max(even, odd):
        return None
    name = "utf-16-le" if odd > even else "utf-16-be"
    text = _strict(raw, name, whole)
    return name if text is not None and _reads_like_text(text) else None


def _reads_like_text(text: str) -> bool:
    sample = text[:_SAMPLE]
    odd = sum(not (c.isprintable() or c in "\t\n\r\ufeff") for c in sample)
    return odd * 50 <= len(sample)


def _is_binary(raw: bytes) -> bool:
    sample = raw[:_SAMPLE]
    if not _may_be_text(raw):
        return True
    return sum(byte in _CONTROL for byte in sample) * 50 > len(sample)


def _is_damaged_utf8(raw: bytes) -> bool:
    """Tell UTF-8 with a few bad bytes, or cut within a letter, from another encoding."""
    high = raw.translate(None, _ASCII)
    if len(high) <= _FEW and any(byte in _NO_LETTERS for byte in high):
        return True
    text = raw.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    good = sum(character > "\x7f" for character in text[:_SAMPLE]) - text[:_SAMPLE].count("\ufffd")
    cut_within_a_letter = bad == 1 and text.rstrip().endswith("\ufffd") and len(text) > 3
    return good > 3 * bad or cut_within_a_letter


def _guess(raw: bytes) -> str:
    """Return the most likely encoding of text that is not UTF-8.

    Where several fit equally well, Chinese and Western European are the likeliest.
    """
    sample = raw if len(raw) <= _SAMPLE else raw[: raw.rfind(b"\n", 0, _SAMPLE) + 1] or raw
    found = list(from_bytes(sample, cp_exclusion=["utf_7", "utf_16", "utf_32"]))
    if not found:
        return "gb18030"
    best = min(match.chaos for match in found)
    fitting = {name for m in found if m.chaos <= best for name in m.could_be_from_charset}
    return next((name for name in ("gb18030", "cp1252") if name in fitting), found[0].encoding)
