"""What can be typed after `easytune data`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from easytune.data.tasks import Form, Part
from easytune.i18n import t

ACTIONS = ("import", "list", "show", "check", "preprocess", "diff", "rollback", "export")
FORMS: tuple[Form, ...] = get_args(Form)
PARTS: tuple[Part, ...] = get_args(Part)
FLAGS: tuple[str, ...] = (
    "against", "author", "columns", "dry-run", "force", "format", "into", "json", "mode", "name",
    "near-duplicates", "note", "part", "parts", "problems", "rows", "strict", "threshold",
)  # fmt: skip
"""What unknown flags are compared with."""
Make = Callable[[Any, str], argparse.ArgumentParser]


def add(actions: Any, make: Make, lang: str) -> None:
    """Fill the subcommands; `make` adds an empty one by its name."""
    for name in ACTIONS:
        _fill(name, make(actions, name), lang)


def columns(text: str) -> dict[str, str]:
    """Return `prompt=question,response=answer` as role -> column. Raises ValueError."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(role.strip() and column.strip() for role, _, column in pairs):
        raise ValueError(text)
    return {role.strip(): column.strip() for role, _, column in pairs}


def _fill(name: str, parser: argparse.ArgumentParser, lang: str) -> None:
    match name:
        case "import":
            _add_import(parser, lang)
        case "list":
            _add_json(parser, lang)
        case "show":
            _add_version(parser, lang)
            _add_count(parser, "--rows", 0, "cli.data.rows", lang)
            _add_json(parser, lang)
        case "check":
            _add_check(parser, lang)
        case "preprocess":
            _add_preprocess(parser, lang)
        case "diff":
            _add_diff(parser, lang)
        case "rollback":
            _add_version(parser, lang)
            parser.add_argument(
                "number", nargs="?", type=_number, metavar="NUMBER", help=t("cli.data.number", lang)
            )
            _add_said(parser, lang)
        case "export":
            _add_export(parser, lang)


def _add_import(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help=t("cli.data.source", lang))
    parser.add_argument("--name", default="", metavar="TITLE", help=t("cli.data.name", lang))
    parser.add_argument("--into", metavar="DATASET", help=t("cli.data.import_into", lang))
    parser.add_argument("--mode", choices=("append", "replace"), help=t("cli.data.mode", lang))
    parser.add_argument(
        "--columns", type=columns, default={}, metavar="ROLE=COLUMN,...",
        help=t("cli.data.columns", lang),
    )  # fmt: skip
    _add_said(parser, lang)


def _add_check(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_version(parser, lang)
    parser.add_argument("--against", metavar="DATASET[@N]", help=t("cli.data.against", lang))
    parser.add_argument("--parts", action="store_true", help=t("cli.data.parts", lang))
    parser.add_argument(
        "--threshold", type=_share, default=0.8, metavar="SHARE", help=t("cli.data.threshold", lang)
    )
    parser.add_argument("--near-duplicates", action="store_true", help=t("cli.data.near", lang))
    _add_count(parser, "--rows", 10, "cli.data.problem_rows", lang)
    parser.add_argument("--strict", action="store_true", help=t("cli.data.strict", lang))
    _add_json(parser, lang)


def _add_preprocess(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_version(parser, lang)
    parser.add_argument("pipeline", metavar="PIPELINE", help=t("cli.data.pipeline", lang))
    parser.add_argument("--into", default="", metavar="TITLE", help=t("cli.data.new", lang))
    parser.add_argument("--dry-run", action="store_true", help=t("cli.data.dry_run", lang))
    _add_count(parser, "--rows", 5, "cli.data.changed_rows", lang)
    _add_said(parser, lang)
    _add_json(parser, lang)


def _add_diff(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("before", metavar="DATASET@N", help=t("cli.data.before", lang))
    parser.add_argument("after", nargs="?", metavar="DATASET@M", help=t("cli.data.after", lang))
    _add_count(parser, "--rows", 10, "cli.data.changes", lang)
    _add_json(parser, lang)


def _add_export(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_version(parser, lang)
    parser.add_argument("file", metavar="FILE", type=Path, help=t("cli.data.target", lang))
    parser.add_argument("--format", choices=FORMS, help=t("cli.data.format", lang))
    parser.add_argument("--part", choices=PARTS, help=t("cli.data.part", lang))
    parser.add_argument("--problems", action="store_true", help=t("cli.data.only_problems", lang))
    parser.add_argument("--force", action="store_true", help=t("cli.data.force", lang))


def _add_version(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("dataset", metavar="DATASET[@N]", help=t("cli.data.dataset", lang))


def _add_said(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("--note", default="", metavar="TEXT", help=t("cli.data.note", lang))
    parser.add_argument("--author", metavar="NAME", help=t("cli.data.author", lang))


def _add_json(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("--json", action="store_true", help=t("cli.data.json", lang))


def _add_count(
    parser: argparse.ArgumentParser, flag: str, default: int, key: str, lang: str
) -> None:
    said = f"{t(key, lang)} {t('cli.default', lang, value=default)}"
    parser.add_argument(flag, type=_count, default=default, metavar="N", help=said)


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError(text)
    return count


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise ValueError(text)
    return share
