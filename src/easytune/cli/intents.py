"""`easytune intents`: what a model can be trained for, and what that suggests for a run."""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from easytune import intents, machine, model_files, model_shape, presets, wishes
from easytune.cli import chosen
from easytune.config import TrainConfig
from easytune.data.insight import row_lengths
from easytune.errors import EasyTuneError, IntentUnknown
from easytune.i18n import t
from easytune.intents import EXPERT, Intents
from easytune.presets import Suggestion
from easytune.shapes import DataShape, ModelShape


def run(args: argparse.Namespace, lang: str) -> int:
    """Do what was asked for; 1 when a wish says nothing that a proposal could be made of."""
    known = intents.load(args.home, lang)
    match args.action:
        case "show":
            return _show(args, known, lang)
        case "propose":
            return _propose(" ".join(args.wish), known, lang)
        case _:
            return _list(known, lang)


def applied(config: TrainConfig, intent: str, home: Path, lang: str) -> TrainConfig:
    """Return the config as an intent suggests it, and say so on stderr.

    Raises IntentUnknown.
    """
    if intent == EXPERT:
        return config.changed(goal__intent=EXPERT)
    suggestion = _suggested(config, intent, intents.load(home, lang), home, lang)
    _print_reasons(suggestion, Console(stderr=True, highlight=False), lang)
    return suggestion.config


def _suggested(
    config: TrainConfig, intent: str, known: Intents, home: Path, lang: str
) -> Suggestion:
    if intent not in known.found:
        _print_problems(known, lang)
        raise IntentUnknown(intent, ", ".join([*known.found, EXPERT]))
    folder = model_files.resolve(config.model, home)
    shape, data = _facts(config, folder, home, lang) if folder else (None, None)
    here = machine.look(config.memory.device, home)
    return presets.suggest(known.found[intent], config, shape, data, here)


def _facts(
    config: TrainConfig, folder: Path, home: Path, lang: str
) -> tuple[ModelShape | None, DataShape | None]:
    """Return what the model and the data tell, and say what cannot be known."""
    shape, data = None, None
    try:
        shape = model_shape.read(folder)
    except EasyTuneError as error:
        _say_unknown("intent.cli.unknown_model", error, lang)
    try:
        data = row_lengths.shape_of(row_lengths.count(config, folder, home), config)
    except EasyTuneError as error:
        _say_unknown("intent.cli.unknown_data", error, lang)
    return shape, data


def _say_unknown(what: str, error: EasyTuneError, lang: str) -> None:
    reason = t(f"error.{error.code()}", lang, **error.values)
    print(t(what, lang, reason=reason), file=sys.stderr)


def _show(args: argparse.Namespace, known: Intents, lang: str) -> int:
    config = chosen.config(args, lang)
    suggestion = _suggested(config, args.intent, known, args.home, lang)
    intent, console = suggestion.intent, Console(highlight=False)
    console.print(intent.title_in(lang), style="bold", markup=False)
    console.print(intent.summary_in(lang), markup=False)
    if intent.metrics:
        metrics = ", ".join(intent.metrics)
        console.print(t("intent.cli.metrics", lang, metrics=metrics), markup=False)
    _print_reasons(suggestion, console, lang)
    return 0


def _print_reasons(suggestion: Suggestion, console: Console, lang: str) -> None:
    table = _table(("option", "value", "reason"), lang)
    for path, reason in suggestion.reasons.items():
        section, _, name = path.partition(".")
        value = getattr(getattr(suggestion.config, section), name)
        table.add_row(path, _plain(value), presets.sentence(reason, lang))
    console.print(table)


def _list(known: Intents, lang: str) -> int:
    table = _table(("id", "title", "summary"), lang)
    for intent in known.found.values():
        table.add_row(intent.id, intent.title_in(lang), intent.summary_in(lang))
    table.add_row(EXPERT, t("intent.expert.title", lang), t("intent.expert.summary", lang))
    Console(highlight=False).print(table)
    _print_problems(known, lang)
    return 0


def _propose(wish: str, known: Intents, lang: str) -> int:
    own = {intent.id: intent.wishes for intent in known.found.values()}
    found = wishes.propose(wish, own)
    if found is None:
        ids = ", ".join([*known.found, EXPERT])
        print(t("intent.cli.no_proposal", lang, known=ids))
        return 1
    words, title = ", ".join(found.words), known.found[found.intent].title_in(lang)
    print(t("intent.cli.proposal", lang, intent=found.intent, title=title, words=words))
    return 0


def _print_problems(known: Intents, lang: str) -> None:
    for problem in known.problems:
        place = f"{problem.path}:{problem.line}" if problem.line else str(problem.path)
        line = t("intent.cli.problem", lang, place=place, message=problem.message)
        print(line, file=sys.stderr)


def _table(columns: tuple[str, ...], lang: str) -> Table:
    table = Table(box=None, header_style="bold")
    for column in columns:
        fixed = column in ("id", "option")
        table.add_column(t(f"intent.cli.column.{column}", lang), overflow="fold", no_wrap=fixed)
    return table


def _plain(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case tuple():
            return " ".join(map(str, value))
        case float():
            return f"{value:g}"
    return str(value)
