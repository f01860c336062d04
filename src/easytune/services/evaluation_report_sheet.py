"""An evaluation in words, before it becomes HTML or Markdown: verdicts, tables, flips."""

from collections.abc import Iterator
from dataclasses import dataclass

from easytune import __version__, config_file
from easytune.i18n import t
from easytune.quantities import duration
from easytune.scoring import metric_name, sentence
from easytune.services import evaluation_report_tables as tables
from easytune.services.evaluation_report_flips import FlipSheet, flips
from easytune.services.evaluation_report_material import Material
from easytune.services.evaluation_report_words import finding, forgotten
from easytune.services.report_table import Table


@dataclass(frozen=True)
class Verdicts:
    """What is said about one model on one test set, a sentence per metric."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """Everything a report shows, in the order it shows it."""

    title: str
    subtitle: str
    verdicts: tuple[Verdicts, ...]
    remarks: tuple[str, ...]
    """What did not apply or went wrong."""
    results: tuple[Table, ...]
    flips: tuple[FlipSheet, ...]
    facts: tuple[Table, ...]
    """All it takes to repeat it."""
    config: str
    """The YAML that repeats it."""


def write(material: Material, lang: str) -> Sheet:
    """Return an evaluation as a sheet in a language."""
    results = [
        *tables.figures(material, lang),
        tables.forgetting(material, lang),
        tables.categories(material, lang),
        tables.safety(material, lang),
        tables.benchmarks(material, lang),
        tables.overlaps(material, lang),
    ]
    facts = [
        tables.models(material, lang),
        tables.sets(material, lang),
        tables.signatures(material, lang),
        tables.versions(material, lang),
    ]
    return Sheet(
        title=material.name,
        subtitle=_subtitle(material, lang),
        verdicts=tuple(_verdicts(material, lang)),
        remarks=tuple(_remarks(material, lang)),
        results=tuple(table for table in results if table.rows),
        flips=tuple(flips(material, lang)),
        facts=tuple(table for table in facts if table.rows),
        config=config_file.dump(material.order.config),
    )


def _subtitle(material: Material, lang: str) -> str:
    asked = material.order.created
    return t(
        "evaluation_report.subtitle", lang, when=f"{asked:%Y-%m-%d %H:%M} UTC",
        time=duration(material.result.seconds, lang), version=__version__,
        answers=len(material.answers),
    )  # fmt: skip


def _remarks(material: Material, lang: str) -> Iterator[str]:
    if material.state != "finished":
        yield t("evaluation_report.not_whole", lang, answers=len(material.answers))
    for found in material.result.findings:
        yield finding(found, lang)


def _verdicts(material: Material, lang: str) -> Iterator[Verdicts]:
    first = material.candidates[0].title
    for place, candidate in enumerate(material.candidates):
        for number, test_set in enumerate(material.result.sets):
            # Where models are compared, the figures of the first are in the tables.
            is_compared = place > 0 or len(material.candidates) == 1
            lines = list(_lines(material, number, place, lang)) if is_compared else []
            if lines:
                names = {"model": candidate.title, "first": first, "set": test_set.title}
                key = "of_first" if place == 0 else "against_first"
                yield Verdicts(t(f"evaluation_report.{key}", lang, **names), tuple(lines))
        yield from _weighed(material, place, lang)


def _lines(material: Material, test_set: int, candidate: int, lang: str) -> Iterator[str]:
    for metric in material.metrics:
        scored = material.scored(test_set, candidate, metric)
        if scored is not None:
            said = sentence(scored, lang)
            yield t("evaluation_report.line", lang, metric=metric_name(metric, lang), said=said)


def _weighed(material: Material, place: int, lang: str) -> Iterator[Verdicts]:
    """Yield what a model has forgotten, where that was measured."""
    found = [one for one in material.result.forgetting if one.candidate == place]
    if found:
        title = t("evaluation_report.forgot", lang, model=material.candidates[place].title)
        yield Verdicts(title, tuple(forgotten(one, lang) for one in found))
