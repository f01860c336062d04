"""Estimates follow from shapes: larger where more is kept, and what is proposed really fits.

How near they are to real runs is measured in `tests/engine/test_estimates.py`.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from easytune import demo, estimate, machine, model_shape
from easytune.config import TrainConfig
from easytune.estimate import changes_that_fit, lightest_fit, room_gb
from easytune.shapes import DataShape, Group, Linear, Machine, ModelShape

LAYERS: tuple[tuple[str, int, int, Group], ...] = (
    ("q_proj", 4096, 4096, "attention"), ("k_proj", 4096, 4096, "attention"),
    ("v_proj", 4096, 4096, "attention"), ("o_proj", 4096, 4096, "attention"),
    ("gate_proj", 4096, 11008, "mlp"), ("up_proj", 4096, 11008, "mlp"),
    ("down_proj", 11008, 4096, "mlp"),
)  # fmt: skip
SEVEN_B = ModelShape(
    family="llama", hidden=4096, layers=32, inner=11008, heads=32, kv_heads=32, vocabulary=32000,
    context=4096, parameters=6_738_000_000, tied=False, stored_bytes=2.0,
    linears=tuple(Linear(name, ins, outs, 32, part) for name, ins, outs, part in LAYERS),
)  # fmt: skip
DATA = DataShape(
    rows=10_000, held_out=100, supervised_tokens=1_500_000, total_tokens=2_500_000, longest=1024,
    mean=250.0, p95=600, truncated=0, steps_per_epoch=1250, total_steps=3750, largest_batch=3600,
    largest_supervised=2200,
)  # fmt: skip
GPU = Machine("cuda", "a GPU", 24.0, 24.0, True, 8, 500.0, True, gflops=150_000.0)
CPU = Machine("cpu", "a processor", 64.0, 64.0, True, 8, 500.0, False)
DEFAULT = TrainConfig()


def _same(_: TrainConfig) -> DataShape:
    return DATA


def _peak(config: TrainConfig, where: Machine = GPU) -> float:
    return estimate.estimate(config, SEVEN_B, DATA, where).peak_gb


def test_seven_billion_weights_in_bf16_take_their_two_bytes_each() -> None:
    found = estimate.estimate(DEFAULT, SEVEN_B, DATA, GPU)
    assert found.parts["weights"] == pytest.approx(13.5, abs=0.1)
    assert found.peak_gb == pytest.approx(sum(found.parts.values()))
    assert found.parts["optimizer"] == pytest.approx(2 * found.parts["adapter"])


def test_what_saves_memory_lowers_the_estimate() -> None:
    kept = DEFAULT.changed(memory__gradient_checkpointing="off")
    recomputed = DEFAULT.changed(memory__gradient_checkpointing="on")
    bits = [
        recomputed.changed(model__method="qlora", memory__quantization_bits=bits) for bits in (8, 4)
    ]
    assert _peak(kept) > _peak(recomputed) > _peak(bits[0]) > _peak(bits[1])
    assert _peak(kept) > _peak(kept.changed(lora__target_modules=("attention",)))
    full = recomputed.changed(model__method="full")
    assert _peak(full, CPU) > 16 * 6.7
    assert _peak(full, CPU) > _peak(full.changed(optim__optimizer="adamw_8bit"), CPU) + 30


def test_what_is_split_among_processes_is_counted_once() -> None:
    lora = DEFAULT.changed(memory__processes=4, memory__gradient_checkpointing="on")
    full = lora.changed(model__method="full", memory__precision="fp32")
    found = {
        (config.model.method, sharding, where.device): estimate.estimate(
            config.changed(memory__sharding=sharding), SEVEN_B, DATA, where
        ).parts
        for config, sharding in ((lora, "none"), (lora, "fsdp"), (full, "none"), (full, "zero2"))
        for where in (GPU, CPU)
    }
    # Each GPU has a quarter of the layers, all of what is around them, and two layers being used.
    layers = 2 * sum(linear.inputs * linear.outputs * linear.count for linear in SEVEN_B.linears)
    around = 2 * SEVEN_B.parameters - layers
    share = (around + layers / 4 + 2 * layers / 32) / 1e9
    assert found["lora", "fsdp", "cuda"]["weights"] == pytest.approx(share)
    # The processes of a processor share its memory: the parts make one base again.
    whole = 2 * SEVEN_B.parameters / 1e9
    assert found["lora", "none", "cpu"]["weights"] == pytest.approx(4 * whole)
    assert whole < found["lora", "fsdp", "cpu"]["weights"] < 1.4 * whole
    # AdamW's two states and the copy that learns, a quarter each.
    trained = 4 * SEVEN_B.parameters / 1e9
    assert found["full", "none", "cuda"]["optimizer"] == pytest.approx(2 * trained)
    assert found["full", "zero2", "cuda"]["optimizer"] == pytest.approx(3 * trained / 4)
    assert found["full", "zero2", "cuda"]["weights"] == found["full", "none", "cuda"]["weights"]
    for device in ("cuda", "cpu"):
        kept, split = (sum(found["full", kind, device].values()) for kind in ("none", "zero2"))
        assert split < kept - trained


def test_automatic_checkpointing_is_foreseen_where_memory_is_short() -> None:
    assert estimate.estimate(DEFAULT, SEVEN_B, DATA, GPU).checkpointing
    roomy = replace(GPU, free_gb=140.0)
    assert not estimate.estimate(DEFAULT, SEVEN_B, DATA, roomy).checkpointing


def test_the_shortest_list_of_changes_makes_it_fit() -> None:
    large = DEFAULT.changed(
        memory__gradient_checkpointing="off", schedule__batch_size=16, data__max_length=1024
    )
    assert estimate.estimate(large, SEVEN_B, DATA, GPU).verdict == "too_much"
    changes = changes_that_fit(large, SEVEN_B, _same, GPU)
    assert [change.options for change in changes] == [{"memory.gradient_checkpointing": "on"}]
    assert changes[-1].peak_gb <= room_gb(GPU)

    small = replace(GPU, free_gb=9.0)
    more = changes_that_fit(large, SEVEN_B, _same, small)
    assert {"model.method": "qlora", "memory.quantization_bits": 4} in [c.options for c in more]
    assert more[-1].peak_gb <= room_gb(small) < more[0].peak_gb
    assert all(path != "data.max_length" for change in more for path in change.options)


def test_a_change_takes_what_the_estimate_says_once_it_is_made() -> None:
    def uneven(config: TrainConfig) -> DataShape:
        """Lay out rows of which one is far longer than the others."""
        return replace(DATA, largest_batch=1024 + 200 * config.schedule.batch_size)

    large = DEFAULT.changed(schedule__batch_size=256)
    changes = changes_that_fit(large, SEVEN_B, uneven, GPU)
    assert changes
    for change in changes:
        large = large.changed(**{path.replace(".", "__"): v for path, v in change.options.items()})
    made = estimate.estimate(large, SEVEN_B, uneven(large), GPU)
    assert changes[-1].peak_gb == pytest.approx(made.peak_gb)
    assert made.verdict != "too_much"


def test_nothing_is_proposed_where_it_fits_or_nothing_helps() -> None:
    assert changes_that_fit(DEFAULT, SEVEN_B, _same, GPU) == []
    tiny = replace(GPU, free_gb=2.0)
    assert changes_that_fit(DEFAULT, SEVEN_B, _same, tiny) == []
    assert lightest_fit(DEFAULT, SEVEN_B, DATA, tiny) is None


def test_the_lightest_fit_is_no_lighter_than_it_must_be() -> None:
    assert lightest_fit(DEFAULT, SEVEN_B, DATA, GPU) == DEFAULT
    tight = replace(GPU, free_gb=15.5)
    found = lightest_fit(DEFAULT, SEVEN_B, DATA, tight)
    assert found
    assert found.model.method == "lora"
    assert found.effective_batch_size == DEFAULT.effective_batch_size


def test_time_comes_from_an_earlier_run_else_from_a_speed_test() -> None:
    probed = estimate.estimate(DEFAULT, SEVEN_B, DATA, GPU)
    assert probed.pace_source == "probe"
    assert probed.tokens_per_second
    assert probed.seconds
    # A 7B model on a GPU of 150 TFLOP/s: thousands of tokens a second, not tens.
    assert 1_000 < probed.tokens_per_second < 8_000
    known = estimate.estimate(DEFAULT, SEVEN_B, DATA, GPU, _Pace("mine", 1000.0))
    assert (known.pace_source, known.pace_run) == ("run", "mine")
    # Three epochs of 2.5 million tokens, and a little for looks at the held-out rows and loading;
    # the forgetting meter takes a twentieth.
    without = DEFAULT.changed(monitor__forgetting=False)
    plain = estimate.estimate(without, SEVEN_B, DATA, GPU, _Pace("mine", 1000.0))
    assert plain.seconds == pytest.approx(7_500, rel=0.02)
    assert known.seconds == pytest.approx(7_875, rel=0.02)
    assert estimate.estimate(DEFAULT, SEVEN_B, DATA, CPU).seconds is None


class _Pace:
    def __init__(self, run: str, tokens_per_second: float) -> None:
        self.run, self.tokens_per_second = run, tokens_per_second


def test_without_counted_rows_the_longest_are_assumed() -> None:
    shape = model_shape.read(demo.MODEL)
    here = machine.look("cpu", Path())
    full = DEFAULT.changed(data__packing=False, memory__gradient_checkpointing="off")
    unknown = estimate.estimate(full, shape, None, here)
    assert unknown.total_steps is None
    assert unknown.peak_gb > estimate.estimate(full, shape, DATA, here).peak_gb


def test_checkpoints_of_a_full_fine_tuning_need_much_more_disk() -> None:
    adapter = estimate.estimate(DEFAULT, SEVEN_B, DATA, GPU)
    whole = estimate.estimate(DEFAULT.changed(model__method="full"), SEVEN_B, DATA, GPU)
    assert adapter.fits_disk
    assert whole.disk_gb > 100 * adapter.disk_gb


def test_processes_share_the_memory_of_a_processor_and_have_a_gpu_each() -> None:
    two = DEFAULT.changed(memory__processes=2)
    # Gradients lie a second time in the buckets in which they are averaged.
    buckets = estimate.estimate(DEFAULT, SEVEN_B, DATA, GPU).parts["gradients"]
    assert _peak(two) == pytest.approx(_peak(DEFAULT) + buckets)
    one, two = (given.changed(data__packing=False) for given in (DEFAULT, two))
    assert _peak(two, CPU) == pytest.approx(2 * (_peak(one, CPU) + buckets))


def test_a_processor_takes_packs_in_parts_where_no_other_has_to_meet_it() -> None:
    twice = replace(DATA, largest_batch=2 * DATA.largest_batch)
    kept = DEFAULT.changed(memory__gradient_checkpointing="off")
    whole = [
        kept.changed(data__packing=False), kept.changed(memory__processes=2),
        kept.changed(optim__neftune_alpha=5.0), kept.changed(optim__optimizer="lomo"),
    ]  # fmt: skip
    cases = [(CPU, kept, False), (GPU, kept, True), *((CPU, one, True) for one in whole)]
    for device, config, grows in cases:
        before, after = (
            estimate.estimate(config, SEVEN_B, data, device).parts["activations"]
            for data in (DATA, twice)
        )
        assert (after > 1.2 * before) is grows
