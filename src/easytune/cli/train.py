"""`easytune train`: run a configuration without a browser, and wait for its end."""

import argparse

from easytune.cli import chosen, follow
from easytune.services.runs import Runs


def run(args: argparse.Namespace, lang: str) -> int:
    """Start a run and follow it to its end."""
    config = chosen.config(args, lang)
    runs = Runs(args.home)
    return follow.follow(runs, runs.submit(config), args.home, lang)
