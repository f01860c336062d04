"""What each model has forgotten: how far it is from its own base, see `easytune.forgetting`.

Measured on general texts as the meter of a run does, and on answers of the base itself. The base
side is read once for all models that were tuned from it, and one base is in memory at a time.
"""

import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from easytune import forgetting
from easytune.config import DataSection
from easytune.data import probe
from easytune.data.probe import ProbeRow
from easytune.data.rows import reasons_text
from easytune.engine import forgetting_base, models
from easytune.engine.evaluating import candidates, named_base, own_probe
from easytune.engine.evaluating.candidates import Asked
from easytune.engine.evaluating.session import Session
from easytune.engine.forgetting_budget import FEWEST
from easytune.engine.forgetting_figures import (
    BaseFigures,
    Figures,
    Reader,
    fits_exactly,
    shortened,
)
from easytune.errors import EasyTuneError, ProbeUnusable
from easytune.evaluation_files import Figure, Forgotten
from easytune.forgetting import Score
from easytune.found_model import FoundModel

OWN = "own"
"""What the probe of the base's own answers is called."""
OWN_FILE = "own_probe.jsonl"
"""Prompts and answers of that probe, by base, below the `out` of an evaluation."""


@dataclass(frozen=True)
class _Tuned:
    """Candidates that were tuned from the base in one folder, by their places."""

    folder: Path
    adapters: tuple[int, ...]
    wholes: tuple[int, ...]


@dataclass(frozen=True)
class _Side:
    """What a base predicts on one probe, and which tokens it knows."""

    probe: str
    rows: Sequence[ProbeRow]
    figures: Sequence[BaseFigures]
    vocabulary: int
    tokens: dict[str, int]


def run(session: Session) -> None:
    """Measure every candidate that has a base against it, on the probes that are wanted."""
    if session.order.config.measure.forgetting == "off":
        return
    found: dict[tuple[int, str], Forgotten] = {}
    for tuned in _tuned(session):
        if session.stop.asked():
            break
        with _told(session, [*tuned.adapters, *tuned.wholes]):
            for one in _measured(session, tuned):
                found[one.candidate, one.probe] = one
    session.result.forgetting += [found[key] for key in sorted(found)]


def _tuned(session: Session) -> list[_Tuned]:
    """Return the candidates by the base they were tuned from, telling of those without one."""
    by_folder: dict[Path, list[int]] = {}
    for place, candidate in enumerate(session.order.candidates):
        folder = named_base.folder_of(candidate, session.home)
        if folder is not None:
            by_folder.setdefault(folder.resolve(), []).append(place)
        elif candidate.kind != "base":
            session.result.find("forgetting_no_base", model=candidate.title)
    listed = session.order.candidates
    return [
        _Tuned(
            folder,
            tuple(place for place in places if listed[place].is_adapter),
            tuple(place for place in places if not listed[place].is_adapter),
        )
        for folder, places in by_folder.items()
    ]


def _measured(session: Session, tuned: _Tuned) -> Iterator[Forgotten]:
    """Yield what the models of one base have forgotten; the base goes before whole models come."""
    with _base(session, tuned) as asked:
        session.report.phase("probing")
        sides = list(_sides(session, asked))
        for place in tuned.adapters:
            yield from _compared(session, asked, place, sides)
    for place in tuned.wholes:
        if session.stop.asked():
            return
        with _told(session, [place]), session.base(session.order.candidates[place].base) as asked:
            session.report.phase("probing")
            if _same_tokens(session, asked, place, sides):
                yield from _compared(session, asked, place, sides)


@contextmanager
def _base(session: Session, tuned: _Tuned) -> Iterator[Asked]:
    """Have the base itself in memory, also where no candidate stands on it."""
    listed = session.order.candidates
    for one in listed:
        if Path(one.base_folder).resolve() == tuned.folder:
            with session.base(one.base) as asked:
                yield asked
            return
    session.unload()
    base = listed[tuned.wholes[0]].model_copy(update={"base_folder": str(tuned.folder)})
    asked = candidates.load(base, session.order)
    try:
        yield asked
    finally:
        asked.close()


def _sides(session: Session, asked: Asked) -> Iterator[_Side]:
    """Yield what the base predicts on each probe that is wanted."""
    wish = session.order.config.measure
    try:
        found = probe.load(wish.probe, asked.held.tokenizer, DataSection(), session.home)
    except ProbeUnusable as problem:
        session.result.find("forgetting_no_probe", **problem.values)
        return
    if found.problems:
        values = {"probe": wish.probe, "rows": len(found.problems)}
        session.result.find(
            "forgetting_rows_unusable", **values, reasons=reasons_text(found.problems)
        )
    rows = shortened(found.rows, models.context_length(asked.held.model) or probe.TOKENS)
    if wish.forgetting in ("general", "both") and (side := _general(session, asked, rows)):
        yield side
    if wish.forgetting in ("own", "both") and (side := _own(session, asked, rows)):
        yield side


def _general(session: Session, asked: Asked, rows: Sequence[ProbeRow]) -> _Side | None:
    """Read the base's side of general texts, without those where it knows nothing to forget."""
    figures = _read(session, asked, rows)
    if not figures:
        return None
    limit = math.log(_vocabulary(asked))
    known = [(row, one) for row, one in zip(rows, figures, strict=True) if one.nll < limit]
    name = session.order.config.measure.probe
    if len(known) == len(rows):
        return _side(name, asked, rows, figures)
    values = {"count": len(known), "rows": len(rows), "probe": name}
    if len(known) < min(FEWEST, len(rows)):
        session.result.find("forgetting_guesses", **values)
        return _side(name, asked, rows, figures)
    session.result.find("forgetting_unknown_texts", **values)
    return _side(name, asked, [row for row, _ in known], [one for _, one in known])


