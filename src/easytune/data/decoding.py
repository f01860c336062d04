"""From the bytes of a file to its text, whatever encoding it was saved in."""

import codecs

from charset_normalizer import from_bytes

from easytune.errors import FileEmpty, FileUnreadable

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
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
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1a\x1b")


def decode(raw: bytes, path: str) -> str:
    """Return the text of a file: by its byte order mark, as UTF-8, or by a guess.

    Single bytes that are no UTF-8 in a file that otherwise is come back as lone surrogates, so
    that only the rows they are in are lost.

    Raises FileEmpty, and FileUnreadable for what is not text.
    """
    if not raw.strip():
        raise FileEmpty(path=path)
    encoding = _marked(raw) or _strict_utf8(raw) or _wide(raw)
    if encoding is None:
        if _is_binary(raw):
            raise unreadable(path, "binary")
        if _is_damaged_utf8(raw):
            return raw.decode("utf-8", errors="surrogateescape")
        encoding = _guess(raw)
    try:
        text = raw.decode(encoding, errors="replace" if encoding == "utf-16" else "strict")
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        raise unreadable(path, "encoding", line) from problem
    if "\0" in text:
        raise unreadable(path, "binary")
    if not text.strip():
        raise FileEmpty(path=path)
    return text


def unreadable(path: str, code: str, line: int = 0) -> FileUnreadable:
    """Return the error for a file; `code` names a text under `data.unreadable`."""
    place = f" (@data.line {line})" if line else ""
    return FileUnreadable(path=path, line=line, reason=f"@data.unreadable.{code}{place}")


def _marked(raw: bytes) -> str | None:
    return next((name for mark, name in _BYTE_ORDER_MARKS if raw.startswith(mark)), None)


def _strict_utf8(raw: bytes) -> str | None:
    # A NUL is legal UTF-8, but no text file has one: that is UTF-16 without its mark, or binary.
    if b"\0" in raw[:_SAMPLE] or raw.startswith(_MAGIC):
        return None
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _wide(raw: bytes) -> str | None:
    """Tell UTF-16 without a mark by the line ends and spaces it is full of."""
    sample = raw[: _SAMPLE & ~1]
    if b"\0" not in sample or raw.startswith(_MAGIC) or len(raw) % 2:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if min(even, odd) * 10 > max(even, odd):
        return None
    name = "utf-16-le" if odd > even else "utf-16-be"
    try:
        text = raw.decode(name)
    except UnicodeDecodeError:
        return None
    return name if _reads_like_text(text) else None


def _reads_like_text(text: str) -> bool:
    sample = text[:_SAMPLE]
    odd = sum(not (c.isprintable() or c in "\t\n\r\ufeff") for c in sample)
    return odd * 50 <= len(sample)


def _is_binary(raw: bytes) -> bool:
    sample = raw[:_SAMPLE]
    if raw.startswith(_MAGIC) or b"\0" in sample:
        return True
    return sum(byte in _CONTROL for byte in sample) * 50 > len(sample)


def _is_damaged_utf8(raw: bytes) -> bool:
    """Tell UTF-8 with a few bad bytes, or cut within a letter, from another encoding."""
    text = raw.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    good = sum(character > "\x7f" for character in text[:_SAMPLE]) - text[:_SAMPLE].count("\ufffd")
    cut_within_a_letter = bad == 1 and text.rstrip().endswith("\ufffd") and len(text) > 3
    return good > 10 * bad or cut_within_a_letter


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
