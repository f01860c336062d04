"""`easytune models import`: check what comes from elsewhere, and import it."""

import argparse
import sys
from pathlib import Path

from easytune import paths
from easytune.cli import job_follow, showing
from easytune.cli.data_words import print_json
from easytune.i18n import t
from easytune.services import account, inspection_sheet
from easytune.services.catalogue import Catalogue
from easytune.services.inspection_story import InspectionStory
from easytune.services.inspections import Inspections

REFUSED, WARNED = 1, 4


def add(parser: argparse.ArgumentParser, lang: str) -> None:
    """Fill the subcommand."""
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="SOURCE", help=_help("source", lang)
    )
    parser.add_argument("--base", metavar="MODEL", help=_help("base", lang))
    parser.add_argument("--name", default="", help=_help("name", lang))
    parser.add_argument("--convert-pickle", action="store_true", help=_help("convert", lang))
    parser.add_argument("--accept-warnings", action="store_true", help=_help("accept", lang))


def run(args: argparse.Namespace, home: Path, catalogue: Catalogue, lang: str) -> int:
    """Check and import; 0 imported, 1 refused or failed, 4 warnings that were not accepted."""
    inspections = Inspections(home, catalogue)
    inspections.sweep()
    inspection = inspections.submit(
        [path.expanduser() for path in args.sources],
        args.base,
        name=args.name,
        convert_pickle=args.convert_pickle,
        author=account.user(),
    )
    story, interrupted = inspections.story(inspection), False
    if not story.has_ended:
        story, interrupted = job_follow.follow(
            inspections, inspection, home, lang, "inspection.cli", _stage
        )
    status = _decide(args, inspections, story)
    story = inspections.story(inspection)
    if args.json:
        print_json(as_json(story, lang))
        return status
    _show(story, lang)
    if not story.is_whole:
        return job_follow.tell_failure(story, story.folder.log, "", interrupted, lang)
    _tell(story, status, home, lang)
    return status


def as_json(story: InspectionStory, lang: str) -> dict[str, object]:
    """Return a check for programs: the record, the verdict, and the findings in words."""
    sheet = inspection_sheet.sheet(story, lang)
    return {
        "id": story.id,
        "name": story.name,
        "state": story.state,
        "verdict": story.verdict,
        "decision": story.decision,
        "imported": story.imported,
        "sentences": {group.severity: group.sentences for group in sheet.groups},
        "unseen": sheet.unseen,
        "inspection": story.inspection.model_dump(mode="json"),
    }


def _decide(args: argparse.Namespace, inspections: Inspections, story: InspectionStory) -> int:
    """Import what may be imported; what may not does not stay in the quarantine."""
    if not story.has_ended:
        return REFUSED
    accepted = story.verdict == "passed" or (story.verdict == "warnings" and args.accept_warnings)
    if story.can_import and accepted:
        inspections.accept(story.id, warnings=args.accept_warnings, who=account.user())
        return 0
    inspections.discard(story.id)
    return WARNED if story.is_whole and story.verdict == "warnings" else REFUSED


def _stage(story: InspectionStory, lang: str) -> showing.Stage:
    far = ""
    if story.total:
        far = t("inspection.cli.far", lang, done=story.done, total=story.total)
    return showing.Stage(job_follow.doing(story, lang), far, story.done, story.total or None)


def _show(story: InspectionStory, lang: str) -> None:
    sheet = inspection_sheet.sheet(story, lang)
    print(sheet.verdict)
    for group in sheet.groups:
        print(f"\n{group.title}", *(f"  {line}" for line in group.sentences), sep="\n")
    for one in story.inspection.static.templates:
        if one.diff:
            print(f"\n{t('inspection.template', lang, place=one.place)}: ", end="")
            print(t("inspection.template_diff", lang), *_printable(one.diff), sep="\n  ")
    print()
    for line in (*sheet.facts, *sheet.health, sheet.behaviour):
        if line:
            print(line)
    print(
        f"\n{t('inspection.unseen_title', lang)}", *(f"  {one}" for one in sheet.unseen), sep="\n"
    )


def _printable(lines: tuple[str, ...]) -> list[str]:
    """Return a stranger's lines without what would command a terminal."""
    return ["".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in one) for one in lines]


def _tell(story: InspectionStory, status: int, home: Path, lang: str) -> None:
    if status == 0:
        folder = paths.imports(home) / story.imported / "model"
        print(f"\n{t('inspection.cli.imported', lang, folder=folder)}")
    elif status == WARNED:
        print(f"\n{t('inspection.cli.accept', lang)}", file=sys.stderr)
    elif story.inspection.static.can_convert and not story.inspection.conversions:
        print(f"\n{t('inspection.cli.convert', lang)}", file=sys.stderr)


def _help(name: str, lang: str) -> str:
    return t(f"inspection.cli.help.{name}", lang)
