"""`easytune evaluate`: measure models without a browser, for people and for CI."""

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from easytune.cli import chosen, showing
from easytune.cli.evaluate_arguments import Bound
from easytune.cli.follow import clock, interruptions
from easytune.errors import FolderUnwritable
from easytune.evaluation_errors import ReportUnknown
from easytune.i18n import t
from easytune.services import evaluation_report, evaluation_thresholds
from easytune.services.catalogue import Catalogue
from easytune.services.dispatch import Dispatcher
from easytune.services.evaluation_report import Form
from easytune.services.evaluation_report_material import gather
from easytune.services.evaluation_report_sheet import Sheet, write
from easytune.services.evaluation_story import ASKING_MORE, EvaluationStory
from easytune.services.evaluation_thresholds import Held, Threshold
from easytune.services.evaluations import Evaluations
from easytune.services.report_table import Table as Figures
from easytune.services.runs import Runs

INTERRUPTED, MISSED = 130, 3
_PAUSE_S = 0.2
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
    story, interrupted = _follow(evaluations, evaluation, args.home, lang)
    if story.result is not None:
        _show(write(gather(evaluations, evaluation), lang))
        for path, form in reports:
            _save(path, evaluation_report.render(evaluations, evaluation, form, lang), lang)
    if story.state != "finished":
        return _tell_end(evaluations, story, interrupted, lang)
    return _tell_held(story, thresholds, lang)


def service(home: Path, runs: Runs) -> Evaluations:
    """Return the evaluations of a home."""
    return Evaluations(home, runs, Catalogue(home, runs))


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


def _follow(
    evaluations: Evaluations, evaluation: str, home: Path, lang: str
) -> tuple[EvaluationStory, bool]:
    """Show how far it is until it has ended; return its story, and whether Ctrl-C came.

    The first Ctrl-C scores the answers there are, the second ends the job, the third leaves it.
    """
    console = Console(stderr=True)
    console.print(t("cli.evaluate.is", lang, evaluation=evaluation), highlight=False)
    dispatcher, view, noted = Dispatcher(home), showing.view(console), 0

    def stop(*, now: bool) -> None:
        evaluations.stop(evaluation, now=now)

    with interruptions(stop, console, lang, "cli.evaluate") as came, view:
        while True:
            dispatcher.tick()
            story = evaluations.story(evaluation)
            for notice in story.notices[noted:]:
                said = t(f"notice.{notice.code}", lang, **notice.values)
                console.print(said, highlight=False, markup=False, soft_wrap=True)
            noted = len(story.notices)
            view.show(_stage(story, lang))
            if story.has_ended:
                return story, bool(came)
            time.sleep(_PAUSE_S)


def _stage(story: EvaluationStory, lang: str) -> showing.Stage:
    return showing.Stage(_doing(story, lang), _far(story, lang), story.done, story.total or None)


def _doing(story: EvaluationStory, lang: str) -> str:
    if story.state == "queued" and story.queue_position:
        return t("cli.waiting", lang, position=story.queue_position)
    if story.state == "running" and story.phase:
        return t(f"cli.phase.{story.phase}", lang)
    return t(f"cli.state.{story.state}", lang).capitalize()


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
        console.print(_drawn(figures), highlight=False)


def _drawn(figures: Figures) -> Table:
    table = Table(box=None, header_style="bold")
    for place, name in enumerate(figures.head):
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for row in figures.rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    return table


def _save(path: Path, text: str, lang: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise FolderUnwritable(str(path.parent), error.strerror or str(error)) from error
    print(t("cli.evaluate.saved", lang, path=path))


def _tell_end(
    evaluations: Evaluations, story: EvaluationStory, interrupted: bool, lang: str
) -> int:
    """Say why it did not go on to its end."""
    if story.failure is not None:
        said = t(f"error.{story.failure.code}", lang, **story.failure.values)
        print(said, file=sys.stderr)
    path = evaluations.folder(story.id).log
    print(t("cli.evaluate.go_on", lang, evaluation=story.id), file=sys.stderr)
    if story.state != "stopped":
        print(t("cli.log_is", lang, path=path), file=sys.stderr)
    return INTERRUPTED if interrupted else 1


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
