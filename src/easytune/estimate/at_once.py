"""How much of a pack a processor computes at once.

Larger packs are hardly any faster there and keep more for the backward: 2,000 tokens against 1,000
were 1% faster with the shape `0.5b` of the benchmarks, and 3% with `100m`, for 0.8 and 0.2 GB.
"""

from easytune.config import TrainConfig
from easytune.estimate import activations
from easytune.estimate.load import Format, Load
from easytune.shapes import Machine, ModelShape

# Tokens that are computed at once however much they keep: fewer would be slower.
_LEAST = 1024
_KEPT_BYTES = 1e9
_USUAL_ROW = 256


def tokens(config: TrainConfig, model: ModelShape, machine: Machine) -> int | None:
    """Return about how many tokens of a pack are computed at once: 1 GB for the backward.

    None: all of them. Raises TargetModuleMissing.
    """
    if machine.device != "cpu" or not config.data.packing or _stays_whole(config):
        return None
    load = Load(_LEAST, _LEAST, _USUAL_ROW, _LEAST * _USUAL_ROW)
    form = Format.of(config, model, machine)
    kept = max(model.layers, 1) * activations.of_layer(config, model, load, form, machine)
    return max(_LEAST, round(_KEPT_BYTES * _LEAST / kept))


def _stays_whole(config: TrainConfig) -> bool:
    """Tell whether parts would not learn the same as the whole."""
    optimizer = config.optim.optimizer
    # These make their step in the backward, which parts have several of.
    steps_early = optimizer.endswith("layerwise") or optimizer in ("lomo", "adalomo")
    # Noise is scaled by the tokens computed at once. And processes must meet equally often.
    has_noise = config.optim.neftune_alpha is not None
    return steps_early or has_noise or config.memory.processes > 1


def load(config: TrainConfig, model: ModelShape, machine: Machine, whole: Load) -> Load:
    """Return about what is computed at once of a micro-batch, see `data.step_order.in_parts`."""
    most = tokens(config, model, machine)
    parts = max(1, round(whole.tokens / most)) if most else 1
    if parts == 1:
        return whole
    least = max(whole.longest, whole.tokens // parts)
    squares = max(whole.longest**2, whole.squares // parts) if whole.squares else 0
    return Load(least, min(whole.supervised, least), whole.longest, squares)
