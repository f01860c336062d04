"""What a model has learned and forgotten at several strengths of its adapter.

One base is in memory, and the adapter is put into it at each strength in turn: every weight that it
changes lies on the line from the base's to the trained one. For low-rank products that is the same
as scaling alpha; for DoRA and modules trained whole it is how Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models", mix a model with the one that it was tuned from. Learning is the
loss on answers that were kept back, forgetting what `easytune.forgetting` says it is.
"""

import hashlib
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from easytune import forgetting, paths, records, strength
from easytune.config import DataSection
from easytune.data import probe, test_sets
from easytune.data.probe import ProbeRow
from easytune.engine import forgetting_base, hardware, models
from easytune.engine.arithmetic import chosen
from easytune.engine.evaluating.candidates import Asked
from easytune.engine.evaluating.likelihood import Likelihoods
from easytune.engine.exporting import trained
from easytune.engine.forgetting_figures import BaseFigures, Figures, fits_exactly, shortened
from easytune.errors import EasyTuneError, ProbeUnusable
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import TestRow
from easytune.export_errors import NoAdapter
from easytune.export_files import ExportFolder, StrengthCurve, StrengthPoint

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

    What an earlier job has measured of the same models on the same rows is taken over. Raises
    NoAdapter, ExportInvalid for an adapter that only PEFT can apply, StopAsked, and what reading
    the named rows raises.
    """
    if not session.order.sources[0].is_adapter:
        raise NoAdapter(model=session.order.sources[0].title)
    whole = session.order.config.changed(what__strength=1.0)
    folder, share = chosen.one(
        session.order.model_copy(update={"config": whole}), session.scratch / "whole"
    )
    strength.refuse_without(folder)
    rows, name = _rows(session)
    wanted = sorted({0.0, 1.0, *session.order.config.what.strengths})
    mark = _mark(session, rows)
    kept = _measured_before(session, mark, wanted)
    curve = StrengthCurve(
        rows=name, row_count=len(rows), probe=probe.BUNDLED, points=tuple(kept), mark=mark
    )
    records.write_text(session.folder.strengths, curve.model_dump_json())
    missing = [amount for amount in wanted if amount not in {one.strength for one in kept}]
    return _grown(session, curve, missing, rows, folder, share) if missing else curve


def _grown(
    session: "Session",
    curve: StrengthCurve,
    missing: Sequence[float],
    rows: Sequence[TestRow],
    folder: Path,
    share: float,
) -> StrengthCurve:
    """Measure what is missing; `share` is what strength 1 is of the adapter in `folder`."""
    asked = Asked(trained.load_base(_base(session), session.order.allow_remote_code))
    try:
        side = _probe(session, asked)
        for number, amount in enumerate(missing):
            session.prompts_done(number, len(missing))
            adapter = asked.attached.at(str(folder), amount * share) if amount else None
            point = _point(session, asked, adapter, amount, rows, side)
            points = sorted((*curve.points, point), key=lambda one: one.strength)
            curve = curve.model_copy(update={"points": tuple(points)})
            records.write_text(session.folder.strengths, curve.model_dump_json())
        return curve
    finally:
        asked.close()


def _mark(session: "Session", rows: Sequence[TestRow]) -> str:
    """Return what changes whenever another figure would be measured."""
    order, what = session.order, session.order.config.what
    sources = [(one.fingerprint, one.base_fingerprint, one.weight) for one in order.sources]
    how = (what.merge, what.density, what.seed) if len(sources) > 1 else ()
    device = str(hardware.device("auto", "loading.device"))
    parts = [sources, how, device, trained.precision(_base(session)), order.versions]
    texts = [json.dumps(parts), *(row.model_dump_json() for row in rows)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _measured_before(session: "Session", mark: str, wanted: Sequence[float]) -> list[StrengthPoint]:
    """Return the points that earlier jobs have measured, whether they came to their end or not."""
    found: dict[float, StrengthPoint] = {}
    for path in sorted(paths.exports(session.home).iterdir()):
        curve = ExportFolder(path).curve()
        if curve is not None and curve.mark == mark:
            found |= {one.strength: one for one in curve.points}
    kept = [found[amount] for amount in wanted if amount in found]
    if kept:
        session.note("strengths_kept", kept=len(kept), wanted=len(wanted))
    return kept


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
