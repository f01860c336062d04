"""`easytune data check`: rows that cannot be used, what a version is made of, and leaks."""

import argparse
from typing import Any

from easytune.cli import data_follow
from easytune.cli.data_words import (
    facts,
    named,
    print_json,
    problem,
    reference,
    shortened,
)
from easytune.data.stored import Reference, StoredRow
from easytune.data.versions.manifest import VersionFacts
from easytune.data.versions.rows import Rows
from easytune.i18n import t
from easytune.services.datasets import Datasets

Found = dict[str, Any]
_NAMED = 5


def check(args: argparse.Namespace, datasets: Datasets, lang: str) -> int:
    """Look at a version; with `--strict`, 1 when a row cannot be used or leaks."""
    wanted = reference(args.dataset)
    rows = datasets.library.open(wanted.id, wanted.number)
    version = rows.facts
    other = _other(args, version, datasets)
    bad = _problem_rows(rows, args.rows)
    statistics = _statistics(args, version.reference, datasets, lang)
    leaks = _leaks(args, version, other, datasets, lang) if other else None
    if args.json:
        problems = [_problem(row, lang) for row in bad]
        print_json({"version": facts(version), "problem_rows": problems, "statistics": statistics,
                    "leaks": leaks})  # fmt: skip
    else:
        _print_problems(version, bad, lang)
        _print_statistics(statistics, lang)
        if leaks and other:
            names = [part for part in ("train", "held_out") if args.parts]
            a, b = ([t(f"cli.data.part_name.{n}", lang) for n in names]
                    or [named(version), named(other)])  # fmt: skip
            _print_leaks(leaks, a, b, datasets, other, lang)
    leaked = bool(leaks and (leaks["leaked_exact"] or leaks["leaked_near"]))
    return 1 if args.strict and (version.problems or leaked) else 0


def _other(
    args: argparse.Namespace, version: VersionFacts, datasets: Datasets
) -> VersionFacts | None:
    """Return what to compare with: another version, the same one's other part, or nothing."""
    if args.against is None:
        return version if args.parts else None
    against = reference(args.against)
    return datasets.library.version(against.id, against.number)


def _problem_rows(rows: Rows, count: int) -> list[StoredRow]:
    if not rows.facts.problems or not count:
        return []
    return rows.at(rows.unusable().nonzero()[0][:count])


def _statistics(
    args: argparse.Namespace, wanted: Reference, datasets: Datasets, lang: str
) -> Found:
    known = datasets.statistics(wanted)
    if known is not None and (known.near_duplicates is not None or not args.near_duplicates):
        return known.model_dump(mode="json")
    task = datasets.start_statistics(wanted, near_duplicates=args.near_duplicates)
    return data_follow.result(datasets.tasks, task, lang)


def _leaks(
    args: argparse.Namespace, version: VersionFacts, other: VersionFacts, datasets: Datasets,
    lang: str,
) -> Found:  # fmt: skip
    a, b = version.reference, other.reference
    if args.against is None:
        task = datasets.leaks(a, b, args.threshold, part_a="train", part_b="held_out")
    else:
        task = datasets.leaks(a, b, args.threshold)
    return data_follow.result(datasets.tasks, task, lang)


def _problem(row: StoredRow, lang: str) -> Found:
    return {
        "position": row.position, "source": row.source, "number": row.number,
        "code": row.problem, "reason": problem(row, lang), "text": row.text,
    }  # fmt: skip


def _print_problems(version: VersionFacts, bad: list[StoredRow], lang: str) -> None:
    print(t("cli.data.version", lang, title=version.title, name=named(version)))
    if not version.problems:
        print(t("cli.data.no_problems", lang, rows=f"{version.rows:,}"))
        return
    counts = {"rows": f"{version.rows:,}", "problems": f"{version.problems:,}"}
    print(t("cli.data.problems", lang, **counts))
    for row in bad:
        print(f"  {problem(row, lang)}\n    {shortened(row.text)}")
    if version.problems > len(bad) > 0:
        more = f"{version.problems - len(bad):,}"
        print("  " + t("cli.data.more_problems", lang, count=more, name=named(version)))


def _print_statistics(found: Found, lang: str) -> None:
    def said(name: str, text: str) -> None:
        if text:
            print(f"  {t(f'cli.data.statistics.{name}', lang)}: {text}")

    print(t("cli.data.statistics.title", lang))
    said("usable", f"{found['usable']:,}")
    said("held_out", _count(found["held_out"]))
    said("problems", _counts({t(f"data.reason.{code}", lang): count
                              for code, count in found["problems"].items()}))  # fmt: skip
    said("turns", _counts(found["turns"]))
    said("roles", _counts(found["roles"]))
    said("languages", _counts({name or t("cli.data.statistics.unclear", lang): count
                               for name, count in found["languages"].items()}))  # fmt: skip
    said("characters", _spread(found["characters"], lang))
    said("answer_characters", _spread(found["answer_characters"], lang))
    for name in ("duplicates", "near_duplicates", "empty_answers", "short_answers"):
        said(name, _examples(found[name], lang))
    openings = (f"{one['text']} ({one['rows']:,})" for one in found["openings"][:_NAMED])
    said("openings", ", ".join(openings))


def _print_leaks(
    found: Found, a: str, b: str, datasets: Datasets, other: VersionFacts, lang: str
) -> None:
    counts = {"exact": f"{found['leaked_exact']:,}", "near": f"{found['leaked_near']:,}"}
    print(t("cli.data.leaks", lang, a=a, b=b, rows=f"{found['rows_b']:,}", **counts))
    matches = [*found["exact"][:_NAMED], *found["near"][:_NAMED]]
    rows = datasets.library.open(other.dataset, other.number)
    for match, row in zip(matches, rows.at([match["b"] for match in matches]), strict=True):
        places = {"a": match["a"] + 1, "b": match["b"] + 1}
        share = f"{match['similarity']:.0%}"
        print("  " + t("cli.data.leak", lang, **places, share=share, text=shortened(row.text, 120)))


def _count(count: int) -> str:
    return f"{count:,}" if count else ""


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _spread(spread: Found | None, lang: str) -> str:
    if spread is None:
        return ""
    names = ("least", "median", "p95", "most")
    numbers = {name: f"{spread[name]:,}" for name in names}
    return t("cli.data.statistics.spread", lang, **numbers)


def _examples(found: Found | None, lang: str) -> str:
    if not found or not found["rows"]:
        return ""
    places = ", ".join(str(position + 1) for position in found["positions"][:_NAMED])
    dots = " …" if found["rows"] > _NAMED else ""
    return t("cli.data.statistics.examples", lang, rows=f"{found['rows']:,}", places=places + dots)
