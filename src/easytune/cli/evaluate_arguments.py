"""What can be typed after `easytune evaluate`, besides its options."""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from easytune.i18n import t

FLAGS = ("models", "fail-below", "fail-above", "report", "resume")


@dataclass(frozen=True)
class Bound:
    """A number that a figure is held against, as it was typed: `rouge_l=0.4`."""

    name: str
    limit: float


def add(parser: argparse.ArgumentParser, lang: str) -> None:
    """Add the flags that are no options of an evaluation."""
    parser.add_argument("file", nargs="?", type=Path, help=t("cli.evaluate.file", lang))
    parser.add_argument(
        "--models", dest="candidates.models", nargs="*", action="extend", metavar="MODEL",
        help=t("cli.evaluate.models", lang),
    )  # fmt: skip
    for side in ("below", "above"):
        parser.add_argument(
            f"--fail-{side}", type=bound, action="append", default=[],
            metavar="METRIC=VALUE", help=t(f"cli.evaluate.fail.{side}", lang).replace("%", "%%"),
        )  # fmt: skip
    parser.add_argument(
        "--report", type=Path, action="append", default=[], metavar="FILE",
        help=t("cli.evaluate.report", lang),
    )  # fmt: skip
    parser.add_argument("--resume", metavar="EVALUATION", help=t("cli.evaluate.resume", lang))


def bound(text: str) -> Bound:
    """Return what `rouge_l=0.4` says. Raises ValueError."""
    name, mark, number = text.rpartition("=")
    limit = float(number.removesuffix("%")) / (100.0 if number.endswith("%") else 1.0)
    if not mark or not name.strip() or not math.isfinite(limit):
        raise ValueError(text)
    return Bound(name.strip(), limit)