def _own(session: Session, asked: Asked, rows: Sequence[ProbeRow]) -> _Side | None:
    """Let the base answer, keep what it said, and read it."""
    seed = session.order.config.test.seed
    written = own_probe.sample(asked, rows, seed, session.stop.asked)
    figures = _read(session, asked, written)
    if not figures:
        return None
    _keep(session, asked, written)
    return _side(OWN, asked, written, figures)


def _read(session: Session, asked: Asked, rows: Sequence[ProbeRow]) -> list[BaseFigures] | None:
    exact = fits_exactly(rows, _vocabulary(asked))
    with asked.reading(None) as reader:
        parts = reader.batches(rows)
        return forgetting_base.each(parts, lambda p: reader.base(p, exact), session.stop.asked)


def _side(
    name: str, asked: Asked, rows: Sequence[ProbeRow], figures: Sequence[BaseFigures]
) -> _Side:
    tokens = asked.held.tokenizer.backend.get_vocab()
    return _Side(name, rows, figures, _vocabulary(asked), tokens)


def _vocabulary(asked: Asked) -> int:
    return int(asked.held.model.get_input_embeddings().weight.shape[0])  # type: ignore[index, arg-type]


def _same_tokens(session: Session, asked: Asked, place: int, sides: Sequence[_Side]) -> bool:
    """Tell whether a whole model reads the tokens of its base; else say so."""
    own = asked.held.tokenizer.backend.get_vocab()
    same = all(
        side.vocabulary == _vocabulary(asked) and side.tokens.items() <= own.items()
        for side in sides
    )
    if not same:
        title = session.order.candidates[place].title
        session.result.find("forgetting_other_tokens", model=title)
    return same


def _compared(
    session: Session, asked: Asked, place: int, sides: Sequence[_Side]
) -> Iterator[Forgotten]:
    """Yield how far a candidate is from its base on each probe."""
    candidate = session.order.candidates[place]
    for side in sides:
        with _told(session, [place]):
            found = _figures(asked, candidate, side, session.stop.asked)
            if found is None:
                return
            if all(math.isfinite(one.difference) and math.isfinite(one.kl) for one in found):
                yield _forgotten(place, side, found)
            else:
                session.result.find("forgetting_not_finite", model=candidate.title)


def _figures(
    asked: Asked, candidate: FoundModel, side: _Side, stop: Callable[[], bool]
) -> list[Figures] | None:
    bases = iter(side.figures)
    with asked.reading(candidates.adapter_of(candidate)) as reader:

        def compare(part: Sequence[ProbeRow], reader: Reader = reader) -> list[Figures]:
            return reader.compare(part, [next(bases) for _ in part])

        return forgetting_base.each(reader.batches(side.rows), compare, stop)


def _forgotten(place: int, side: _Side, found: Sequence[Figures]) -> Forgotten:
    total, tokens = _score(side.probe, found), sum(one.tokens for one in found)
    by_category: dict[str, list[Figures]] = {}
    for row, one in zip(side.rows, found, strict=True):
        by_category.setdefault(row.category, []).append(one)
    own = side.probe == OWN
    return Forgotten(
        candidate=place,
        probe=side.probe,
        score=total.mean,
        low=total.low,
        high=total.high,
        kl=sum(one.kl * one.tokens for one in found) / tokens
        if own
        else statistics.fmean(one.kl for one in found),
        agreement=sum(one.unchanged for one in found) / tokens,
        sequences=len(found),
        tokens=tokens,
        categories={name: _figure(side.probe, some) for name, some in by_category.items()},
    )


def _score(name: str, found: Sequence[Figures]) -> Score:
    """Return the mean difference: every sequence counts the same, on own answers every token."""
    differences = [one.difference for one in found]
    if name == OWN:
        return own_probe.divergence(differences, [one.tokens for one in found])
    return forgetting.score(differences)


def _figure(name: str, found: Sequence[Figures]) -> Figure:
    score = _score(name, found)
    if len(found) < 2:
        return Figure(value=score.mean, rows=len(found))
    return Figure(value=score.mean, low=score.low, high=score.high, rows=len(found))


def _keep(session: Session, asked: Asked, rows: Sequence[ProbeRow]) -> None:
    """Add what the base has answered to a file, for whoever wants to see it."""
    backend, path = asked.held.tokenizer.backend, session.folder.out / OWN_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for row in rows:
            ids, answer = row.input_ids.tolist(), int(row.scored.argmax())
            line = {
                "base": str(asked.held.folder),
                "id": row.id,
                "category": row.category,
                "prompt": backend.decode(ids[:answer], skip_special_tokens=False),
                "answer": backend.decode(ids[answer:], skip_special_tokens=False),
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


@contextmanager
def _told(session: Session, places: Sequence[int]) -> Iterator[None]:
    """Turn a failure into findings about the candidates it befell; the rest goes on."""
    try:
        yield
    except EasyTuneError as error:
        for place in places:
            title = session.order.candidates[place].title
            session.failed("forgetting_failed", error, model=title)
