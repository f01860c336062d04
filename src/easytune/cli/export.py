"""`easytune export`: a model in another form, proved to be the same, without a browser."""

import argparse

from rich.console import Console

from easytune.cli import chosen, job_follow, showing
from easytune.cli.follow import clock
from easytune.i18n import t
from easytune.services import export_sheet, strength_sheet
from easytune.services.export_story import ExportStory
from easytune.services.exports import Exports
from easytune.services.registry import named_models


def run(args: argparse.Namespace, lang: str) -> int:
    """Export and tell; return 0 done, 1 failed, 130 stopped by Ctrl-C."""
    exports = Exports(args.home, named_models(args.home))
    if args.resume is not None:
        export = exports.resume(args.resume)
    else:
        export = exports.submit(chosen.export(args, lang))
    story, interrupted = job_follow.follow(exports, export, args.home, lang, "cli.export", _stage)
    if story.certificate is not None:
        _show(story, lang)
    if (curve := story.folder.curve()) is not None:
        print(f"\n{strength_sheet.sentence(curve, lang)}")
        Console().print(job_follow.drawn(strength_sheet.table(curve, lang)), highlight=False)
        print(strength_sheet.about(curve, lang))
    if story.state == "finished" and story.order.config.what.strengths:
        return 0
    if story.state == "finished":
        print(t("cli.export.finished", lang, folder=story.folder.artefact))
        return 0
    advice = t("cli.export.go_on", lang, export=story.id) if story.certificate is None else ""
    return job_follow.tell_failure(story, story.folder.log, advice, interrupted, lang)


def _stage(story: ExportStory, lang: str) -> showing.Stage:
    doing = job_follow.doing(story, lang)
    return showing.Stage(doing, _far(story, lang), story.done, story.total or None)


def _far(story: ExportStory, lang: str) -> str:
    parts: list[str] = []
    if story.total:
        parts.append(export_sheet.so_far(story, lang))
    if story.seconds_left is not None and story.state == "running":
        parts.append(t("cli.figure.left", lang, time=clock(story.seconds_left)))
    return "  ".join(parts)


def _show(story: ExportStory, lang: str) -> None:
    """Print what the certificate says: sentences, figures, files, and how to use them."""
    sheet = export_sheet.sheet(story, lang)
    console = Console()
    if sheet is None:
        return
    print(f"\n{sheet.verdict}", *(f"  {line}" for line in sheet.sentences), sep="\n")
    for table in (sheet.figures, sheet.files):
        if table.rows:
            print(f"\n{table.title}")
            console.print(job_follow.drawn(table), highlight=False)
    for use in sheet.uses:
        print(f"\n{use.title}", *(f"  {line}" for line in use.command.splitlines()), sep="\n")
    print()
