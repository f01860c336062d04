"""`easytune data`: bring datasets in, look at them, change them, keep and export versions."""

import argparse
import sys

from easytune.cli import data_changes, data_check, data_files, data_show
from easytune.cli.data_follow import Unfinished
from easytune.i18n import t
from easytune.services.datasets import Datasets
from easytune.services.runs import Runs

INTERRUPTED = 130


def run(args: argparse.Namespace, lang: str) -> int:
    """Do what was asked for: 0 done, 1 failed, 2 wrong usage, 130 cancelled by Ctrl-C."""
    datasets = Datasets(args.home, Runs(args.home))
    try:
        return _act(args, datasets, lang)
    except Unfinished as unfinished:
        return _tell_end(unfinished, lang)


def _act(args: argparse.Namespace, datasets: Datasets, lang: str) -> int:
    match args.action:
        case "import":
            return data_files.bring_in(args, datasets, lang)
        case "export":
            return data_files.export(args, datasets, lang)
        case "list":
            return data_show.list_all(args, datasets, lang)
        case "show":
            return data_show.show(args, datasets, lang)
        case "check":
            return data_check.check(args, datasets, lang)
        case "preprocess":
            return data_changes.preprocess(args, datasets, lang)
        case "diff":
            return data_changes.diff(args, datasets, lang)
        case _:
            return data_changes.roll_back(args, datasets, lang)


def _tell_end(unfinished: Unfinished, lang: str) -> int:
    error = unfinished.story.error
    if error is not None:
        print(t(f"error.{error.code}", lang, **error.values), file=sys.stderr)
    return INTERRUPTED if unfinished.interrupted else 1
