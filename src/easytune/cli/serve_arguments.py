"""What can be typed after `easytune serve`, besides the options of a deployment."""

import argparse

from easytune.deployment import DeployConfig
from easytune.i18n import t
from easytune.options import Option, declared

ACTIONS = ("list", "stop", "restart", "log", "check", "delete")
"""What is done with deployments there are; anything else names a model."""
FLAGS = ("detach", "json", "lines")


def options() -> list[tuple[Option, str]]:
    """Return the options of a deployment with their flags; the model is named without one."""
    return [
        (option, f"--{option.name.replace('_', '-')}")
        for option in declared(DeployConfig)
        if option.path != "deploy.model"
    ]


def known() -> list[str]:
    """Return all flags by name, to compare a mistyped one with."""
    return [*FLAGS, *(flag.removeprefix("--") for _, flag in options())]


def add(parser: argparse.ArgumentParser, lang: str) -> None:
    """Add what is no option of a deployment."""
    parser.add_argument("what", metavar="MODEL", help=t("deploy.cli.what", lang))
    parser.add_argument(
        "deployment", nargs="?", metavar="DEPLOYMENT", help=t("deploy.cli.deployment", lang)
    )
    parser.add_argument("--detach", action="store_true", help=t("deploy.cli.detach", lang))
    parser.add_argument("--json", action="store_true", help=t("cli.data.json", lang))
    parser.add_argument("--lines", type=int, default=50, help=t("deploy.cli.lines", lang))
