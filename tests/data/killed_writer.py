"""Does one thing to a dataset again and again, killed with SIGKILL at ever later points of it.

    python -m tests.data.killed_writer <operation> <home> <folder>

For n = 1, 2, 3, … a copy of `home` is made at `folder/<n>`, and a child works on it that is killed
right before its n-th change of a file or folder there. Ends with the first child that gets through.
"""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported
from tests.data.stored_rows import batch, make, value

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")


def append(library: Library) -> None:
    """Import more rows into the dataset."""
    with library.draft(dataset="house-style", origin=Imported(mode="append")) as draft:
        draft.keep_current()
        draft.add(batch([value(f"more {number}") for number in range(50)]))
        draft.commit()


def create(library: Library) -> None:
    """Import a dataset of its own."""
    make(library, [value(f"other {number}") for number in range(50)], title="Other")


def rollback(library: Library) -> None:
    """Go back to the first version."""
    library.rollback("house-style", 1)


def delete(library: Library) -> None:
    """Delete the current version."""
    library.delete_version("house-style", 2)


OPERATIONS = {each.__name__: each for each in (append, create, rollback, delete)}


def main(operation: str, home: Path, folder: Path) -> None:
    """See the top of this file."""
    for count in itertools.count(1):
        copy = folder / f"{count:03}"
        shutil.copytree(home, copy)
        child = os.fork()
        if not child:
            _kill_at(count, copy)
            OPERATIONS[operation](Library(copy))
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return


def _kill_at(count: int, home: Path) -> None:
    left = count

    def look(event: str, facts: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(facts[1], str) and set(facts[1]) & set("wax+")
        if (event in _CHANGES or writes) and str(facts[0]).startswith(str(home)):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
