"""`easytune doctor`: print what this machine can do."""

import argparse
import os

from rich.console import Console
from rich.markup import escape

from easytune import doctor
from easytune.cli.arguments import PORT
from easytune.i18n import t

_MARKS = {"good": "[green]✓[/]", "advice": "[yellow]![/]", "broken": "[red]✗[/]"}


def run(args: argparse.Namespace, lang: str) -> int:
    """Print the findings as they come; return 1 when something essential is broken."""
    console = Console(highlight=False, soft_wrap=True)
    broken = 0
    for finding in doctor.examine(args.home, PORT, os.environ):
        broken += finding.level == "broken"
        console.print(f"{_MARKS[finding.level]} {escape(finding.sentence(lang))}")
        if remedy := finding.remedy(lang):
            console.print(f"  [dim]{escape(remedy)}[/]")
    console.print(t("doctor.verdict_broken" if broken else "doctor.verdict_good", lang))
    return 1 if broken else 0
