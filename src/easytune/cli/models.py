"""`easytune models`: the registry without a browser."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from easytune import quantities
from easytune.cli import models_import, models_show
from easytune.cli.data_words import print_json, screen
from easytune.i18n import t
from easytune.services import account, registry_comparison
from easytune.services.catalogue import Catalogue
from easytune.services.evaluations import Evaluations
from easytune.services.registry import Edit, Registry
from easytune.services.registry_entry import Entry, Query
from easytune.services.runs import Runs
from easytune.services.store import Store

REFUSED = 2


class Models:
    """The services that the commands need, for one home."""

    def __init__(self, home: Path) -> None:
        self.runs = Runs(home)
        self.catalogue = Catalogue(home, self.runs)
        self.evaluations = Evaluations(home, self.runs, self.catalogue)
        self.registry = Registry(home, Store(home), self.runs, self.catalogue, self.evaluations)


def run(args: argparse.Namespace, lang: str) -> int:
    """Do what was asked for: 0 done, 1 failed, 2 not confirmed."""
    models = Models(args.home)
    match args.action:
        case "list":
            return _list(args, models, lang)
        case "show":
            return _show(args, models, lang)
        case "compare":
            return _compare(args, models, lang)
        case "delete":
            return _delete(args, models, lang)
        case "trash":
            return _trash(args, models, lang)
        case "verify":
            return _verify(args, models, lang)
        case "import":
            return models_import.run(args, args.home, models.catalogue, lang)
        case _:
            return _change(args, models, lang)


def _list(args: argparse.Namespace, models: Models, lang: str) -> int:
    query = Query(
        search=args.search, stage=args.stage, kind=args.kind, base=args.base, tag=args.tag,
        name=args.name, sort=args.sort, reverse=args.reverse,
    )  # fmt: skip
    found = models.registry.list(query)
    if args.json:
        print_json([entry.as_json() for entry in found.entries])
    elif not found.entries:
        print(t(f"models.{'no_match' if found.total else 'empty'}", lang))
    else:
        screen().print(models_show.table(found.entries, lang))
    return 0


def _show(args: argparse.Namespace, models: Models, lang: str) -> int:
    registry = models.registry
    entry = registry.get(args.version)
    files = registry.verify(entry.key)
    chain, needs = models.registry.tracer.trace(entry), registry.needs(entry.key)
    figures = registry_comparison.figures(models.evaluations, entry)
    history = registry.history(entry.key)
    if args.json:
        print_json({
            **entry.as_json(), "settings": registry_comparison.settings(models.runs, entry),
            "files": [asdict(file) for file in files.now], "changed_files": files.changes,
            "evaluations": [asdict(one) for one in figures],
            "trace": [asdict(link) for link in chain], "needed_by": [asdict(one) for one in needs],
            "history": [asdict(one) | {"at": one.at.isoformat()} for one in history],
        })  # fmt: skip
        return 0
    models_show.sheet(entry, files, chain, needs, history, lang)
    return 0


def _compare(args: argparse.Namespace, models: Models, lang: str) -> int:
    for version in (args.version, args.other):
        models.registry.verify(version)
    compared = registry_comparison.compare(
        models.registry, models.runs, models.evaluations, args.version, args.other
    )
    lines = [line for line in compared.lines if args.all or line.differs]
    if args.json:
        print_json({
            "a": compared.a.as_json(), "b": compared.b.as_json(),
            "lines": [asdict(line) | {"differs": line.differs} for line in lines],
        })  # fmt: skip
        return 0
    table = Table(box=None, header_style="bold")
    for head in ("", compared.a.ref, compared.b.ref):
        table.add_column(head, overflow="fold")
    for line in lines:
        table.add_row(*models_show.compared(line, lang))
    screen().print(table)
    return 0


def _change(args: argparse.Namespace, models: Models, lang: str) -> int:
    """Change what people say about a version, and tell how it stands then."""
    registry, who = models.registry, account.user()
    match args.action:
        case "tag":
            entry = registry.tag(args.version, args.tags, args.remove, who)
        case "note":
            entry = registry.edit(args.version, Edit(notes=args.text), who)
        case "stage":
            entry = registry.edit(args.version, Edit(stage=args.stage), who)
        case "rename":
            entry = registry.edit(args.version, Edit(name=args.name), who)
        case "keep":
            entry = registry.keep_checkpoint(args.run, args.step, who, args.name)
        case "current":
            entry = registry.set_current(args.version, who)
        case _:
            entry = registry.roll_back(args.name, who)
    return _tell(args, entry, lang)


def _tell(args: argparse.Namespace, entry: Entry, lang: str) -> int:
    if args.json:
        print_json(entry.as_json())
        return 0
    said = {"version": entry.ref, "stage": t(f"models.stage.{entry.stage}", lang)}
    current = f" {t('models.current', lang)}." if entry.is_current else ""
    print(t("models.cli.is_now", lang, tags=", ".join(entry.tags), **said) + current)
    return 0


def _delete(args: argparse.Namespace, models: Models, lang: str) -> int:
    """Say what depends on a version; delete it where nothing does, or after --yes."""
    entry = models.registry.get(args.version)
    needs = models.registry.needs(entry.key)
    if needs and not args.yes:
        if args.json:
            print_json({"needed_by": [asdict(one) for one in needs]})
        for one in () if args.json else needs:
            print(models_show.needed_by(one, lang))
        print(t("models.cli.confirm", lang, version=entry.ref), file=sys.stderr)
        return REFUSED
    item = models.registry.delete(entry.key, account.user(), confirmed=args.yes)
    said = {"version": entry.ref, "item": item}
    if args.json:
        print_json(said)
    else:
        print(t("models.cli.deleted", lang, **said))
    return 0


def _trash(args: argparse.Namespace, models: Models, lang: str) -> int:
    trash = models.registry.trash
    if args.work == "restore" and args.item:
        found = models.registry.restore(args.item, account.user())
        print(t("models.trash.restored", lang, title=found.title))
        return 0
    there = trash.list()
    if args.work == "empty":
        chosen = [one for one in there if args.item in (None, one.id)]
        total = quantities.size(sum(one.bytes for one in chosen))
        if not args.yes:
            print(t("models.cli.confirm_empty", lang, count=len(chosen), size=total))
            return REFUSED
        trash.empty(args.item)
        print(t("models.trash.emptied", lang, size=total))
        return 0
    if args.json:
        print_json([asdict(one) | {"at": one.at.isoformat()} for one in there])
    elif there:
        screen().print(models_show.trash(there, lang))
    else:
        print(t("models.trash.empty", lang))
    return 0


def _verify(args: argparse.Namespace, models: Models, lang: str) -> int:
    """Compute all hashes anew; return 1 when a file is no longer what it was."""
    files = models.registry.verify(args.version)
    if args.json:
        print_json({"files": [asdict(file) for file in files.now], "changes": files.changes})
        return 1 if files.changes else 0
    for path, change in files.changes.items():
        print(t(f"models.file.{change}", lang, path=path), file=sys.stderr)
    if not files.changes:
        print(t("models.cli.verified", lang, count=len(files.now)))
    return 1 if files.changes else 0
