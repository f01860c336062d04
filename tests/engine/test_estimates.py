"""What was estimated from shapes is what a real run takes; see benchmarks/README.md for more."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from easytune import demo, estimate, events, job, machine, model_shape
from easytune.config import TrainConfig
from easytune.data.insight import row_lengths
from easytune.engine import batching, hardware, models, probe, recomputing
from easytune.engine.models import Loaded
from easytune.estimate import activations
from easytune.estimate.load import Format
from easytune.events import Finished
from easytune.job import Job
from tests.conftest import environment_for
from tests.engine import tiny

# Rows enough at once for activations to count beside the libraries of the process.
LARGE = TrainConfig().changed(
    schedule__batch_size=112, schedule__max_steps=1, data__held_out_share=0.0,
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


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("llama", {}),
        ("llama", {"memory__precision": "bf16"}),
        ("llama", {"lora__dropout": 0.1}),
        ("llama", {"lora__use_dora": True}),
        ("llama", {"model__method": "full"}),
        ("qwen3", {"lora__target_modules": ("attention",)}),
        ("gemma2", {}),
        ("phi", {}),
        ("phi3", {}),
        ("gpt2", {}),
        ("deepseek_v3", {}),
    ],
)
def test_layers_keep_for_the_backward_what_was_estimated(
    family: str, options: dict[str, Any], tmp_path: Path
) -> None:
    folder = tiny.save_folder(
        tmp_path, family, hidden_size=128, intermediate_size=320, head_dim=32,
        moe_intermediate_size=96, q_lora_rank=48, kv_lora_rank=32, qk_rope_head_dim=32,
        qk_nope_head_dim=32, v_head_dim=32,
    )  # fmt: skip
    config = TrainConfig().changed(model__base_model=str(folder), lora__rank=4, **options)
    rows = tiny.examples(count=6, longest=80)
    loaded = models.load(config, folder)
    measured = _kept_by_layers(loaded, batching.packed(rows))

    lengths = [len(row.input_ids) for row in rows]
    load = estimate.Load(sum(lengths), 1, max(lengths), sum(length**2 for length in lengths))
    shape, here = model_shape.read(folder), machine.look("cpu", tmp_path)
    form = Format.of(config, shape, here)
    found = shape.layers * activations.of_layer(config, shape, load, form, here)
    assert found == pytest.approx(measured, rel=0.15)


def _kept_by_layers(loaded: Loaded, batch: batching.Batch) -> int:
    """Return the bytes of what autograd saves in the layers of a model, its weights left out."""
    kept: dict[int, Any] = {}
    inside: list[bool] = []

    def saved(tensor: Tensor) -> Tensor:
        if inside:
            # Held, so that no other tensor takes its place.
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage
        return tensor

    for layer in probe.layers(loaded.base):
        layer.register_forward_pre_hook(lambda *_: inside.append(True))
        layer.register_forward_hook(lambda *_: inside.clear())
    loaded.model.train()
    with torch.autograd.graph.saved_tensors_hooks(saved, lambda tensor: tensor):
        loaded.model(**batch)
    weights = {p.untyped_storage().data_ptr() for p in loaded.model.parameters()}
    return sum(storage.nbytes() for place, storage in kept.items() if place not in weights)


def test_the_engine_recomputes_where_the_estimate_says_so() -> None:
    loaded = models.load(LARGE, demo.MODEL)
    free = hardware.free_memory_gb(loaded.device)
    for tokens, wanted in ((100, False), (int(free * 2e5), True)):
        load = estimate.Load(tokens, tokens, 50)
        assert recomputing.is_needed(LARGE, demo.MODEL, loaded, load) is wanted
    asked = LARGE.changed(memory__gradient_checkpointing="on")
    assert recomputing.is_needed(asked, demo.MODEL, loaded, estimate.Load(1, 1, 1))
