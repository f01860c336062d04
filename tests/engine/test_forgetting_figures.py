"""Figures of single sequences, how they are kept, and what is left out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from easytune.data.probe import ProbeRow
from easytune.engine import attention, forgetting_base, forgetting_files, probe
from easytune.engine.forgetting_budget import Budget, Timing, Work
from easytune.engine.forgetting_figures import LIKELIEST, Reader, fits_exactly
from easytune.engine.forgetting_files import BaseSide
from easytune.engine.models import Loaded
from easytune.engine.reporting import Reporter
from easytune.events import Notice, read
from tests.engine import tiny


def loaded(family: str, packing: bool = True) -> Loaded:
    model = tiny.model(family)
    attention.register()
    plan = probe.plan(model, "auto", packing)
    probe.apply(model, plan)
    return Loaded(model, model, plan, torch.device("cpu"), torch.float32, autocast=False)


def rows(count: int = 6) -> list[ProbeRow]:
    examples = tiny.examples(count, longest=20)
    return [ProbeRow(f"{i}", "random", e.input_ids, e.trained) for i, e in enumerate(examples)]


def shake(model: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize(("family", "packing"), [("qwen2", True), ("gemma2", False)])
def test_kl_over_the_likeliest_tokens_is_a_lower_bound_of_the_exact_one(
    family: str, packing: bool
) -> None:
    run = loaded(family, packing)
    reader, given = Reader(run, pad_id=0), rows()
    whole, part = reader.base(given, exact=True), reader.base(given, exact=False)
    assert part[0].log_probs.shape[-1] == LIKELIEST < tiny.VOCABULARY
    # The same model as transformers alone would run it.
    plain = tiny.model(family)
    for model in (run.base, plain):
        shake(model)
    exact, bound = reader.compare(given, whole), reader.compare(given, part)
    for row, a, b, base in zip(given, exact, bound, whole, strict=True):
        logits = plain(input_ids=torch.from_numpy(row.input_ids).long()[None]).logits[0]
        places = np.flatnonzero(row.scored) - 1
        log_q = logits[places].detach().log_softmax(-1)
        kl = (base.log_probs.exp() * (base.log_probs - log_q)).sum(-1).mean()
        assert a.kl == pytest.approx(float(kl), rel=1e-3, abs=1e-5)
        assert 0.3 * a.kl <= b.kl <= a.kl + 1e-6
        assert (a.difference, a.unchanged) == (b.difference, b.unchanged)


def test_the_base_side_is_read_back_as_it_was_kept(tmp_path: Path) -> None:
    reader, given = Reader(loaded("llama"), pad_id=0), rows()
    for exact in (True, False):
        side = BaseSide(given, reader.base(given, exact), exact)
        forgetting_files.write_base(tmp_path, "texts", "mark", side)
        found = forgetting_files.read_base(tmp_path, "mark", given)
        assert found is not None
        assert found.exact == exact
        assert all(f.difference == f.kl == 0 for f in reader.compare(given, found.figures))
    assert forgetting_files.read_base(tmp_path, "other texts", given) is None
    # Of a probe of which only a part was measured, in another order, it is that part.
    few = BaseSide([given[4], given[1]], reader.base([given[4], given[1]], exact=True), exact=True)
    forgetting_files.write_base(tmp_path, "texts", "mark", few)
    found = forgetting_files.read_base(tmp_path, "mark", given)
    assert found is not None
    assert [row.id for row in found.rows] == ["4", "1"]
    arrays = tmp_path / "base.npz"
    arrays.write_bytes(arrays.read_bytes()[:-300])
    assert forgetting_files.read_base(tmp_path, "mark", given) is None


def test_what_the_base_predicts_worse_than_chance_is_left_out(tmp_path: Path) -> None:
    run, plain = loaded("llama"), tiny.model("llama")
    known = [_likely_row(plain, i) for i in range(10)]
    strange = [ProbeRow(f"{i}", "strange", _reversed_odds(plain, i), SCORED) for i in range(10)]
    mixed = [row for pair in zip(strange, known, strict=True) for row in pair]
    report = Reporter(tmp_path / "events.jsonl")
    budget = Budget(Work(tokens=100_000, micro_batches=100, evaluations=10))
    side = forgetting_base.read(Reader(run, 0), mixed, budget, 1, report, lambda: False)
    assert side is not None
    assert {row.category for row in side.rows} == {"known"}
    assert len(side.rows) == 10
    [notice] = read(tmp_path / "events.jsonl")[0]
    assert isinstance(notice, Notice)
    assert notice.values == {"count": 10, "rows": 20}


def test_a_score_on_texts_that_the_base_only_guesses_is_said_to_say_little(tmp_path: Path) -> None:
    run, plain = loaded("llama"), tiny.model("llama")
    strange = [ProbeRow(f"{i}", "strange", _reversed_odds(plain, i), SCORED) for i in range(10)]
    report = Reporter(tmp_path / "events.jsonl")
    budget = Budget(Work(tokens=100_000, micro_batches=100, evaluations=10))
    side = forgetting_base.read(Reader(run, 0), strange, budget, 1, report, lambda: False)
    assert side is not None
    [notice] = read(tmp_path / "events.jsonl")[0]
    assert isinstance(notice, Notice)
    assert (notice.code, notice.values["count"]) == ("forgetting_guesses", len(side.rows))


SCORED = np.arange(8) > 0


def _likely_row(model: Any, first: int) -> ProbeRow:
    return ProbeRow(f"known {first}", "known", _walk(model, first, largest=True), SCORED)


def _reversed_odds(model: Any, first: int) -> np.ndarray:
    return _walk(model, first, largest=False)


def _walk(model: Any, first: int, largest: bool) -> np.ndarray:
    """Return a start and seven times the next token that the model finds most or least likely."""
    ids = [10 + first]
    for _ in range(7):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
        ids.append(int(logits.argmax() if largest else logits.argmin()))
    return np.array(ids, dtype=np.int32)


def test_only_what_fits_in_64_mib_is_kept_whole() -> None:
    given = rows(4)
    scored = sum(int(row.scored.sum()) for row in given)
    limit = (64 << 20) // (4 * scored)
    assert fits_exactly(given, limit)
    assert not fits_exactly(given, limit + 1)


@pytest.mark.parametrize("steps", [60, 300, 3000])
@pytest.mark.parametrize("slower_than_planned", [0.75, 1.0, 3.0])
def test_measuring_stays_within_five_percent_of_training(
    steps: int, slower_than_planned: float
) -> None:
    """Steps of 400 tokens at 2.5 forwards each, sequences of 100, a millisecond per 10 tokens."""
    work = Work(tokens=400 * steps, micro_batches=steps, evaluations=10)
    budget, step_s = Budget(work), 400 * 2.5e-4 * slower_than_planned
    budget.estimate(Timing(100, 0.01), Timing(400, 0.04), at_once=1000)
    count = budget.sequences(mean=100, available=64, starts=1)
    assert count >= 8
    budget.expect(100 * count)
    budget.spent = 0.01 * count
    for evaluation in range(1, 11):
        if evaluation == 10 or budget.allows(10 - evaluation, step_s * steps):
            budget.took(0.01 * count)
    assert budget.spent <= 0.05 * step_s * steps
    if steps == 3000:
        assert (count, round(budget.spent / 0.01)) == (64, 64 * 11)
