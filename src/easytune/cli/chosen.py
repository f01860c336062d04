"""The configuration that a command line asks for: a file, with flags put over it."""

import argparse
import sys
from pathlib import Path

from easytune import config_file
from easytune.cli import arguments
from easytune.config import TrainConfig


def config(args: argparse.Namespace, lang: str) -> TrainConfig:
    """Return the configuration of the file and the flags. Notices about the file go to stderr."""
    loaded = config_file.Loaded(TrainConfig())
    if args.file is not None:
        loaded = config_file.load_file(args.file, lang)
    for sentence in loaded.sentences(lang):
        print(sentence, file=sys.stderr)
    config = config_file.anchor(arguments.overlaid(loaded.config, args, lang), (Path.cwd(),))
    if args.command != "train" or args.intent is None:
        return config
    from easytune.cli import intents

    # What was typed wins over what is suggested.
    return arguments.overlaid(intents.applied(config, args.intent, args.home, lang), args, lang)
