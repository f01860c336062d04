"""Entry of the command line: parse, run one subcommand, turn problems into one sentence."""

import argparse
import sys
from collections.abc import Sequence

from easytune.cli import arguments
from easytune.errors import EasyTuneError
from easytune.i18n import t

INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 done, 1 failed, 2 wrong usage, 3 an evaluation missed a threshold, 130 Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    lang = arguments.language(words)
    args = arguments.parse(words, lang)
    try:
        return _run(args, lang)
    except EasyTuneError as error:
        print(t(f"error.{error.code()}", lang, **error.values), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output (`head`, a closed pager) has gone. Keep shutdown quiet as well.
        sys.stderr.close()
        return BROKEN_PIPE


def _run(args: argparse.Namespace, lang: str) -> int:
    match args.command:
        case "ui":
            from easytune.cli import ui as chosen
        case "train":
            from easytune.cli import train as chosen
        case "estimate":
            from easytune.cli import estimate as chosen
        case "check":
            from easytune.cli import check as chosen
        case "evaluate":
            from easytune.cli import evaluate as chosen
        case "export":
            from easytune.cli import export as chosen
        case "resume":
            from easytune.cli import resume as chosen
        case "runs" | "stop" | "report":
            from easytune.cli import runs as chosen
        case "serve":
            from easytune.cli import serve as chosen
        case "chat":
            from easytune.cli import chat as chosen
        case "data":
            from easytune.cli import data as chosen
        case "models":
            from easytune.cli import models as chosen
        case "config" | "options":
            from easytune.cli import config as chosen
        case "intents":
            from easytune.cli import intents as chosen
        case _:
            from easytune.cli import doctor as chosen
    return chosen.run(args, lang)
