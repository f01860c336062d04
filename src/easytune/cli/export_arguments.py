"""What can be typed after `easytune export`, besides its options."""

import argparse

from easytune.i18n import t

FLAGS = ("target", "strength", "strengths", "name", "resume")


def add(parser: argparse.ArgumentParser, lang: str) -> None:
    """Add the flags that are no options of an export, and short names of the commonest ones."""
    parser.add_argument("words", nargs="*", metavar="MODEL", help=t("cli.export.words", lang))
    parser.add_argument(
        "--target", dest="what.target", metavar="TARGET", help=t("cli.export.target", lang)
    )
    parser.add_argument("--strength", dest="what.strength", help=t("cli.export.strength", lang))
    parser.add_argument(
        "--strengths",
        dest="what.strengths",
        nargs="*",
        metavar="STRENGTH",
        help=t("cli.export.strengths", lang),
    )
    parser.add_argument("--name", dest="result.name", help=t("cli.export.name", lang))
    parser.add_argument("--resume", metavar="EXPORT", help=t("cli.export.resume", lang))
