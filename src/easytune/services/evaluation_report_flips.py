"""The rows that a model got right and the first one did not, and the other way round."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from easytune.evaluation_files import TestRow
from easytune.i18n import t
from easytune.scoring import MEASURES, metric_name
from easytune.scoring import flips as scoring_flips
from easytune.scoring.flips import Flip
from easytune.services.evaluation_report_material import Material
from easytune.services.evaluation_report_words import number

MOST = 50
"""How many rows of each kind a report shows; the table of rows has all of them."""


@dataclass(frozen=True)
class FlipRow:
    """One row with both answers."""

    title: str
    turns: tuple[tuple[str, str], ...]
    reference: str
    before: str
    after: str
    scores: str


@dataclass(frozen=True)
class FlipSheet:
    """The rows of one kind, of one model against the first."""

    title: str
    first: str
    model: str
    note: str
    rows: tuple[FlipRow, ...]


def flips(material: Material, lang: str) -> Iterator[FlipSheet]:
    """Yield fixed and broken rows of each model by the metric that comes first, if any has."""
    metric = next((m for m in material.metrics if m in material.scores and m in MEASURES), None)
    if metric is None:
        return
    for place in range(1, len(material.candidates)):
        found = scoring_flips.flips(
            material.rows, material.answers.values(), material.scores, metric, 0, place
        )
        for kind in ("fixed", "broken"):
            chosen = [flip for flip in found if flip.kind == kind]
            if chosen:
                yield _sheet(material, place, metric, kind, chosen, len(found), lang)


def _sheet(
    material: Material, place: int, metric: str, kind: Literal["fixed", "broken"],
    found: list[Flip], total: int, lang: str,
) -> FlipSheet:  # fmt: skip
    ranked = sorted(found, key=lambda flip: (-abs(flip.change), flip.row))
    model, first = material.candidates[place].title, material.candidates[0].title
    facts = {"count": len(found), "total": total, "model": model, "first": first}
    name = metric_name(metric, lang)
    note = t("evaluation_report.flip_note", lang, metric=name, shown=min(len(found), MOST), **facts)
    return FlipSheet(
        title=t(f"evaluation_report.{kind}", lang, **facts),
        first=first,
        model=model,
        note=note,
        rows=tuple(_row(material, place, flip, metric, lang) for flip in ranked[:MOST]),
    )


def _row(material: Material, place: int, flip: Flip, metric: str, lang: str) -> FlipRow:
    row = material.rows[flip.row]
    change = f"{number(flip.before, metric)} → {number(flip.after, metric)}"
    before, after = (material.answers.get((one, flip.row)) for one in (0, place))
    return FlipRow(
        title=t("evaluation_report.row", lang, number=flip.row + 1, id=row.id),
        turns=_turns(row, lang),
        reference=row.reference or "",
        before=before.text if before else "",
        after=after.text if after else "",
        scores=f"{metric_name(metric, lang)}: {change}",
    )


def _turns(row: TestRow, lang: str) -> tuple[tuple[str, str], ...]:
    if row.prompt is not None:
        return ((t("report_comparison.role.user", lang), row.prompt),)
    return tuple(
        (t(f"report_comparison.role.{turn.role}", lang), turn.content) for turn in row.messages
    )
