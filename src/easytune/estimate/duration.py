"""How long a run will take, from the pace of an earlier one or the speed of matrix products."""

from dataclasses import dataclass
from typing import Literal, Protocol

from easytune import forgetting, model_shape
from easytune.config import TrainConfig
from easytune.estimate import at_once
from easytune.estimate.load import Load
from easytune.estimate.memory import needs_checkpointing
from easytune.shapes import DataShape, Linear, Machine, ModelShape

PaceSource = Literal["run", "probe"]

# Measured with `benchmarks.train`: the share of the speed of large products that training reaches
# is 0.32 at a width of 192 and 0.74 at 768 on a processor. NVIDIA's own figures for LoRA on one
# H100, 41% at a width of 4,096, stand for GPUs, which small products starve.
_BEST_SHARE = {"cpu": 0.9, "mps": 0.5, "cuda": 0.5}
_HALF_WIDTH = {"cpu": 300, "mps": 900, "cuda": 900}
# Evaluations of held-out rows in a run that says nothing else, with the one before the first step.
_EVALUATIONS = 11
# Until a process has its libraries; weights then come from a disk.
_START_SECONDS, _READ_GB_PER_SECOND = 6.0, 1.0
_GIGA = 1e9


class Pace(Protocol):
    """Tokens a second of an earlier run, padding not counted; see `data.insight.pace`."""

    @property
    def run(self) -> str:
        """The id of that run."""
        ...

    @property
    def tokens_per_second(self) -> float:
        """How fast it went."""
        ...


@dataclass(frozen=True)
class Duration:
    """Time of a run without its answers to fixed prompts; None where no speed is known."""

    seconds: float | None = None
    tokens_per_second: float | None = None
    source: PaceSource | None = None


def duration(
    config: TrainConfig,
    model: ModelShape,
    data: DataShape | None,
    machine: Machine,
    pace: Pace | None,
) -> Duration:
    """Return how long a run will take."""
    if pace is not None:
        speed, source = pace.tokens_per_second, "run"
    elif machine.gflops:
        speed, source = _probed(config, model, data, machine, machine.gflops), "probe"
    else:
        return Duration()
    if not data or not data.steps_per_epoch:
        return Duration(None, speed, source)
    learned = data.total_tokens * data.total_steps / data.steps_per_epoch
    # An evaluation has the forward only, about a third of the work.
    looked_at = data.held_out * data.mean * _evaluations(config, data) / 3
    steps = learned * (1 + forgetting.SHARE_OF_TIME * config.monitor.forgetting) / speed
    loading = _START_SECONDS + model.parameters * model.stored_bytes / _GIGA / _READ_GB_PER_SECOND
    return Duration(loading + steps + looked_at / speed, speed, source)


def flops_per_token(
    config: TrainConfig, model: ModelShape, data: DataShape | None, recomputes: bool
) -> float:
    """Return the products that a step cannot do without, forward and backward, per token.

    A frozen linear layer costs 4 per weight (it needs no gradient of its own), a trained one 6,
    the head only where a token is learned; attention half of a square. Recomputing adds a forward.
    """
    linear = sum(layer.inputs * layer.outputs * layer.count for layer in _computed(model))
    supervised = data.supervised_tokens / max(data.total_tokens, 1) if data else 1.0
    length = data.mean if data else config.data.max_length
    head = model.vocabulary * model.hidden * supervised
    attention = 6 * model.layers * model.hidden * length
    again = 2 * linear if recomputes else 0.0
    if config.model.method == "full":
        return 6 * (linear + head) + attention + again
    lora = config.lora
    adapter = model_shape.lora_parameters(model, lora.rank, lora.target_modules)
    return 4 * (linear + head) + 6 * adapter + attention + again


def _computed(model: ModelShape) -> list[Linear]:
    """Return the layers every token goes through: of the experts of a mixture only a few."""
    return [layer for layer in model.linears if layer.group != "expert"] or list(model.linears)


def _probed(
    config: TrainConfig,
    model: ModelShape,
    data: DataShape | None,
    machine: Machine,
    gflops: float,
) -> float:
    load = at_once.load(config, model, machine, Load.of(config, data))
    recomputes = needs_checkpointing(config, model, load, machine)
    flops = flops_per_token(config, model, data, recomputes)
    share = (
        _BEST_SHARE[machine.device] * model.hidden / (model.hidden + _HALF_WIDTH[machine.device])
    )
    return share * gflops * _GIGA / flops


def _evaluations(config: TrainConfig, data: DataShape) -> float:
    every = config.monitor.eval_steps
    wished = 1 + data.total_steps / every if every else _EVALUATIONS
    return min(wished, 1 + data.total_steps)
