"""`easytune runs`, `stop` and `report`: what ran, ending it, and telling about it."""

import argparse

from rich.console import Console
from rich.table import Table

from easytune.errors import NoRunsYet, RunMissing
from easytune.i18n import t
from easytune.services import forgotten
from easytune.services.runs import Runs


def run(args: argparse.Namespace, lang: str) -> int:
    """Do what was asked for."""
    runs = Runs(args.home)
    match args.command:
        case "runs":
            _show(runs, lang)
        case "stop":
            print(t("cli.stop_asked", lang, run=_stop(runs, args)))
        case _:
            print(runs.report(named(runs, args.run)))
    return 0


def named(runs: Runs, name: str | None) -> str:
    """Return the run of that name, or the one going on, or the newest.

    Raises RunMissing or NoRunsYet.
    """
    known = [run.id for run in runs.list()]
    if name is None:
        latest = runs.latest()
        if latest is None:
            raise NoRunsYet
        return latest
    if name not in known:
        raise RunMissing(run=name)
    return name


def _stop(runs: Runs, args: argparse.Namespace) -> str:
    """Ask a run to end, or the evaluation of that name; return its name. Raises RunMissing."""
    from easytune.cli import evaluate

    evaluations = evaluate.service(args.home, runs)
    if args.run in {one.id for one in evaluations.list()}:
        evaluations.stop(args.run, now=args.now)
        return args.run
    name = named(runs, args.run)
    runs.stop(name, now=args.now)
    return name


def _show(runs: Runs, lang: str) -> None:
    found = runs.list()
    if not found:
        print(t("cli.no_runs", lang))
        return
    table = Table(box=None, header_style="bold")
    for column in ("run", "state", "steps", "loss", "held_out", "forgetting"):
        # The long names of these two give way, so that 80 columns are enough for everything.
        gives_way = column in ("held_out", "forgetting")
        table.add_column(t(f"cli.column.{column}", lang), no_wrap=not gives_way)
    for summary in found:
        story = runs.story(summary.id)
        loss = f"{story.losses[-1][1]:.4f}" if story.losses else ""
        best = f"{story.best[1]:.4f}" if story.best else ""
        measured = story.final_forgetting
        score = forgotten.number(measured.score) if measured else ""
        table.add_row(
            summary.id, t(f"cli.state.{summary.state}", lang),
            f"{story.step}/{story.total_steps}", loss, best, score,
        )  # fmt: skip
    Console().print(table)
