"""What the live panel says, in the words of the person who reads it."""

from pathlib import Path

import pytest

from easytune import events, job, paths
from easytune.config import TrainConfig
from easytune.events import Evaluated, Failed
from easytune.job import Job
from easytune.services.story import Fold
from easytune.webui import run_view


@pytest.mark.parametrize(
    ("lang", "expected"),
    [
        ("en", "Gradient checkpointing: Automatic → <b>On</b>"),
        ("zh", "梯度检查点: 自动 → <b>开</b>"),
    ],
)
def test_a_fix_is_told_in_the_words_of_the_form(lang: str, expected: str) -> None:
    failed = Failed(code="out_of_memory", values={"device": "cpu", "batch_size": 8})
    card = run_view.failure(failed, TrainConfig(), lang)
    assert expected in card


def test_lists_and_switches_are_not_shown_as_python_writes_them() -> None:
    config = TrainConfig().changed(lora__target_modules=("q_proj", "nonsense"))
    missing = Failed(code="target_module_missing", values={"module": "x", "available": "y"})
    assert "q_proj, nonsense → <b>all-linear</b>" in run_view.failure(missing, config, "en")
    config = TrainConfig().changed(memory__torch_compile=True)
    values = {"option": "memory.torch_compile", "reason": "z"}
    refused = Failed(code="option_unsupported", values=values)
    assert "on → <b>off</b>" in run_view.failure(refused, config, "en")


def test_the_held_out_loss_stands_beside_what_it_was_before(home: Path) -> None:
    folder = job.create(paths.runs(home), Job(config=TrainConfig()))
    for step, loss in ((0, 3.5), (10, 1.25), (20, 1.5)):
        events.append(folder.events, Evaluated(step=step, epoch=0.0, loss=loss, best=False))

    [told] = [
        fact
        for fact in run_view.facts(Fold(folder).tell(), TrainConfig(), "en")
        if fact.name == "held-out"
    ]

    assert (told.value, told.note) == ("1.5000", "best 1.2500 at step 10 · 3.5000 before training")
