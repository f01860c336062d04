"""Datasets of a hub, as files to import."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easytune.data.progress import Progress
from easytune.dataset_errors import HubDatasetMissing, HubUnreachable

if TYPE_CHECKING:
    from datasets import Dataset

_ID = re.compile(
    r"(?P<id>[\w][\w.-]*/[\w][\w.-]*)(?::(?P<config>[^/\s]+))?(?:/(?P<split>[\w.-]+))?"
)
_ROWS = 10_000


def fetch(name: str, folder: Path, progress: Progress) -> list[Path]:
    """Download `owner/name[:config][/split]` and return Parquet files of it in `folder`.

    Without a split, that is `train` where there is one, else all. Progress: phases `fetch` and
    `write`. Raises HubUnreachable (offline and not in the local cache), HubDatasetMissing, and what
    `progress` raises.
    """
    found = _ID.fullmatch(name.strip())
    if found is None:
        raise HubDatasetMissing(name, "@data.hub.wrong_id")
    progress("fetch", 0, None, "files")
    splits = _download(name, found["id"], found["config"], found["split"])
    if not found["split"] and "train" in splits:
        splits = {"train": splits["train"]}
    folder.mkdir(parents=True, exist_ok=True)
    total, done = sum(len(split) for split in splits.values()), 0
    files = []
    for split, rows in splits.items():
        files.append(folder / f"{found['id'].partition('/')[2]}.{split}.parquet")
        _write(rows, files[-1], done, total, progress)
        done += len(rows)
    return files


def _download(
    name: str, dataset: str, config: str | None, split: str | None
) -> "dict[str, Dataset]":
    """Return the splits of a dataset, from the hub or its local cache."""
    # Takes seconds to import, and only who asks a hub needs it.
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        loaded = datasets.load_dataset(dataset, config, split=split)
    except ConnectionError as problem:
        raise HubUnreachable(name) from problem
    except (DatasetsError, FileNotFoundError, ValueError, RuntimeError) as no:
        # RuntimeError is the library's word for datasets that would run code of theirs.
        raise HubDatasetMissing(name, _first_line(no)) from no
    if isinstance(loaded, datasets.Dataset):
        return {split or "train": loaded}
    assert isinstance(loaded, datasets.DatasetDict)
    return {str(part): rows for part, rows in loaded.items()}


def _first_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]


def _write(rows: "Dataset", path: Path, done: int, total: int, progress: Progress) -> None:
    from pyarrow import parquet

    tables: Any = rows.with_format("arrow")
    writer = None
    try:
        for table in tables.iter(batch_size=_ROWS):
            writer = writer or parquet.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            done += table.num_rows
            progress("write", done, total, "rows")
    finally:
        if writer:
            writer.close()
