"""The tables of an evaluation's report: figures, forgetting, safety, and what was measured."""

from collections.abc import Iterator

from easytune.evaluation_files import Benchmarked, Forgotten, Refusals
from easytune.i18n import t
from easytune.scoring import metric_name
from easytune.scoring.wording import p_value
from easytune.services.evaluation_report_material import Material
from easytune.services.evaluation_report_words import (
    difference,
    interval,
    share,
)
from easytune.services.forgotten import number as nats
from easytune.services.report_table import Table

NONE = "–"
_SHOWN_OVERLAPS = 30


def figures(material: Material, lang: str) -> Iterator[Table]:
    """Yield a table per test set: metrics by model, each with interval and difference."""
    head = ("", *(candidate.title for candidate in material.candidates))
    for place, test_set in enumerate(material.result.sets):
        rows = [
            (
                metric_name(metric, lang),
                *(_figure(material, place, c, metric) for c in range(len(material.candidates))),
            )
            for metric in material.metrics
        ]
        title = t("evaluation_report.figures", lang, set=test_set.title, rows=test_set.rows)
        yield Table(title, head, tuple(row for row in rows if any(c != NONE for c in row[1:])))


def forgetting(material: Material, lang: str) -> Table:
    """Return how far each model is from its base, on each probe."""
    names = ("model", "probe", "score", "kl", "agreement", "texts")
    rows = [
        (
            material.candidates[one.candidate].title, _probe(one, lang),
            f"{nats(one.score)} [{nats(one.low)}, {nats(one.high)}]", nats(one.kl),
            share(one.agreement), str(one.sequences),
        )
        for one in material.result.forgetting
    ]  # fmt: skip
    return Table(t("evaluation_report.forgetting", lang), _head(names, lang), tuple(rows))


def categories(material: Material, lang: str) -> Table:
    """Return forgetting by category of the probe."""
    rows = [
        (
            material.candidates[one.candidate].title, _probe(one, lang), category,
            _bounded(figure.value, figure.low, figure.high), str(figure.rows),
        )
        for one in material.result.forgetting
        for category, figure in one.categories.items()
    ]  # fmt: skip
    names = ("model", "probe", "category", "score", "texts")
    return Table(t("evaluation_report.categories", lang), _head(names, lang), tuple(rows))


def safety(material: Material, lang: str) -> Table:
    """Return how many prompts of the safety probe each model refused."""
    rows = [
        (
            material.candidates[one.candidate].title,
            t(f"evaluation_report.prompts.{one.kind}", lang),
            f"{one.refused}/{one.prompts}", _refused(one),
        )
        for one in material.result.safety
    ]  # fmt: skip
    prompts = sum(one.prompts for one in material.result.safety if one.candidate == 0)
    title = t("evaluation_report.safety", lang, prompts=prompts)
    return Table(title, _head(("model", "prompts", "refused", "rate"), lang), tuple(rows))


def benchmarks(material: Material, lang: str) -> Table:
    """Return the figures of lm-evaluation-harness: tasks by model, each against the first."""
    known = material.result.benchmarks
    names = dict.fromkeys((one.task, one.metric) for one in known)
    rows = []
    for task, metric in names:
        found = {one.candidate: one for one in known if (one.task, one.metric) == (task, metric)}
        cells = (_benchmark(found, place) for place in range(len(material.candidates)))
        rows.append((f"{task}, {metric}", *cells))
    head = ("", *(candidate.title for candidate in material.candidates))
    return Table(t("evaluation_report.benchmarks", lang), head, tuple(rows))


def overlaps(material: Material, lang: str) -> Table:
    """Return the test rows that a model was trained on."""
    rows = [
        (
            material.candidates[one.candidate].title, material.result.sets[one.set].title,
            str(len(one.rows)), _places(one.rows),
        )
        for one in material.result.overlaps
    ]  # fmt: skip
    names = ("model", "set", "rows", "numbers")
    return Table(t("evaluation_report.overlaps", lang), _head(names, lang), tuple(rows))


def models(material: Material, lang: str) -> Table:
    """Return the models with their fingerprints."""
    rows = [
        (
            one.title, one.id, t(f"evaluation_report.kind.{one.kind}", lang),
            one.base if one.is_adapter else NONE, one.fingerprint,
        )
        for one in material.candidates
    ]  # fmt: skip
    names = ("model", "id", "kind", "base", "fingerprint")
    return Table(t("evaluation_report.models", lang), _head(names, lang), tuple(rows))


def sets(material: Material, lang: str) -> Table:
    """Return the test sets with their versions and fingerprints."""
    found = material.result.sets
    rows = [(one.title, one.name, str(one.rows), one.fingerprint[:16]) for one in found]
    names = ("set", "id", "rows", "fingerprint")
    return Table(t("evaluation_report.sets", lang), _head(names, lang), tuple(rows))


def signatures(material: Material, lang: str) -> Table:
    """Return how each metric was computed."""
    found = material.result.signatures.items()
    rows = [(metric_name(metric, lang), how) for metric, how in found if how]
    names = ("metric", "computed")
    return Table(t("evaluation_report.signatures", lang), _head(names, lang), tuple(rows))


def versions(material: Material, lang: str) -> Table:
    """Return the versions of the programs that computed it."""
    rows = sorted(material.order.versions.items())
    names = ("program", "version")
    return Table(t("evaluation_report.versions", lang), _head(names, lang), tuple(rows))


def _head(names: tuple[str, ...], lang: str) -> tuple[str, ...]:
    return tuple(t(f"evaluation_report.column.{name}", lang) for name in names)


def _figure(material: Material, test_set: int, candidate: int, metric: str) -> str:
    scored = material.scored(test_set, candidate, metric)
    if scored is None:
        return NONE
    change = scored.against_first
    lines = [interval(scored.figure, metric)]
    if change is not None:
        lines.append(f"{difference(change, metric)}, {p_value(change.p)}")
    return "\n".join(lines)


def _probe(one: Forgotten, lang: str) -> str:
    return t("evaluation_report.own", lang) if one.probe == "own" else one.probe


def _bounded(value: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return nats(value)
    return f"{nats(value)} [{nats(low)}, {nats(high)}]"


def _refused(one: Refusals) -> str:
    rate = one.refused / one.prompts if one.prompts else 0.0
    return f"{share(rate)} [{share(one.low)}, {share(one.high)}]"


def _benchmark(found: dict[int, Benchmarked], place: int) -> str:
    one, first = found.get(place), found.get(0)
    if one is None:
        return NONE
    text = f"{one.value:.3f}" if one.stderr is None else f"{one.value:.3f} ± {one.stderr:.3f}"
    change = one.against_first
    if change is not None:
        low, high = _signed(change.low), _signed(change.high)
        return f"{text}\n{_signed(change.value)} [{low}, {high}], {p_value(change.p)}"
    return text if place == 0 or first is None else f"{text}\n{_signed(one.value - first.value)}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _places(rows: tuple[int, ...]) -> str:
    shown = ", ".join(str(row + 1) for row in rows[:_SHOWN_OVERLAPS])
    return f"{shown}, …" if len(rows) > _SHOWN_OVERLAPS else shown
