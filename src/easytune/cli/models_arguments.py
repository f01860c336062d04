"""What can be typed after `easytune models`."""

import argparse
from collections.abc import Callable
from typing import Any

from easytune.cli import models_import
from easytune.i18n import t
from easytune.services.registry_entry import KINDS, SORTS, STAGES

ACTIONS = (
    "list", "show", "compare", "tag", "note", "stage", "rename", "keep", "current", "rollback",
    "delete", "trash", "verify", "import",
)  # fmt: skip
FLAGS: tuple[str, ...] = (
    "accept-warnings", "all", "base", "convert-pickle", "json", "kind", "name", "remove",
    "reverse", "search", "sort", "stage", "tag", "yes",
)  # fmt: skip
"""What unknown flags are compared with."""
Make = Callable[[Any, str], argparse.ArgumentParser]


def add(actions: Any, make: Make, lang: str) -> None:
    """Fill the subcommands; `make` adds an empty one by its name."""
    for name in ACTIONS:
        parser = make(actions, name)
        _FILL[name](parser, lang)
        parser.add_argument("--json", action="store_true", help=t("cli.data.json", lang))


def _add_list(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("--search", default="", metavar="TEXT", help=_help("search", lang))
    parser.add_argument("--stage", choices=STAGES, default="", help=_help("of_stage", lang))
    parser.add_argument("--kind", choices=KINDS, default="", help=_help("of_kind", lang))
    parser.add_argument("--base", default="", help=_help("of_base", lang))
    parser.add_argument("--tag", default="", help=_help("of_tag", lang))
    parser.add_argument("--name", default="", help=_help("of_name", lang))
    parser.add_argument("--sort", choices=SORTS, default="created", help=_help("sort", lang))
    parser.add_argument("--reverse", action="store_true", help=_help("reverse", lang))


def _add_compare(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_version(parser, lang)
    parser.add_argument("other", metavar="VERSION", help=_help("other", lang))
    parser.add_argument("--all", action="store_true", help=_help("all", lang))


def _add_tag(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_version(parser, lang)
    parser.add_argument("tags", nargs="*", metavar="TAG", help=_help("tags", lang))
    parser.add_argument(
        "--remove", nargs="+", action="extend", default=[], metavar="TAG",
        help=_help("remove", lang),
    )  # fmt: skip


def _add_note(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_version(parser, lang)
    parser.add_argument("text", metavar="TEXT", help=_help("text", lang))


def _add_stage(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_version(parser, lang)
    parser.add_argument("stage", choices=STAGES, help=_help("stage", lang))


def _add_rename(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_version(parser, lang)
    parser.add_argument("name", metavar="NAME", help=_help("name", lang))


def _add_keep(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("run", metavar="RUN", help=_help("run", lang))
    parser.add_argument("step", type=int, metavar="STEP", help=_help("step", lang))
    parser.add_argument("--name", default="", help=_help("name", lang))


def _add_rollback(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("name", metavar="NAME", help=_help("of_name", lang))


def _add_delete(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_version(parser, lang)
    _add_yes(parser, lang)


def _add_trash(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument(
        "work", nargs="?", choices=("list", "restore", "empty"), default="list",
        help=_help("trash_work", lang),
    )  # fmt: skip
    parser.add_argument("item", nargs="?", metavar="ITEM", help=_help("item", lang))
    _add_yes(parser, lang)


def _add_version(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("version", metavar="VERSION", help=_help("version", lang))


def _add_yes(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("--yes", action="store_true", help=_help("sure", lang))


def _help(name: str, lang: str) -> str:
    return t(f"models.cli.{name}", lang)


_FILL: dict[str, Callable[[argparse.ArgumentParser, str], None]] = {
    "list": _add_list,
    "show": _add_version,
    "compare": _add_compare,
    "tag": _add_tag,
    "note": _add_note,
    "stage": _add_stage,
    "rename": _add_rename,
    "keep": _add_keep,
    "current": _add_version,
    "rollback": _add_rollback,
    "delete": _add_delete,
    "trash": _add_trash,
    "verify": _add_version,
    "import": models_import.add,
}
