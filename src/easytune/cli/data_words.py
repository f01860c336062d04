"""What the commands on datasets have in common: names of versions, words, JSON."""

import argparse
import getpass
import json
import sys
from typing import Any

from rich.console import Console

from easytune.data.stored import PREFIX, Reference, StoredRow
from easytune.data.versions.manifest import VersionFacts
from easytune.dataset_errors import DatasetUnknown
from easytune.i18n import t

WIDE = 160
_ORIGIN = "dataset_work.versions.origin"


def reference(name: str) -> Reference:
    """Return the version behind `house-style@3`, `house-style` or `dataset:house-style`.

    Raises DatasetUnknown.
    """
    found = Reference.parse(f"{PREFIX}{name.removeprefix(PREFIX)}")
    if found is None:
        raise DatasetUnknown(name)
    return found


def named(version: VersionFacts) -> str:
    """Return what a version is called on the command line: `house-style@3`."""
    return f"{version.dataset}@{version.number}"


def author(args: argparse.Namespace) -> str:
    """Return who makes a version: `--author`, else the name that this user has on the machine."""
    if args.author is not None:
        return args.author
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # A container may give the user no name.
        return ""


def screen() -> Console:
    """Return the output for tables, which a pipe takes wider than a terminal."""
    width = None if sys.stdout.isatty() else WIDE
    return Console(width=width, highlight=False, markup=False)


def print_json(content: Any) -> None:
    """Print a content for programs."""
    print(json.dumps(content, ensure_ascii=False, indent=2))


def facts(version: VersionFacts) -> dict[str, Any]:
    """Return a version for programs."""
    kept = (
        "dataset", "title", "number", "current", "created", "author", "note", "tags", "parent",
        "origin", "rows", "problems", "held_out", "fingerprint", "size_bytes",
    )  # fmt: skip
    return version.model_dump(mode="json", by_alias=True, include=set(kept))


def problem(row: StoredRow, lang: str) -> str:
    """Return why a row cannot be used."""
    return t(
        f"data.problem.{row.problem}", lang, number=row.number, source=row.source,
        **row.values,
    )  # fmt: skip


def shortened(text: str, length: int = 300) -> str:
    """Return a text on one line, cut where it is long."""
    line = text.replace("\n", "⏎ ")
    return line if len(line) <= length else line[:length] + " …"


def origin(version: VersionFacts, lang: str) -> str:
    """Return in one sentence how a version came to be."""
    made = version.origin
    match made.kind:
        case "imported":
            files = ", ".join(file.name for file in made.files[:3])
            more = f" +{len(made.files) - 3}" if len(made.files) > 3 else ""
            return t(f"{_ORIGIN}.{made.mode}", lang, files=f"{files}{more}")
        case "edited":
            counts = {"replaced": made.replaced, "dropped": made.dropped, "added": made.added}
            said = [t(f"{_ORIGIN}.{name}", lang, rows=n) for name, n in counts.items() if n]
            return t(f"{_ORIGIN}.edited", lang, changes=", ".join(said))
        case "pipeline":
            names = (t(f"steps.name.{name}", lang) for step in made.steps for name in step)
            return t(f"{_ORIGIN}.pipeline", lang, steps=" → ".join(names), of=made.of)
        case "rollback":
            return t(f"{_ORIGIN}.rollback", lang, number=made.to)
        case "collected":
            return t(f"{_ORIGIN}.from_{made.source}", lang, rows=made.count)
        case "mixed":
            return t(f"{_ORIGIN}.mixed", lang, of=", ".join(made.of))
