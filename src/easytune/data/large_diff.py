"""Differences of large versions, found in a process of their own.

Comparing two versions of a million rows takes hundreds of megabytes for some seconds; what comes of
it is small. The web process must not grow by that.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from easytune.data.versions.diff import Diff
from easytune.data.versions.library import Library
from easytune.dataset_errors import TaskLost

if TYPE_CHECKING:
    from easytune.data.versions.diff import Places

LARGE = 100_000
"""Rows of both versions together from which a process of its own is worth its start."""
Version = tuple[str, int]


def differences(home: Path, a: Version, b: Version) -> Diff:
    """Return what differs between two versions (id and number) of a home.

    Raises what `Library.diff` raises, and TaskLost when the process was killed.
    """
    library = Library(home)
    first, second = library.open(*a), library.open(*b)
    if len(first) + len(second) < LARGE:
        return library.diff(a, b)
    with tempfile.TemporaryDirectory(prefix="easytune-diff-") as folder:
        target = Path(folder) / "places.npz"
        names = [f"{name}@{number}" for name, number in (a, b)]
        command = [sys.executable, "-m", __name__, str(home), *names, str(target)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode < 0:
            raise TaskLost(f"{names[0]} {names[1]}")
        if done.returncode or not target.is_file():
            # What is wrong is told by doing it here.
            return library.diff(a, b)
        return Diff(first, second, _read(target))


def main(home: str, a: str, b: str, target: str) -> None:
    """Compare two versions ("name@3") and write the places of their differences to a file."""
    import numpy as np

    diff = Library(Path(home)).diff(_version(a), _version(b))
    kinds, olds, news = diff.places
    np.savez(
        target, kinds=kinds.astype(np.int8), olds=olds.astype(np.int32), news=news.astype(np.int32)
    )


def _read(file: Path) -> "Places":
    import numpy as np

    with np.load(file) as found:
        return found["kinds"], found["olds"], found["news"]


def _version(name: str) -> Version:
    dataset, _, number = name.rpartition("@")
    return dataset, int(number)


if __name__ == "__main__":
    main(*sys.argv[1:])
