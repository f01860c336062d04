"""Ever lighter settings of a run: what to try when memory is short, the gentlest change first."""

from collections.abc import Iterator

from easytune.config import TrainConfig

SHORTEST_LENGTH = 128


def rungs(config: TrainConfig, quantize: bool = False) -> Iterator[TrainConfig]:
    """Yield the config itself, then settings that need less memory and less, to the end.

    In this order: half the micro-batch at the same effective batch size, checkpointing, shorter
    rows, and, where the machine can `quantize`, QLoRA with 8 and then 4 bits. A full fine-tuning
    stays one, and a base that is split is not quantized.
    """
    yield config
    lighter = config
    while (lower := _smaller_batch(lighter)) != lighter:
        lighter = lower
        yield lighter
    if (lower := _recomputing(lighter)) != lighter:
        lighter = lower
        yield lighter
    while (lower := _shorter(lighter)) != lighter:
        lighter = lower
        yield lighter
    for bits in (8, 4) if quantize else ():
        if (lower := _quantized(lighter, bits)) != lighter:
            lighter = lower
            yield lighter


def next_rung(config: TrainConfig, quantize: bool = False) -> TrainConfig | None:
    """Return the settings one rung below; None where nothing is left to try."""
    found = rungs(config, quantize)
    next(found)
    return next(found, None)


def _smaller_batch(config: TrainConfig) -> TrainConfig:
    """Halve the rows computed at once; one optimizer step keeps its rows."""
    schedule = config.schedule
    if schedule.batch_size == 1:
        return config
    batch = schedule.batch_size // 2
    return config.changed(
        schedule__batch_size=batch,
        schedule__gradient_accumulation=max(
            1, round(config.effective_batch_size / (batch * config.memory.processes))
        ),
    )


def _recomputing(config: TrainConfig) -> TrainConfig:
    return config.changed(memory__gradient_checkpointing="on")


def _shorter(config: TrainConfig) -> TrainConfig:
    length = config.data.max_length
    if length <= SHORTEST_LENGTH:
        return config
    return config.changed(data__max_length=max(SHORTEST_LENGTH, length // 2))


def _quantized(config: TrainConfig, bits: int) -> TrainConfig:
    model, memory = config.model, config.memory
    is_there = model.method == "qlora" and memory.quantization_bits <= bits
    is_split = memory.processes > 1 and memory.sharding == "fsdp"
    if model.method == "full" or is_there or is_split:
        return config
    return config.changed(model__method="qlora", memory__quantization_bits=bits)
