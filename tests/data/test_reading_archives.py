"""Archives that mean harm, and packed files that are broken: refused before anything is kept."""

import gzip
import struct
import zipfile
from pathlib import Path

import pyarrow
import pytest

from easytune.data import reading
from easytune.data.progress import silent
from easytune.dataset_errors import ArchiveUnsafe
from easytune.errors import FileUnreadable
from easytune.i18n import languages, t

ROW = b'{"prompt": "Q", "response": "A"}\n'


def archive(path: Path, *members: tuple[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            made.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


def encrypted(path: Path) -> Path:
    """Set the mark of encryption on the only member, in both of its headers."""
    raw = bytearray(archive(path, ("rows.jsonl", ROW)).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1
    path.write_bytes(raw)
    return path


def understated(path: Path) -> Path:
    """Make an archive declare that its bomb unpacks to ten bytes."""
    raw = bytearray(archive(path, ("rows.jsonl", b"x" * 10_000_000)).read_bytes())
    place = raw.index(b"PK\x01\x02")
    struct.pack_into("<I", raw, place + 24, 10)
    path.write_bytes(raw)
    return path


def read_all(path: Path) -> None:
    for planned in reading.plan([path]):
        list(reading.batches(planned, silent))


@pytest.mark.parametrize(
    "name",
    ["../rows.jsonl", "a/../../rows.jsonl", "/etc/rows.jsonl", "C:/rows.jsonl", "..\\rows.jsonl"],
)
def test_a_member_that_would_lie_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "a.zip", ("good.jsonl", ROW), (name, ROW))
    for look in (reading.probe, reading.plan):
        with pytest.raises(ArchiveUnsafe) as caught:
            look([path])
        assert caught.value.reason == "@data.archive.path"
    for lang in languages():
        assert "@" not in t("error.archive_unsafe", lang, **caught.value.values)


def test_links_nested_archives_encryption_and_crowds_are_refused(tmp_path: Path) -> None:
    crowd = [(f"{n}.jsonl", b"") for n in range(20_001)]
    made = {
        "link": archive(tmp_path / "link.zip", ("rows.jsonl", b"/etc/passwd"), mode=0o120777),
        "nested": archive(tmp_path / "nested.zip", ("inner.zip", b"PK"), ("rows.jsonl", ROW)),
        "encrypted": encrypted(tmp_path / "encrypted.zip"),
        "too_many": archive(tmp_path / "many.zip", *crowd),
    }
    for reason, path in made.items():
        with pytest.raises(ArchiveUnsafe) as caught:
            reading.plan([path])
        assert caught.value.reason == f"@data.archive.{reason}"


def test_bombs_are_refused_by_what_they_declare_and_by_what_they_become(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A bomb is one from 200 MB on; fewer are enough to see it refused.
    monkeypatch.setattr("easytune.data.reading.archives.HARMLESS_BYTES", 12 << 20)
    declared = archive(tmp_path / "bomb.zip", ("rows.jsonl", b" " * (20 << 20)))
    with pytest.raises(ArchiveUnsafe):
        reading.plan([declared])
    packed = tmp_path / "bomb.txt.gz"
    with gzip.open(packed, "wb") as file:
        file.write(b"Once upon a time.\n\n")
        for _ in range(20):
            file.write(b"more and more " * 75_000)
    [planned] = reading.plan([packed])
    with pytest.raises(ArchiveUnsafe):
        list(reading.batches(planned, silent))
    with pytest.raises(FileUnreadable):
        reading.plan([understated(tmp_path / "liar.zip")])


def test_what_is_broken_says_so(tmp_path: Path) -> None:
    rows = ROW * 20_000
    made = {
        "cut.jsonl.gz": (gzip.compress(rows)[:-400], "packed"),
        "cut.jsonl.zst": (pyarrow.compress(rows, codec="zstd", asbytes=True)[:-100], "packed"),
        "no.jsonl.gz": (ROW, "packed"),
        "no.zip": (ROW, "archive"),
    }
    for name, (content, reason) in made.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(FileUnreadable) as caught:
            read_all(path)
        assert caught.value.reason == f"@data.unreadable.{reason}", name
    whole = archive(tmp_path / "changed.zip", ("rows.jsonl", rows)).read_bytes()
    (tmp_path / "changed.zip").write_bytes(whole[:500] + b"\0" * 20 + whole[520:])
    with pytest.raises(FileUnreadable):
        read_all(tmp_path / "changed.zip")


def test_chinese_names_of_old_archives_are_shown_as_they_were_meant(tmp_path: Path) -> None:
    # Windows wrote names as bytes of its own code page, without the mark of UTF-8.
    raw = bytearray(archive(tmp_path / "old.zip", ("ABCD.jsonl", ROW * 2)).read_bytes())
    path = tmp_path / "old.zip"
    path.write_bytes(raw.replace(b"ABCD", "数据".encode("gb18030")))
    [planned] = reading.plan([path])
    assert planned.sources[0].name == "old.zip/数据.jsonl"
    assert [len(batch) for batch in reading.batches(planned, silent)] == [2]
