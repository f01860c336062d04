"""`easytune data import` and `export`: from files to versions, and back."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import IO, Any

from easytune import quantities
from easytune.cli import data_follow
from easytune.cli.data_arguments import FORMS
from easytune.cli.data_follow import Unfinished
from easytune.cli.data_words import author, reference
from easytune.data.tasks import Form, unwritable
from easytune.dataset_errors import ExportExists, NothingToImport
from easytune.i18n import t
from easytune.services.datasets import Datasets

STDIN = "-"
HUB = "hub:"
MISUSED = 2
_LOOKED_AT = 1 << 16


def bring_in(args: argparse.Namespace, datasets: Datasets, lang: str) -> int:
    """Import files, folders, a dataset of the hub, or what comes through the pipe."""
    if problem := _misused(args):
        print(t(f"cli.data.{problem}", lang), file=sys.stderr)
        return MISUSED
    settings: dict[str, Any] = {
        "title": args.name,
        "dataset": reference(args.into).id if args.into else None,
        "mode": (args.mode or "append") if args.into else "new",
        "columns": args.columns,
        "author": author(args),
        "note": args.note,
    }
    (first, *_) = args.sources
    if first.startswith(HUB):
        task = datasets.import_hub(first.removeprefix(HUB), **settings)
        _tell_made(data_follow.result(datasets.tasks, task, lang), lang)
        return 0
    return _bring_in_files(args.sources, datasets, settings, lang)


def export(args: argparse.Namespace, datasets: Datasets, lang: str) -> int:
    """Write a version to a file, or with `-` to the output."""
    to_output = str(args.file) == STDIN
    if not to_output and args.file.exists() and not args.force:
        raise ExportExists(str(args.file))
    task = datasets.export(
        reference(args.dataset),
        args.format or _form(args.file),
        part=args.part,
        problems_only=args.problems,
        target=None if to_output else args.file,
    )
    made = data_follow.result(datasets.tasks, task, lang)
    if not to_output:
        size = quantities.size(made["bytes"])
        print(t("cli.data.exported", lang, file=made["path"], size=size))
        return 0
    try:
        with Path(made["path"]).open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()
    finally:
        datasets.tasks.forget(task)
    return 0


def _misused(args: argparse.Namespace) -> str:
    """Return the text about words that do not go together; empty when they do."""
    if args.mode and not args.into:
        return "mode_needs_into"
    if args.name and args.into:
        return "name_or_into"
    special = [source for source in args.sources if source == STDIN or source.startswith(HUB)]
    return "one_source" if special and len(args.sources) > 1 else ""


def _bring_in_files(
    sources: list[str], datasets: Datasets, settings: dict[str, Any], lang: str
) -> int:
    from_pipe = sources == [STDIN]
    paths = [_kept(sys.stdin.buffer, datasets)] if from_pipe else [Path(each) for each in sources]
    try:
        task = datasets.import_files(paths, **settings)
        made = data_follow.result(datasets.tasks, task, lang)
    except Unfinished:
        # Files of a failed import wait for another try, which a pipe cannot give.
        datasets.discard(paths[0])
        raise
    _tell_made(made, lang)
    return 0


def _kept(stream: IO[bytes], datasets: Datasets) -> Path:
    """Write what comes through the pipe to a file of the kind it seems to be."""
    from easytune.data import reading

    folder = datasets.upload_folder()
    try:
        beginning = stream.read(_LOOKED_AT)
        if not beginning.strip():
            raise NothingToImport(path=STDIN)
        ending = _binary(beginning) or reading.ending_of(beginning.decode("utf-8", "replace"))
        file = folder / f"stdin{ending}"
        with file.open("wb") as target:
            target.write(beginning)
            shutil.copyfileobj(stream, target, _LOOKED_AT)
    except OSError as error:
        datasets.discard(folder)
        raise unwritable(folder, error) from error
    except BaseException:
        datasets.discard(folder)
        raise
    return file


def _binary(beginning: bytes) -> str:
    """Return the ending of a kind of file that its first bytes tell; empty for text."""
    known = {b"PAR1": ".parquet", b"PK\x03\x04": ".zip"}
    return known.get(beginning[:4], "")


def _tell_made(made: dict[str, Any], lang: str) -> None:
    for each in made["made"]:
        name = f"{each['dataset']}@{each['number']}"
        print(t("cli.data.made", lang, name=name, rows=f"{each['rows']:,}"))
        if each["problems"]:
            said = t("cli.data.made_problems", lang, name=name, rows=f"{each['problems']:,}")
            print(said, file=sys.stderr)


def _form(file: Path) -> Form:
    """Return the form that the ending of a file asks for; JSON lines where it asks for none."""
    ending = file.suffix.lower().removeprefix(".")
    known: dict[str, Form] = {form: form for form in FORMS}
    return known.get(ending, "jsonl")
