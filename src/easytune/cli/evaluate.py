"""`easytune evaluate`: measure models without a browser, for people and for CI."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from easytune.cli import chosen, job_follow, showing
from easytune.cli.evaluate_arguments import Bound
from easytune.cli.follow import clock
from easytune.errors import FolderUnwritable
from easytune.evaluation_errors import ReportUnknown
from easytune.i18n import t
from easytune.services import evaluation_report, evaluation_thresholds, registry
from easytune.services.catalogue import Catalogue
from easytune.services.evaluation_report import Form
from easytune.services.evaluation_report_material import gather
from easytune.services.evaluation_report_sheet import Sheet, write
from easytune.services.evaluation_story import ASKING_MORE, EvaluationStory
from easytune.services.evaluation_thresholds import Held, Threshold
from easytune.services.evaluations import Evaluations
from easytune.services.runs import Runs

MISSED = 3
_FORMS: dict[str, Form] = {
    ".html": "html", ".md": "markdown", ".csv": "csv", ".json": "json",
}  # fmt: skip


def run(args: argparse.Namespace, lang: str) -> int:
    """Evaluate and tell; return 0 done, 1 failed, 3 below a threshold, 130 stopped by Ctrl-C."""
    thresholds = _thresholds(args)
    reports: list[tuple[Path, Form]] = [(path, _form(path)) for path in args.report]
    evaluations = service(args.home, Runs(args.home))
    if args.resume is not None:
        config = evaluations.story(args.resume).order.config
        evaluation_thresholds.require(thresholds, config)
        evaluation = evaluations.resume(args.resume)
    else:
        config = chosen.evaluation(args, lang)
        evaluation_thresholds.require(thresholds, config)
        evaluation = evaluations.submit(config)
    story, interrupted = job_follow.follow(
        evaluations, evaluation, args.home, lang, "cli.evaluate", _stage
    )
    if story.result is not None:
        _show(write(gather(evaluations, evaluation), lang))
        for path, form in reports:
            _save(path, evaluation_report.render(evaluations, evaluation, form, lang), lang)
    if story.state != "finished":
        advice = t("cli.evaluate.go_on", lang, evaluation=story.id)
        log = evaluations.folder(story.id).log
        return job_follow.tell_failure(story, log, advice, interrupted, lang)
    return _tell_held(story, thresholds, lang)


def service(home: Path, runs: Runs) -> Evaluations:
    """Return the evaluations of a home."""
    return Evaluations(home, runs, registry.attach(home, runs, Catalogue(home, runs)))


def _thresholds(args: argparse.Namespace) -> list[Threshold]:
    def of(bounds: list[Bound], *, is_least: bool) -> list[Threshold]:
        return [Threshold(bound.name, bound.limit, is_least) for bound in bounds]

    return [*of(args.fail_below, is_least=True), *of(args.fail_above, is_least=False)]


def _form(path: Path) -> Form:
    """Return what a report's name asks for. Raises ReportUnknown."""
    if path.name.lower().endswith(".rows.csv"):
        return "rows"
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise ReportUnknown(path=str(path), known=", ".join([*_FORMS, ".rows.csv"]))
    return form


def _stage(story: EvaluationStory, lang: str) -> showing.Stage:
    return showing.Stage(
        job_follow.doing(story, lang), _far(story, lang), story.done, story.total or None
    )


def _far(story: EvaluationStory, lang: str) -> str:
    parts: list[str] = []
    if story.total:
        of = "evaluate.done_of" if story.phase in ASKING_MORE else "cli.evaluate.answers"
        parts.append(t(of, lang, done=story.done, total=story.total))
    if story.rows_per_second:
        parts.append(t("cli.evaluate.pace", lang, pace=f"{story.rows_per_second:.2g}"))
    if story.seconds_left is not None and story.state == "running":
        parts.append(t("cli.figure.left", lang, time=clock(story.seconds_left)))
    return "  ".join(parts)


def _show(sheet: Sheet) -> None:
    """Print the sentences, what to know, and the tables of figures."""
    console = Console()
    for verdict in sheet.verdicts:
        print(f"\n{verdict.title}", *(f"  {line}" for line in verdict.lines), sep="\n")
    for remark in sheet.remarks:
        print(f"\n{remark}")
    for figures in sheet.results:
        print(f"\n{figures.title}")
        console.print(job_follow.drawn(figures), highlight=False)


def _save(path: Path, text: str, lang: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise FolderUnwritable(str(path.parent), error.strerror or str(error)) from error
    print(t("cli.evaluate.saved", lang, path=path))


def _tell_held(story: EvaluationStory, thresholds: list[Threshold], lang: str) -> int:
    """Say which figures reach what they must; return 3 when one does not."""
    result = story.result
    if result is None:
        return 1
    found = evaluation_thresholds.held(thresholds, story.order, result)
    for one in found:
        print(_held(one, story, lang), file=sys.stdout if one.is_met else sys.stderr)
    return 0 if all(one.is_met for one in found) else MISSED


def _figure(value: float) -> str:
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def _held(one: Held, story: EvaluationStory, lang: str) -> str:
    model = story.order.candidates[one.candidate].title
    facts = {"name": one.threshold.name, "wanted": f"{one.threshold.wanted:g}", "model": model}
    if one.value is None:
        return t("cli.evaluate.no_figure", lang, **facts)
    side = "least" if one.threshold.is_least else "most"
    key = f"cli.evaluate.{'met' if one.is_met else 'missed'}_{side}"
    where = f" ({one.where})" if one.where else ""
    return t(key, lang, value=_figure(one.value), where=where, **facts)
