"""`easytune estimate`: what a run will take, without starting it."""

import argparse
import dataclasses
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from easytune.cli import chosen
from easytune.estimate import PARTS, Estimate
from easytune.i18n import t
from easytune.quantities import duration, pace, size
from easytune.services.advice import Advice, Advised

_GIGA = 1e9


def run(args: argparse.Namespace, lang: str) -> int:
    """Print memory, time and disk; return 1 when the run does not fit, or nothing is known."""
    config = chosen.config(args, lang)
    advised = Advice(args.home).settled(config)
    if args.json:
        print(json.dumps(as_facts(advised), indent=2, ensure_ascii=False))
    elif advised.estimate is not None:
        _show(advised, advised.estimate, lang)
    elif advised.problem is None:
        print(t("estimate.not_here", lang, model=config.model.base_model))
    if advised.problem is not None and not args.json:
        raise advised.problem
    return 0 if advised.estimate and advised.estimate.verdict != "too_much" else 1


def as_facts(advised: Advised) -> dict[str, Any]:
    """Return all that is known as plain data, for programs."""
    problem = advised.problem
    return {
        "estimate": dataclasses.asdict(advised.estimate) if advised.estimate else None,
        "changes": [dataclasses.asdict(change) for change in advised.changes],
        "data": dataclasses.asdict(advised.data) if advised.data else None,
        "machine": dataclasses.asdict(advised.machine),
        "problem": {"code": problem.code(), "values": problem.values} if problem else None,
    }


def _show(advised: Advised, found: Estimate, lang: str) -> None:
    console = Console(highlight=False)
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for part in PARTS:
        table.add_row(t(f"estimate.part.{part}", lang), _gb(found.parts[part]))
    table.add_row(t("estimate.peak", lang), _gb(found.peak_gb), style="bold")
    console.print(table)
    facts = {"free": _gb(found.free_gb), "device": advised.machine.name}
    print(t(f"estimate.verdict.{found.verdict}", lang, **facts))
    for change in advised.changes:
        options = ", ".join(f"--{path} {value}" for path, value in change.options.items())
        print(t("estimate.change", lang, options=options, peak=_gb(change.peak_gb)))
    if found.verdict == "too_much" and not advised.changes:
        print(t("estimate.no_change", lang))
    print(_time(found, lang))
    disk = {"need": _gb(found.disk_gb), "free": _gb(found.disk_free_gb)}
    print(t("estimate.disk" if found.fits_disk else "estimate.disk_short", lang, **disk))


def _time(found: Estimate, lang: str) -> str:
    if found.tokens_per_second is None:
        return t("estimate.time_unknown", lang)
    source = t(f"estimate.source.{found.pace_source}", lang, run=found.pace_run)
    facts = {"speed": pace(found.tokens_per_second), "source": source}
    if found.seconds is None:
        return t("estimate.speed", lang, **facts)
    time = duration(found.seconds, lang)
    return t("estimate.time", lang, time=time, steps=found.total_steps, **facts)


def _gb(amount: float) -> str:
    return size(amount * _GIGA)
