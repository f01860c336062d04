"""What the commands on datasets have in common: names of versions, words, JSON."""

import argparse
import json
import sys
from typing import Any

from rich.console import Console

from easytune.data.stored import PREFIX, Reference, StoredRow
from easytune.data.versions.manifest import VersionFacts
from easytune.dataset_errors import DatasetUnknown
from easytune.i18n import t
from easytune.services import account

WIDE = 160


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
    return account.user() if args.author is None else args.author


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
