"""Which few changes of settings make a run fit: each a click in the page."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from easytune.config import TrainConfig
from easytune.ladder import SHORTEST_LENGTH
from easytune.shapes import Machine

Options = dict[str, Any]
"""`section.option` -> value."""


def shortest(
    config: TrainConfig, machine: Machine, fits: Callable[[TrainConfig], bool]
) -> list[Options]:
    """Return the fewest changes with which a run fits, among those the gentlest; else none.

    Each kind of change is made at most once: a smaller batch is one, whatever its size.
    """
    kinds = [list(kind) for kind in _kinds(config, machine)]
    kinds = [kind for kind in kinds if kind]
    for count in range(1, len(kinds) + 1):
        for chosen in itertools.combinations(kinds, count):
            if not fits(_all(config, [kind[-1] for kind in chosen])):
                continue
            # The first kinds cost nothing but time: they go as far as they must, the last ones not.
            ways = (list(reversed(way)) for way in itertools.product(*reversed(chosen)))
            return next(way for way in ways if fits(_all(config, way)))
    return []


def applied(config: TrainConfig, options: Options) -> TrainConfig:
    """Return the config with options replaced."""
    return config.changed(**{path.replace(".", "__"): value for path, value in options.items()})


def _all(config: TrainConfig, changes: list[Options]) -> TrainConfig:
    for options in changes:
        config = applied(config, options)
    return config


def _kinds(config: TrainConfig, machine: Machine) -> Iterator[Iterator[Options]]:
    """Yield the kinds of changes, those that learn the same first; of each the gentlest first."""
    yield _recomputing(config)
    yield _smaller_batches(config)
    yield _half_precision(config, machine)
    yield _adapters(config)
    yield _quantized(config, machine)
    yield _shorter(config)


def _recomputing(config: TrainConfig) -> Iterator[Options]:
    if config.memory.gradient_checkpointing != "on":
        yield {"memory.gradient_checkpointing": "on"}


def _smaller_batches(config: TrainConfig) -> Iterator[Options]:
    batch, effective = config.schedule.batch_size, config.effective_batch_size
    while batch > 1:
        batch //= 2
        yield {
            "schedule.batch_size": batch,
            "schedule.gradient_accumulation": max(
                1, round(effective / (batch * config.memory.processes))
            ),
        }


def _half_precision(config: TrainConfig, machine: Machine) -> Iterator[Options]:
    if config.model.method == "lora" and config.memory.precision == "fp32" and machine.has_bf16:
        yield {"memory.precision": "bf16"}


def _adapters(config: TrainConfig) -> Iterator[Options]:
    if config.model.method == "full":
        yield {"model.method": "lora"}


def _quantized(config: TrainConfig, machine: Machine) -> Iterator[Options]:
    if not machine.can_quantize:
        return
    for bits in (8, 4):
        if config.model.method == "lora" or (
            config.model.method == "qlora" and bits < config.memory.quantization_bits
        ):
            yield {"model.method": "qlora", "memory.quantization_bits": bits}


def _shorter(config: TrainConfig) -> Iterator[Options]:
    length = config.data.max_length
    while length > SHORTEST_LENGTH:
        length = max(SHORTEST_LENGTH, length // 2)
        yield {"data.max_length": length}
