"""`easytune config` and `easytune options`: configurations and options in writing."""

import argparse
from typing import Any

from easytune import config_file
from easytune.cli import arguments, chosen
from easytune.config import TrainConfig, options
from easytune.i18n import t
from easytune.options import Option


def run(args: argparse.Namespace, lang: str) -> int:
    """Print what was asked for."""
    if args.command == "options":
        print(reference(lang))
        return 0
    config = chosen.config(args, lang)
    if args.as_command:
        print(config_file.command(config, args.as_command))
    else:
        print(config_file.dump(config), end="")
    return 0


def reference(lang: str) -> str:
    """Return every option with its values, default and meaning, as Markdown."""
    parts: list[str] = []
    for section in TrainConfig.model_fields:
        parts.append(f"\n## {section}: {t(f'cli.section.{section}', lang)}\n")
        parts += [_entry(option, lang) for option in options() if option.section == section]
    return "\n".join(parts).strip()


def _entry(option: Option, lang: str) -> str:
    default = option.field.get_default(call_default_factory=True)
    facts = [t("cli.default", lang, value="-" if default in (None, (), {}) else _plain(default))]
    if allowed := arguments.choices(option):
        facts.append(t("cli.values", lang, values=", ".join(map(str, allowed))))
    facts += _bounds(option)
    return f"- `{option.path}` {arguments.option_help(option, lang)} {' '.join(facts)}"


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bounds(option: Option) -> list[str]:
    """Return limits as `≥ 1`, read from the declaration."""
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = ((sign, getattr(extra, name, None)) for extra in option.field.metadata
             for name, sign in signs.items())  # fmt: skip
    return [f"{sign} {limit:,}" for sign, limit in found if limit is not None]
