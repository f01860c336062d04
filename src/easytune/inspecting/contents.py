"""What a file is by its bytes, whatever its name says. Nothing is unpacked."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

Content = Literal["pickle", "program", "archive", "mixed", "other"]
_HEAD, _TAIL = 1 << 12, 1 << 16
_PROGRAMS = (b"\x7fELF", b"MZ", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xcf\xfa\xed\xfe",
             b"\xca\xfe\xba\xbe", b"#!")  # fmt: skip
_ARCHIVES = (
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"\x28\xb5\x2f\xfd",
)
_NUMPY = b"\x93NUMPY"
_END_OF_ZIP = b"PK\x05\x06"
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# Words of the oldest pickles, which are plain text.
_TEXT_PICKLES = (b"cos\n", b"cposix\n", b"c__builtin__\n", b"cbuiltins\n", b"csubprocess\n",
                 b"cnt\n", b"csys\n", b"(lp0", b"(dp0", b"ccollections\n", b"ctorch")  # fmt: skip
_MOST_MEMBERS = 10_000


def kind_of(path: Path) -> Content:
    """Return what a regular file is; "mixed" is one that is also an archive at its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, size - _TAIL))
        tail = file.read(_TAIL)
    if _begins_as_pickle(head):
        return "pickle"
    if head.startswith(b"PK\x03\x04"):
        return _zip(path)
    if _END_OF_ZIP in tail and zipfile.is_zipfile(path):
        return "mixed"
    if head.startswith(_NUMPY):
        return "pickle" if b"'descr': '|O'" in head or b"'descr': \"|O" in head else "other"
    if head.startswith(_PROGRAMS):
        return "program"
    if head[257:262] == b"ustar" or _is_legacy_tar(head):
        return _tar(path)
    return "archive" if head.startswith(_ARCHIVES) else "other"


def _begins_as_pickle(head: bytes) -> bool:
    # Protocols 2 to 5 say their number first; before it there is nothing that safetensors, JSON
    # or text could begin with.
    is_binary = len(head) > 2 and head[0] == 0x80 and head[1] in range(1, 6)
    return is_binary or head.startswith((_LEGACY_TORCH, *_TEXT_PICKLES))


def _zip(path: Path) -> Content:
    """Return what a zip archive is: torch saves pickles in one, numpy arrays of objects."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()[:_MOST_MEMBERS]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "archive"
    names = [one.filename.lower() for one in members]
    is_pickle = any(name.endswith((".pkl", ".pickle", ".npy")) for name in names)
    return "pickle" if is_pickle else "archive"


def _is_legacy_tar(head: bytes) -> bool:
    return b"\x00" in head[:100] and head[100:108].strip(b" \x00").isdigit() and len(head) >= 512


def _tar(path: Path) -> Content:
    """Return what a tar archive is: the oldest format of torch keeps its pickles in one."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=io.BytesIO(file.read(1 << 22))) as tar:
            names = [member.name for _, member in zip(range(64), tar, strict=False)]
    except (tarfile.TarError, OSError, ValueError, EOFError):
        return "archive"
    return "pickle" if {"pickle", "storages", "tensors"} & set(names) else "archive"
