"""Settings get lighter rung by rung, and learn the same as long as they can."""

import itertools

from easytune.config import TrainConfig
from easytune.ladder import next_rung, rungs
from easytune.remedies import changes


def test_the_ladder_begins_with_the_settings_themselves_and_ends_at_four_bits() -> None:
    given = TrainConfig().changed(schedule__batch_size=4, data__max_length=256)
    found = list(rungs(given, quantize=True))
    told = [
        [f"{path}={value}" for path, _, value in changes(above, below)]
        for above, below in itertools.pairwise(found)
    ]
    assert found[0] == given
    assert told == [
        ["schedule.batch_size=2", "schedule.gradient_accumulation=2"],
        ["schedule.batch_size=1", "schedule.gradient_accumulation=4"],
        ["memory.gradient_checkpointing=on"],
        ["data.max_length=128"],
        ["model.method=qlora", "memory.quantization_bits=8"],
        ["memory.quantization_bits=4"],
    ]


def test_without_quantization_it_ends_with_the_shortest_rows() -> None:
    *_, last = rungs(TrainConfig(), quantize=False)
    assert (last.model.method, last.data.max_length, last.schedule.batch_size) == ("lora", 128, 1)
    assert next_rung(last) is None


def test_a_split_base_is_never_quantized() -> None:
    split = TrainConfig().changed(memory__processes=2, memory__sharding="fsdp")
    *_, last = rungs(split, quantize=True)
    assert last.model.method == "lora"


def test_a_batch_that_cannot_be_halved_evenly_keeps_about_its_rows() -> None:
    odd = TrainConfig().changed(schedule__batch_size=5, schedule__gradient_accumulation=3)
    sizes = {config.effective_batch_size for config in rungs(odd)}
    assert sizes <= {15, 16}
