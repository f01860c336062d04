"""`easytune check`: two real steps of a run, before it is started."""

import argparse
import sys
import time
from functools import partial
from typing import Any

from rich.console import Console

from easytune.cli import chosen, showing
from easytune.events import Notice, Trial
from easytune.i18n import t
from easytune.job import CheckWishes
from easytune.quantities import duration, size
from easytune.services.checks import Checks, CheckStory

INTERRUPTED = 130
_PAUSE_S = 0.2
_GIGA = 1e9


def run(args: argparse.Namespace, lang: str) -> int:
    """Check a run and tell how it went; return 0 when it fits as given, else 1."""
    config = chosen.config(args, lang)
    wishes = CheckWishes(
        memory_gb=args.memory,
        ladder=not args.no_ladder,
        steady=args.steady,
        range_test=args.range_test,
    )
    checks = Checks(args.home)
    check = checks.start(config, wishes)
    try:
        story = _follow(checks, check, lang)
    except KeyboardInterrupt:
        checks.stop(check)
        print(t("cli.check.stopped", lang), file=sys.stderr)
        return INTERRUPTED
    _tell(story, lang)
    return 0 if story.given_fits and story.state == "finished" else 1


def _follow(checks: Checks, check: str, lang: str) -> CheckStory:
    console = Console(stderr=True)
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    trials: list[Trial] = []
    noted: list[Notice] = []
    with showing.view(console, transient=True) as view:
        while True:
            story = checks.story(check)
            for trial in story.trials[len(trials) :]:
                trials.append(trial)
                say(_outcome(trial, lang))
            for notice in story.warnings[len(noted) :]:
                noted.append(notice)
                say(t(f"notice.{notice.code}", lang, **notice.values))
            if story.has_ended:
                return story
            view.show(_stage(story, lang))
            time.sleep(_PAUSE_S)


def _stage(story: CheckStory, lang: str) -> showing.Stage:
    points = len(story.range_curve) + len(story.steady_curve)
    phase = t(f"cli.phase.{story.phase or 'importing'}", lang)
    figures = t("cli.check.points", lang, points=points) if points else ""
    if story.trying is not None:
        figures = _options(story.trying, lang)
    return showing.Stage(phase, figures, 0, None)


def _outcome(trial: Trial, lang: str) -> str:
    options = _options(trial.changes, lang)
    if trial.outcome == "fits":
        facts = {"peak": _gb(trial.peak_memory_gb), "limit": _gb(trial.limit_gb)}
        return t("cli.check.fits", lang, options=options, **facts)
    if trial.outcome == "out_of_memory":
        return t("cli.check.short", lang, options=options, limit=_gb(trial.limit_gb))
    return t("cli.check.failed", lang, options=options)


def _tell(story: CheckStory, lang: str) -> None:
    if story.fits is not None:
        print(t("cli.check.time", lang, **_times(story, story.fits, lang)))
        if story.fits.losses and story.fits.grad_norms:
            facts = {"loss": story.fits.losses[0], "norm": story.fits.grad_norms[0]}
            print(t("cli.check.first", lang, **{name: f"{v:.3g}" for name, v in facts.items()}))
    if story.suggested_rate is not None:
        print(t("cli.check.rate", lang, rate=f"{story.suggested_rate:.2g}"))
    if story.failure is not None:
        sentence = t(f"error.{story.failure.code}", lang, **story.failure.values)
        print(sentence, file=sys.stderr)
    elif story.state == "stopped":
        print(t("cli.check.stopped", lang), file=sys.stderr)


def _times(story: CheckStory, fits: Trial, lang: str) -> dict[str, Any]:
    return {
        "total": duration(story.total_seconds or 0.0, lang),
        "steps": story.total_steps,
        "step": f"{fits.step_seconds or 0.0:.2g}",
        "speed": f"{story.tokens_per_second or 0.0:,.0f}",
    }


def _options(changes: dict[str, Any], lang: str) -> str:
    if not changes:
        return t("cli.check.as_given", lang)
    return " ".join(f"--{path} {value}" for path, value in changes.items())


def _gb(amount: float | None) -> str:
    return size((amount or 0.0) * _GIGA)
