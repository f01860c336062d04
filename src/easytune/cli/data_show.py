"""`easytune data list` and `show`: what datasets there are, and what a version is."""

import argparse

from rich.table import Table

from easytune import quantities
from easytune.cli.data_words import (
    facts,
    named,
    print_json,
    problem,
    reference,
    screen,
    shortened,
)
from easytune.data.stored import StoredRow
from easytune.data.versions.manifest import VersionFacts
from easytune.i18n import t
from easytune.services.datasets import Datasets
from easytune.services.version_origin import origin


def list_all(args: argparse.Namespace, datasets: Datasets, lang: str) -> int:
    """Print every dataset, the one changed last first."""
    found = datasets.library.list()
    if args.json:
        print_json([one.model_dump(mode="json", exclude={"current"})
                    | {"current": facts(one.current)} for one in found])  # fmt: skip
        return 0
    if not found:
        print(t("cli.data.none", lang))
        return 0
    names = ("dataset", "title", "rows", "problems", "versions", "size", "changed")
    table = _table(names, lang)
    for one in found:
        current = one.current
        problems = f"{current.problems:,}" if current.problems else ""
        table.add_row(
            one.id, one.title, f"{current.rows:,}", problems, str(one.versions),
            quantities.size(one.size_bytes), quantities.minute(current.created),
        )  # fmt: skip
    screen().print(table)
    return 0


def show(args: argparse.Namespace, datasets: Datasets, lang: str) -> int:
    """Print what is known of a version, all versions of its dataset, and its first rows."""
    wanted = reference(args.dataset)
    rows = datasets.library.open(wanted.id, wanted.number)
    version, versions = rows.facts, datasets.library.versions(wanted.id)
    beginning = rows.page(0, args.rows)
    runs = datasets.used_by(version.dataset, version.number)
    if args.json:
        content = facts(version) | {
            "runs": [run.id for run in runs],
            "versions": [facts(one) for one in versions],
            "first_rows": [_row(row) for row in beginning],
        }
        print_json(content)
        return 0
    _print_version(version, lang)
    if runs:
        print(t("cli.data.used_by", lang, runs=", ".join(run.id for run in runs)))
    print()
    screen().print(_versions(versions, lang))
    for row in beginning:
        mark = f"  ← {problem(row, lang)}" if row.problem else ""
        print(f"{row.position + 1}: {shortened(row.text)}{mark}")
    return 0


def _print_version(version: VersionFacts, lang: str) -> None:
    title = t("cli.data.version", lang, title=version.title, name=named(version))
    print(title)
    counts = {"rows": version.rows, "problems": version.problems, "held_out": version.held_out}
    said = {name: f"{count:,}" for name, count in counts.items()}
    print(t("cli.data.counts", lang, **said, size=quantities.size(version.size_bytes)))
    by = f", {version.author}" if version.author else ""
    print(f"{origin(version, lang)} ({quantities.minute(version.created)}{by})")
    if version.note:
        print(version.note)
    print(t("cli.data.fingerprint", lang, fingerprint=version.fingerprint))


def _versions(versions: list[VersionFacts], lang: str) -> Table:
    table = _table(("version", "made", "rows", "changed", "author", "note"), lang)
    for one in versions:
        mark = " *" if one.current else ""
        tags = "".join(f"[{tag}] " for tag in one.tags)
        table.add_row(
            f"{one.number}{mark}", origin(one, lang), f"{one.rows:,}",
            quantities.minute(one.created), one.author, f"{tags}{one.note}",
        )  # fmt: skip
    return table


def _table(columns: tuple[str, ...], lang: str) -> Table:
    table = Table(box=None, header_style="bold")
    for name in columns:
        numbers = name in ("rows", "problems", "versions", "size")
        table.add_column(
            t(f"cli.data.column.{name}", lang), justify="right" if numbers else "left",
            overflow="fold", no_wrap=numbers or name == "changed",
        )  # fmt: skip
    return table


def _row(row: StoredRow) -> dict[str, object]:
    return {
        "position": row.position, "row": row.value, "held_out": row.held_out,
        "problem": row.problem or None,
    }  # fmt: skip
