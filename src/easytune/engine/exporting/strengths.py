"""What a model has learned and forgotten at several strengths of its adapter.

One base is in memory, and copies of the adapter at each strength are put into it in turn. Learning
is the loss on answers that were kept back, forgetting what `easytune.forgetting` says it is.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from easytune import forgetting, records, strength
from easytune.config import DataSection
from easytune.data import probe, test_sets
from easytune.data.probe import ProbeRow
from easytune.engine import forgetting_base, models
from easytune.engine.arithmetic import chosen
from easytune.engine.evaluating.candidates import Asked
from easytune.engine.evaluating.likelihood import Likelihoods
from easytune.engine.exporting import trained
from easytune.engine.forgetting_figures import BaseFigures, Figures, fits_exactly, shortened
from easytune.errors import EasyTuneError, ProbeUnusable
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import TestRow
from easytune.export_errors import ExportInvalid, NoAdapter
from easytune.export_files import StrengthCurve, StrengthPoint

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session

ROWS = 128
"""Rows that learning is measured on, at most."""


@dataclass(frozen=True)
class _Probe:
    """What the base predicts on general texts."""

    rows: Sequence[ProbeRow]
    figures: Sequence[BaseFigures]


def measure(session: "Session") -> StrengthCurve:
    """Measure every strength that is asked for, and write the curve as it grows.

    Raises NoAdapter, ExportInvalid for an adapter whose strength its files cannot tell, StopAsked,
    and what reading the named rows raises.
    """
    if not session.order.sources[0].is_adapter:
        raise NoAdapter(model=session.order.sources[0].title)
    whole = session.order.config.changed(what__strength=1.0)
    folder, left = chosen.one(
        session.order.model_copy(update={"config": whole}), session.scratch / "whole"
    )
    if left != 1:
        raise ExportInvalid("what.strengths", "@export.invalid.strength")
    rows, name = _rows(session)
    wanted = sorted({0.0, 1.0, *session.order.config.what.strengths})
    asked = Asked(trained.load_base(_base(session), session.order.allow_remote_code))
    try:
        side = _probe(session, asked)
        curve = StrengthCurve(rows=name, row_count=len(rows), probe=probe.BUNDLED)
        for number, amount in enumerate(wanted):
            session.prompts_done(number, len(wanted))
            scaled = _scaled(session, folder, amount)
            point = _point(session, asked, scaled, amount, rows, side)
            curve = curve.model_copy(update={"points": (*curve.points, point)})
            records.write_text(session.folder.strengths, curve.model_dump_json())
        return curve
    finally:
        asked.close()


def _base(session: "Session") -> Path:
    return Path(session.order.sources[0].base_folder)


def _rows(session: "Session") -> tuple[list[TestRow], str]:
    """Return the answers to learn from; none, and the user is told, where no row was kept back."""
    name, run = session.order.config.what.rows, session.order.sources[0].run
    if not name and run:
        name = f"{test_sets.HELD_OUT}{run}"
    if name:
        config = EvaluateConfig().changed(test__rows=ROWS)
        try:
            found = test_sets.read(name, config, session.home).rows
        except EasyTuneError:
            if session.order.config.what.rows:
                raise
            found = []
        if known := [row for row in found if row.reference]:
            return known, name
    session.note("strengths_no_rows")
    return [], ""


def _probe(session: "Session", asked: Asked) -> _Probe | None:
    """Read what the base predicts, without texts where it knows nothing to forget."""
    try:
        found = probe.load(probe.BUNDLED, asked.held.tokenizer, DataSection(), session.home)
    except ProbeUnusable as problem:
        session.note("strengths_no_probe", **problem.values)
        return None
    rows = shortened(found.rows, models.context_length(asked.held.model) or probe.TOKENS)
    with asked.reading(None) as reader:
        exact = fits_exactly(rows, reader.vocabulary)
        parts = reader.batches(rows)
        figures = forgetting_base.each(parts, lambda p: reader.base(p, exact), session.stop.asked)
        limit = math.log(reader.vocabulary)
    session.check_stop()
    known = [(r, f) for r, f in zip(rows, figures or (), strict=True) if f.nll < limit]
    if not known:
        session.note("strengths_no_probe", probe=probe.BUNDLED, reasons="@data.probe.empty")
        return None
    return _Probe([row for row, _ in known], [one for _, one in known])


def _scaled(session: "Session", folder: Path, amount: float) -> str | None:
    """Return the folder of the adapter at a strength; None for the base."""
    if amount == 0:
        return None
    if amount == 1:
        return str(folder)
    if not strength.can_be_halved(folder):
        raise ExportInvalid("what.strengths", "@export.invalid.strength")
    target = session.scratch / f"strength-{amount}"
    strength.scale(folder, target, amount)
    return str(target)


def _point(
    session: "Session",
    asked: Asked,
    adapter: str | None,
    amount: float,
    rows: Sequence[TestRow],
    side: _Probe | None,
) -> StrengthPoint:
    found = Likelihoods(asked, adapter, stop=session.stop.asked).measure(rows)
    session.check_stop()
    tokens = sum(one.reference_tokens for one in found if one.nll is not None)
    loss = sum(one.nll for one in found if one.nll is not None) / tokens if tokens else None
    if side is None:
        return StrengthPoint(strength=amount, loss=loss, forgetting=None)
    figures = list(_forgotten(session, asked, adapter, side))
    score = forgetting.score([one.difference for one in figures])
    return StrengthPoint(
        strength=amount,
        loss=loss,
        forgetting=score.mean,
        low=score.low,
        high=score.high,
        kl=statistics.fmean(one.kl for one in figures),
    )


def _forgotten(
    session: "Session", asked: Asked, adapter: str | None, side: _Probe
) -> Iterator[Figures]:
    bases = iter(side.figures)
    with asked.reading(adapter) as reader:
        for part in reader.batches(side.rows):
            session.check_stop()
            yield from reader.compare(part, [next(bases) for _ in part])
