"""`easytune data preprocess`, `diff` and `rollback`: new versions, and what differs in them."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from easytune.cli import data_follow
from easytune.cli.data_words import author, named, print_json, reference, screen, shortened
from easytune.data.steps import pipeline as pipelines
from easytune.data.steps.pipeline import Pipeline
from easytune.data.stored import Reference, StoredRow, row_text
from easytune.data.versions.diff import Change
from easytune.data.versions.words import words
from easytune.i18n import t
from easytune.services.datasets import Datasets

# Marking words of longer rows would take seconds, and nobody reads them in a terminal.
_MARKED_CHARACTERS = 20_000
_AROUND = 60
_MARKS = {"same": ("", ""), "added": ("{+", "+}"), "removed": ("[-", "-]")}
_STYLES = {"same": "", "added": "green", "removed": "red strike"}


def preprocess(args: argparse.Namespace, datasets: Datasets, lang: str) -> int:
    """Take the steps of a file over a version, or show what they would do."""
    wanted, chosen = reference(args.dataset), _pipeline(args.pipeline)
    if args.dry_run:
        return _show_preview(args, wanted, chosen, datasets, lang)
    task = datasets.preprocess(wanted, chosen, args.into, author(args), args.note)
    made = data_follow.result(datasets.tasks, task, lang)
    if args.json:
        print_json(made)
        return 0
    _print_counts(made["counts"], lang)
    name = f"{made['dataset']}@{made['number']}"
    print(t("cli.data.made", lang, name=name, rows=f"{made['rows']:,}"))
    return 0


def diff(args: argparse.Namespace, datasets: Datasets, lang: str) -> int:
    """Print how many rows differ between two versions, and the first of them."""
    library, before = datasets.library, reference(args.before)
    after = reference(args.after) if args.after else Reference(before.id)
    a, b = (library.version(each.id, each.number) for each in (before, after))
    found = library.diff((a.dataset, a.number), (b.dataset, b.number))
    names = ("added", "removed", "changed", "moved", "same")
    counts = {name: int(getattr(found, name)) for name in names}
    changes = found.page(None, 0, args.rows)
    if args.json:
        shown = [_change(change) for change in changes]
        print_json({"before": named(a), "after": named(b), **counts, "changes": shown})
        return 0
    print(f"{named(a)} → {named(b)}")
    print(t("cli.data.differ", lang, **{name: f"{count:,}" for name, count in counts.items()}))
    console = screen()
    for change in changes:
        console.print(_line(change, console, lang), soft_wrap=True)
    total = sum(counts.values()) - counts["same"]
    if total > len(changes) > 0:
        print(t("cli.data.more_changes", lang, count=f"{total - len(changes):,}"))
    return 0


def roll_back(args: argparse.Namespace, datasets: Datasets, lang: str) -> int:
    """Make a new version with the rows of an earlier one."""
    wanted = reference(args.dataset)
    number = args.number or wanted.number
    if number is None:
        versions = datasets.library.versions(wanted.id)
        known = ", ".join(str(one.number) for one in versions)
        print(t("cli.data.which_number", lang, name=wanted.id, numbers=known))
        return 2
    made = datasets.library.rollback(wanted.id, number, author(args), args.note)
    print(t("cli.data.rolled_back", lang, name=named(made), number=number, rows=f"{made.rows:,}"))
    return 0


def _pipeline(name: str) -> Pipeline:
    """Return the steps of a file, or of a bundled pipeline. Raises what `pipelines.load` raises."""
    path, bundled = Path(name), pipelines.bundled()
    return pipelines.load(bundled[name] if name in bundled and not path.exists() else path)


def _show_preview(
    args: argparse.Namespace, wanted: Reference, chosen: Pipeline, datasets: Datasets, lang: str
) -> int:
    found = datasets.preview(wanted, chosen, max(args.rows, 1))
    counts, pairs = [asdict(count) for count in found.counts], found.pairs[: args.rows]
    if args.json:
        shown = [{"position": before.position, "before": before.value, "after": after,
                  "dropped_by": step or None} for before, after, step in pairs]  # fmt: skip
        print_json({"looked_at": found.looked_at, "rows": found.rows, "counts": counts,
                    "changes": shown})  # fmt: skip
        return 0
    places = {"looked_at": f"{found.looked_at:,}", "rows": f"{found.rows:,}"}
    print(t("cli.data.looked_at", lang, **places))
    _print_counts(counts, lang)
    console = screen()
    for before, after, step in pairs:
        if after is None:
            said = t("cli.data.dropped_by", lang, step=t(f"steps.name.{step}", lang))
            line = Text(f"{before.position + 1}: {said}\n  {shortened(before.text)}")
        else:
            line = Text(f"{before.position + 1}:\n  ")
            line.append_text(_woven(before.text, row_text(after), console))
        console.print(line, soft_wrap=True)
    print(t("cli.data.nothing_kept", lang))
    return 0


def _print_counts(counts: list[dict[str, Any]], lang: str) -> None:
    table = Table(box=None, header_style="bold")
    for name in ("step", "rows_in", "rows_out", "changed_rows", "dropped", "details"):
        justify = "left" if name in ("step", "details") else "right"
        table.add_column(t(f"cli.data.column.{name}", lang), justify=justify)
    for count in counts:
        kinds = count["details"].items()
        details = ", ".join(f"{t(f'steps.kind.{kind}', lang)} {n:,}" for kind, n in kinds)
        numbers = (f"{count[name]:,}" for name in ("rows_in", "rows_out", "changed", "dropped"))
        table.add_row(t(f"steps.name.{count['step']}", lang), *numbers, details)
    screen().print(table)


def _change(change: Change) -> dict[str, Any]:
    sides = {"before": change.before, "after": change.after}
    return {"kind": change.kind} | {name: row and _side(row) for name, row in sides.items()}


def _side(row: StoredRow) -> dict[str, Any]:
    return {"position": row.position, "row": row.value, "held_out": row.held_out}


def _line(change: Change, console: Console, lang: str) -> Text:
    places = " → ".join(str(row.position + 1) for row in (change.before, change.after) if row)
    line = Text(f"{t(f'cli.data.kind.{change.kind}', lang)} {places}\n  ", style="")
    match change.before, change.after:
        case StoredRow() as before, StoredRow() as after if change.kind == "changed":
            return line.append_text(_woven(before.text, after.text, console))
        case _, StoredRow() as row:
            kind = "added" if change.kind == "added" else "same"
            return line.append_text(_marked(kind, shortened(row.text), console))
        case row, _:
            text = shortened(row.text) if row else ""
            return line.append_text(_marked("removed", text, console))


def _woven(before: str, after: str, console: Console) -> Text:
    """Return two texts as one, with the words that differ marked and the rest shortened."""
    line = Text()
    for kind, text in words(before[:_MARKED_CHARACTERS], after[:_MARKED_CHARACTERS]):
        shown = _middle_left_out(text) if kind == "same" else shortened(text)
        line.append_text(_marked(kind, shown, console))
    return line


def _marked(kind: str, text: str, console: Console) -> Text:
    """Return a text in the colour of its kind; where there are no colours, between marks."""
    if console.is_terminal:
        return Text(text, style=_STYLES[kind])
    opening, closing = _MARKS[kind]
    return Text(f"{opening}{text}{closing}")


def _middle_left_out(text: str) -> str:
    line = text.replace("\n", "⏎ ")
    if len(line) <= 2 * _AROUND:
        return line
    return f"{line[:_AROUND]} … {line[-_AROUND:]}"
