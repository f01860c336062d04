"""What the name of a dataset stands for: a file, a folder, a demo, an entry of a list.

- `demo/style`: a bundled dataset with held-out rows of its own; `demo/replay` and `demo/probe`
  have none
- `rows.jsonl`: a file
- `folder`: every data file in it, in the order of their names; folders within are left alone
- `dataset_info.json#name`: one dataset of a LLaMA-Factory list; without a name, all of them
- `dataset:house-style@3`: a version of a dataset of this home; without a number, the current one
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from easytune import demo, paths
from easytune.data import dataset_info
from easytune.data.files import READERS
from easytune.data.formats import Layout
from easytune.data.stored import Reference
from easytune.data.versions.library import Library
from easytune.data.versions.rows import Rows
from easytune.errors import DatasetEntryUnusable, FileEmpty, FileMissing

Notice = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Source:
    """One file to read, what to call it, and what is known about its layout.

    Of a `version`, `path` is the file that says what it is made of; its rows know their layouts.
    """

    name: str
    path: Path
    layout: Layout = field(default_factory=Layout)
    held_out: Path | None = None
    version: Rows | None = None

    @property
    def keeps_rows_back(self) -> bool:
        """Tell whether some rows are there to measure on, and not to learn from."""
        return bool(self.held_out or (self.version and self.version.facts.held_out))


def resolve(name: str, home: Path | None = None) -> tuple[list[Source], list[Notice]]:
    """Return the files behind the name of a dataset, and what the user should know about them.

    `home` is where versions are looked for, by default that of the user. Raises FileMissing,
    FileEmpty for a folder without data files, DatasetUnknown, VersionUnknown, VersionDamaged, and
    what `dataset_info` raises.
    """
    if name.startswith("demo/"):
        return [_demo(name)], []
    reference = Reference.parse(name)
    if reference:
        return [_stored(reference, home)], []
    path, chosen = _split_name(name)
    if path.name == dataset_info.FILE_NAME or chosen:
        return _listed(path, chosen)
    return _on_disk(path, name, Layout()), []


def files(name: str, home: Path | None = None) -> list[Path]:
    """Return every file that has a say in a dataset, so that a change in one can be noticed."""
    path, _ = _split_name(name)
    found, _ = resolve(name, home)
    own = [path] if path.is_file() else []
    return own + [file for each in found for file in (each.path, each.held_out) if file]


def _demo(name: str) -> Source:
    short = name.removeprefix("demo/")
    if short in demo.GENERAL:
        return Source(name, demo.GENERAL[short])
    known = demo.DATASETS.get(short)
    if known is None:
        raise FileMissing(path=name)
    return Source(name, known.train, held_out=known.held_out)


def _stored(reference: Reference, home: Path | None) -> Source:
    library = Library(home or paths.home())
    rows = library.open(reference.id, reference.number)
    return Source(str(rows.facts.reference), rows.path, version=rows)


def _split_name(name: str) -> tuple[Path, str]:
    path = Path(name).expanduser()
    if "#" not in name or path.exists():
        return path, ""
    listed, _, chosen = name.rpartition("#")
    return Path(listed).expanduser(), chosen


def _on_disk(path: Path, name: str, layout: Layout) -> list[Source]:
    if not path.is_dir():
        if not path.is_file():
            raise FileMissing(path=str(path))
        return [Source(name, path, layout)]
    inside = sorted(file for file in path.iterdir() if file.suffix.lower() in READERS)
    found = [file for file in inside if file.is_file() and file.name != dataset_info.FILE_NAME]
    if not found:
        raise FileEmpty(path=str(path))
    return [Source(f"{name.rstrip('/')}/{file.name}", file, layout) for file in found]


def _listed(path: Path, chosen: str) -> tuple[list[Source], list[Notice]]:
    found: list[Source] = []
    notices: list[Notice] = []
    for name in [chosen] if chosen else dataset_info.names(path):
        try:
            entry = dataset_info.entry(path, name)
            found += _on_disk(entry.path, str(entry.path), entry.layout)
        except (DatasetEntryUnusable, FileMissing) as problem:
            if chosen:
                raise
            reason = getattr(problem, "reason", "@data.entry.file_missing")
            notices.append(("data.entry_skipped", {"name": name, "reason": reason}))
        else:
            notices.append(_imported(entry))
    if not found:
        raise FileEmpty(path=str(path))
    return found, notices


def _imported(entry: dataset_info.Entry) -> Notice:
    mapped, unmapped = ", ".join(entry.mapped), ", ".join(entry.unmapped)
    code = "data.entry_partly_mapped" if unmapped else "data.entry_mapped"
    values = {"name": entry.name, "mapped": mapped}
    return code, values | ({"unmapped": unmapped} if unmapped else {})
