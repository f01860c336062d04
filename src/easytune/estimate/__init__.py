"""How much memory, time and disk a run will take: arithmetic over shapes, no torch.

Memory is counted as the engine spends it, see `memory`: on a processor it is the resident peak of
the process, on a GPU the peak of torch's allocator. Time is in `duration`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from easytune.config import TrainConfig
from easytune.estimate import at_once, changing, duration, memory
from easytune.estimate.duration import Pace, PaceSource
from easytune.estimate.load import Load
from easytune.estimate.memory import PARTS, Part, needs_checkpointing
from easytune.ladder import rungs
from easytune.shapes import DataShape, Device, Machine, ModelShape

__all__ = [
    "PARTS", "Change", "Estimate", "Load", "Pace", "Part", "Verdict", "changes_that_fit",
    "estimate", "lightest_fit", "needs_checkpointing", "room_gb",
]  # fmt: skip

Verdict = Literal["fits", "tight", "too_much"]

# What a driver keeps for a process beside torch's allocator, and what the rest of a machine needs.
_BESIDE_GB = {"cuda": 0.7, "mps": 0.5, "cpu": 0.5}
_COMFORTABLE = 0.85
_FURTHER_CHECKPOINTS = 2
_CHECKPOINT_BYTES = 12


@dataclass(frozen=True)
class Estimate:
    """What a run will take. Memory and disk in GB (1e9 bytes), time in seconds.

    `seconds` and `tokens_per_second` are None where nothing is known of this machine's speed;
    `pace_source` tells where they are from: an earlier "run" (`pace_run`) or a timed matrix product
    ("probe"). `total_steps` is None as long as the rows have not been counted. `checkpointing` is
    what "auto" comes to.
    """

    parts: dict[Part, float]
    peak_gb: float
    free_gb: float
    device: Device
    verdict: Verdict
    seconds: float | None
    tokens_per_second: float | None
    pace_source: PaceSource | None
    pace_run: str | None
    disk_gb: float
    disk_free_gb: float
    total_steps: int | None
    checkpointing: bool

    @property
    def fits_disk(self) -> bool:
        """Tell whether the checkpoints will find room."""
        return self.disk_gb <= self.disk_free_gb


@dataclass(frozen=True)
class Change:
    """One change of settings, `section.option` -> value, and the peak of a run that has it.

    `peak_gb` counts the changes before it in the list, too.
    """

    options: dict[str, Any]
    peak_gb: float


def estimate(
    config: TrainConfig,
    model: ModelShape,
    data: DataShape | None,
    machine: Machine,
    pace: Pace | None = None,
) -> Estimate:
    """Return what a run will take.

    Without `data` the worst is assumed: batches of rows of the full length, all learned. Raises
    TargetModuleMissing for a layer that the model lacks.
    """
    load = at_once.load(config, model, machine, Load.of(config, data))
    parts = memory.parts(config, model, load, machine)
    peak = sum(parts.values())
    time = duration.duration(config, model, data, machine, pace)
    return Estimate(
        parts=parts,
        peak_gb=peak,
        free_gb=machine.free_gb,
        device=machine.device,
        verdict=_verdict(peak, machine),
        seconds=time.seconds,
        tokens_per_second=time.tokens_per_second,
        pace_source=time.source,
        pace_run=pace.run if pace and time.source == "run" else None,
        disk_gb=_disk_gb(config, model),
        disk_free_gb=machine.disk_free_gb,
        total_steps=data.total_steps if data else None,
        checkpointing=needs_checkpointing(config, model, load, machine),
    )


def lightest_fit(
    config: TrainConfig, model: ModelShape, data: DataShape | None, machine: Machine
) -> TrainConfig | None:
    """Return the first rung of the ladder that fits, the config itself if it does; else None.

    `data` is what was counted for `config`; rungs with another batch or length are scaled from it.
    """
    load = Load.of(config, data)
    for rung in rungs(config, machine.can_quantize):
        if _peak_gb(rung, model, load.under(config, rung), machine) <= room_gb(machine):
            return rung
    return None


def changes_that_fit(
    config: TrainConfig,
    model: ModelShape,
    data_of: Callable[[TrainConfig], DataShape | None],
    machine: Machine,
) -> list[Change]:
    """Return the shortest list of changes that together make a run fit, the gentlest of those.

    Empty when it fits already, or when nothing would make it fit. `data_of` counts the rows as a
    config lays them out: smaller batches of uneven rows do not shrink in proportion.
    """
    room = room_gb(machine)
    loads: dict[tuple[int, int, int], Load] = {}

    def peak_gb(changed: TrainConfig) -> float:
        batches = changed.schedule.batch_size, changed.schedule.gradient_accumulation
        laid_out = (*batches, changed.data.max_length)
        if laid_out not in loads:
            loads[laid_out] = Load.of(changed, data_of(changed))
        return _peak_gb(changed, model, loads[laid_out], machine)

    if peak_gb(config) <= room:
        return []
    chosen = changing.shortest(config, machine, lambda changed: peak_gb(changed) <= room)
    found: list[Change] = []
    changed = config
    for options in chosen:
        changed = changing.applied(changed, options)
        found.append(Change(options, peak_gb(changed)))
    return found


def room_gb(machine: Machine) -> float:
    """Return what a run may take of what is free: the driver and the system need some of it."""
    return max(0.0, machine.free_gb - _BESIDE_GB[machine.device])


def _verdict(peak_gb: float, machine: Machine) -> Verdict:
    room = room_gb(machine)
    if peak_gb > room:
        return "too_much"
    return "fits" if peak_gb <= _COMFORTABLE * room else "tight"


def _peak_gb(config: TrainConfig, model: ModelShape, load: Load, machine: Machine) -> float:
    load = at_once.load(config, model, machine, load)
    return sum(memory.parts(config, model, load, machine).values())


def _disk_gb(config: TrainConfig, model: ModelShape) -> float:
    """Return the room of checkpoints, as the engine asks for it, and of the result."""
    trained = memory.trained_parameters(config, model)
    kept = config.monitor.save_limit + _FURTHER_CHECKPOINTS
    result = model.parameters * model.stored_bytes if config.model.method == "full" else 4 * trained
    return (kept * _CHECKPOINT_BYTES * trained + result) / 1e9
