"""`easytune resume`: go on with a run from one of its checkpoints, and wait for its end."""

import argparse
from pathlib import Path

from easytune.cli import follow
from easytune.cli.runs import named
from easytune.errors import CheckpointInvalid
from easytune.i18n import t
from easytune.services.runs import Runs
from easytune.services.story import step_of


def run(args: argparse.Namespace, lang: str) -> int:
    """Queue the continuation and follow it."""
    runs = Runs(args.home)
    earlier = named(runs, args.run)
    checkpoint = _checkpoint(runs, earlier, args.checkpoint, lang)
    wished = {"epochs": args.epochs, "max_steps": args.max_steps}
    longer = {name: value for name, value in wished.items() if value is not None}
    return follow.follow(runs, runs.resume(earlier, checkpoint, longer or None), args.home, lang)


def _checkpoint(runs: Runs, run: str, step: int | None, lang: str) -> Path:
    """Return the checkpoint of that step, or the newest. Raises CheckpointInvalid."""
    found = {step_of(path) or 0: path for path in runs.resume_choices(run)}
    if step is None and found:
        return found[max(found)]
    if step in found:
        return found[step]
    steps = ", ".join(map(str, sorted(found))) or "-"
    reason = t("cli.no_checkpoint", lang, run=run, step="-" if step is None else step, steps=steps)
    raise CheckpointInvalid(path=run, reason=reason)
