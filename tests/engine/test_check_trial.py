"""What one try of a launch check finds out, with real steps of a real (small) model."""

import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from easytune import events
from easytune.config import TrainConfig
from easytune.engine import chosen_steps, sweep, trial
from easytune.engine.batching import StepBatches
from easytune.events import Finished, Swept, Trial
from easytune.job import CheckWishes, Job, create
from tests.engine import tiny
from tests.engine.ran import Ran

Try = Callable[..., Ran]


@pytest.fixture
def tried(tmp_path: Path) -> Try:
    """Try a configuration in this process: `tried(config, steady=True)`."""

    def run(config: TrainConfig, **wishes: Any) -> Ran:
        order = Job(task="check", config=config, wishes=CheckWishes(**wishes))
        folder = create(tmp_path / "home" / "checks", order)
        return Ran(folder, trial.run(folder, tmp_path / "home"))

    return run


def test_a_try_tells_what_the_run_will_take_and_which_rate_learns(
    config: TrainConfig, tried: Try
) -> None:
    config = config.changed(schedule__epochs=2)
    ran = tried(config, range_test=True)
    [made] = ran.of(Trial)
    [ending] = ran.of(Finished)
    assert made.outcome == "fits"
    # 22 rows to learn from in steps of 4, twice.
    assert ending.metrics["total_steps"] == 12
    assert ending.metrics["total_seconds"] > ending.metrics["training_seconds"] > 0
    assert made.peak_memory_gb > 0.1
    assert made.step_seconds > 0
    assert len(made.losses) >= 2
    assert min(made.grad_norms) > 0
    assert ran.notices() == set()
    points = [(point.learning_rate, point.loss) for point in ran.of(Swept)]
    assert points[0][0] == pytest.approx(1e-5)
    assert all(later > earlier for (earlier, _), (later, _) in pairwise(points))
    assert 1e-4 < ending.metrics["suggested_rate"] < points[-1][0]


def test_the_heaviest_micro_batches_of_the_run_come_first() -> None:
    run = StepBatches([5, 90, 7, 40, 6, 8, 30, 9, 100, 4], 2, 2, seed=1, packed=True)
    heaviest = 0
    for epoch in range(3):
        run.set_epoch(epoch)
        heaviest = max(heaviest, *run.tokens_at_once())
    chosen = chosen_steps.heaviest_first(run, epochs=3, longest=2, usual=1)
    at_once = list(chosen.tokens_at_once())
    assert max(at_once[:4]) == heaviest
    assert max(at_once[2:4]) == heaviest
    # Every step is whole: the trainer counts micro-batches.
    assert len(at_once) == len(chosen) == 6


def test_being_short_of_memory_ends_in_a_verdict(config: TrainConfig, tmp_path: Path) -> None:
    wide = tiny.save_folder(tmp_path / "wide", hidden_size=256, intermediate_size=4096)
    config = config.changed(
        model__base_model=str(wide),
        schedule__batch_size=22,
        memory__gradient_checkpointing="off",
        monitor__sample_tokens=0,
    )
    order = Job(task="check", config=config, wishes=CheckWishes(memory_gb=0.001))
    folder = create(tmp_path / "home" / "checks", order)
    # Of its own, for the limit holds for as long as the process lives.
    child = os.fork()
    if child == 0:
        os._exit(trial.run(folder, tmp_path / "home", limited=True))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    made = [e for e in events.read(folder.events)[0] if isinstance(e, Trial)]
    assert [(one.outcome, one.code) for one in made] == [("out_of_memory", "out_of_memory")]


def test_the_suggested_rate_keeps_its_distance_from_where_the_loss_explodes() -> None:
    losses = [3.0, 3.0, 2.9, 2.6, 2.0, 1.6, 1.5, 1.5, 4.0]
    curve = [(10.0 ** (place - 6), loss) for place, loss in enumerate(losses)]
    assert sweep.exploded(curve)
    # Steepest from 1e-3 to 1e-2; the explosion is far away, at 100.
    assert sweep.suggested(curve) == pytest.approx(1e-2, rel=0.01)
    near = [*curve[:6], (0.15, 4.0)]
    assert sweep.suggested(near) == pytest.approx(1e-2, rel=0.01)
    assert sweep.suggested(curve[:6], exploded_at=0.02) == pytest.approx(2e-3)
    assert sweep.suggested([(rate, 3.0) for rate, _ in curve]) is None


def test_rows_that_are_harder_than_others_do_not_move_the_curve() -> None:
    levelled, rows = sweep.Levelled(3), [9.0, 6.0, 7.5]
    assert [levelled.after(loss) for loss in rows] == [None] * 3
    assert [levelled.after(loss) for loss in rows] == [7.5] * 3
    assert [levelled.after(loss / 2) for loss in rows] == [3.75] * 3
    assert [levelled.after(loss + 4) for loss in rows] == [11.5] * 3


def test_a_loss_that_rose_on_the_way_has_risen() -> None:
    assert sweep.risen_to([7.8, 14.0, 13.0, 12.0, 7.0, 6.0]) == 13.0
    assert sweep.risen_to([3.0, 3.3, 2.9, 2.5, 2.6, 2.4]) is None


def test_a_rate_that_diverges_is_told_before_the_run(config: TrainConfig, tried: Try) -> None:
    wild = config.changed(model__method="full", optim__learning_rate=1.0)
    ran = tried(wild, steady=True)
    assert ran.notices() & {"check_diverges", "check_diverges_at_once"}
    assert ran.end.kind == "finished"


def test_rows_that_teach_nothing_and_answers_that_never_end_are_told(
    config: TrainConfig, tried: Try, tmp_path: Path
) -> None:
    rows = tiny.save_rows(tmp_path / "more.jsonl")
    too_long = json.dumps({"instruction": "colour " * 60, "output": "red"})
    rows.write_text(rows.read_text() + f"\n{too_long}" * 3)
    template = tmp_path / "endless.jinja"
    template.write_text(
        "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}<pad>{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant: {% endif %}"
    )
    ran = tried(
        config.changed(
            data__datasets=(str(rows),),
            data__max_length=60,
            data__held_out_share=0,
            data__chat_template=str(template),
        )
    )
    told = {notice.code: notice.values for notice in ran.of(events.Notice)}
    assert told["check_unsupervised"] == {"count": 3, "rows": 27}
    assert told["check_never_ends"]["token"] == "<pad>"


def test_weights_that_are_no_numbers_are_not_blamed_on_the_rate(
    config: TrainConfig, tried: Try, tmp_path: Path
) -> None:
    folder = tiny.save_folder(tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"].fill_(torch.nan)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    ran = tried(config.changed(model__base_model=str(folder)))
    assert "check_not_finite" in ran.notices()
    assert [(one.outcome, one.code) for one in ran.of(Trial)] == [("failed", "diverged")]
