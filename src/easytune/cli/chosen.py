"""The configuration that a command line asks for: a file, with flags put over it."""

import argparse
import sys
from pathlib import Path

from easytune import config_file
from easytune.cli import arguments
from easytune.config import TrainConfig
from easytune.config_file import Config
from easytune.evaluation import EvaluateConfig
from easytune.export import STRENGTHS, ExportConfig


def config(args: argparse.Namespace, lang: str) -> TrainConfig:
    """Return the configuration of the file and the flags. Notices about the file go to stderr."""
    config = _chosen(args, lang, TrainConfig)
    if args.command != "train" or args.intent is None:
        return config
    from easytune.cli import intents

    # What was typed wins over what is suggested.
    return arguments.overlaid(intents.applied(config, args.intent, args.home, lang), args, lang)


def evaluation(args: argparse.Namespace, lang: str) -> EvaluateConfig:
    """Return what shall be evaluated; notices about the file go to stderr."""
    return _chosen(args, lang, EvaluateConfig)


def export(args: argparse.Namespace, lang: str) -> ExportConfig:
    """Return what shall be exported; notices about the file go to stderr.

    What was typed first is a file when it is named like one, else a model.
    """
    words = list(args.words)
    is_file = bool(words) and Path(words[0]).suffix.lower() in (".yaml", ".yml")
    args.file = Path(words.pop(0)) if is_file else None
    if words:
        setattr(args, "what.models", words)
    if getattr(args, "what.strengths", None) == []:
        # The flag alone asks for the usual ones.
        setattr(args, "what.strengths", [str(one) for one in STRENGTHS])
    return _chosen(args, lang, ExportConfig)


def _chosen(args: argparse.Namespace, lang: str, kind: type[Config]) -> Config:
    loaded = config_file.Loaded(kind())
    if args.file is not None:
        loaded = config_file.load_file(args.file, lang, kind)
    for sentence in loaded.sentences(lang):
        print(sentence, file=sys.stderr)
    return config_file.anchor(arguments.overlaid(loaded.config, args, lang), (Path.cwd(),))
