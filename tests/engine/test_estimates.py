"""What was estimated from shapes is what a real run takes; see benchmarks/README.md for more."""

import subprocess
import sys
from pathlib import Path

import pytest

from easytune import demo, estimate, events, job, machine, model_shape
from easytune.config import TrainConfig
from easytune.data.insight import row_lengths
from easytune.engine import hardware, models, recomputing
from easytune.events import Finished
from easytune.job import Job
from tests.conftest import environment_for

# Rows enough at once for activations to count beside the libraries of the process.
LARGE = TrainConfig().changed(
    schedule__batch_size=112, schedule__max_steps=2, data__held_out_share=0.0,
    monitor__sample_tokens=0, monitor__forgetting=False,
)  # fmt: skip


def test_the_peak_of_a_real_run_is_within_15_percent_of_the_estimate(home: Path) -> None:
    lengths = row_lengths.count(LARGE, demo.MODEL, home)
    data, here = row_lengths.shape_of(lengths, LARGE), machine.look("cpu", home)
    found = estimate.estimate(LARGE, model_shape.read(demo.MODEL), data, here)
    assert found.parts["activations"] > 0.25

    folder = job.create(home / "runs", Job(config=LARGE))
    subprocess.run(
        [sys.executable, "-m", "easytune.engine.worker", str(folder.path)],
        env=environment_for(home), check=True, capture_output=True,
    )  # fmt: skip
    end = events.read(folder.events)[0][-1]
    assert isinstance(end, Finished)
    assert end.metrics["peak_memory_gb"] == pytest.approx(found.peak_gb, rel=0.15)


def test_the_engine_recomputes_where_the_estimate_says_so() -> None:
    loaded = models.load(LARGE, demo.MODEL)
    free = hardware.free_memory_gb(loaded.device)
    for tokens, wanted in ((100, False), (int(free * 2e5), True)):
        load = estimate.Load(tokens, tokens, 50)
        assert recomputing.is_needed(LARGE, demo.MODEL, loaded, load) is wanted
    asked = LARGE.changed(memory__gradient_checkpointing="on")
    assert recomputing.is_needed(asked, demo.MODEL, loaded, estimate.Load(1, 1, 1))
