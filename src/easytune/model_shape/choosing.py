"""Which linear layers of a shape get an adapter, and how large that is."""

from collections.abc import Iterable

from easytune.errors import TargetModuleMissing
from easytune.model_shape.names import EXPERT_PARTS, GROUPS, in_group
from easytune.shapes import Linear, ModelShape


def targets(shape: ModelShape, wished: tuple[str, ...]) -> tuple[Linear, ...]:
    """Return the linear layers that get an adapter, as `engine.adapters.target_modules` chooses.

    Raises TargetModuleMissing for a name that no layer has.
    """
    layers = [linear for linear in shape.linears if linear.group != "expert"]
    chosen: set[Linear] = set()
    for wish in wished:
        chosen |= _resolve(wish, layers, shape.is_mixture)
    return tuple(linear for linear in layers if linear in chosen)


def lora_parameters(shape: ModelShape, rank: int, wished: tuple[str, ...]) -> int:
    """Return how many numbers an adapter of `rank` on those layers has.

    Raises TargetModuleMissing for a name that no layer has.
    """
    return sum(
        linear.count * rank * (linear.inputs + linear.outputs) for linear in targets(shape, wished)
    )


def _resolve(wish: str, layers: list[Linear], is_mixture: bool) -> set[Linear]:
    if wish in GROUPS:
        found = {
            linear
            for linear in layers
            # As in the engine: these names would mean all experts as well.
            if in_group(wish, linear.group) and not (is_mixture and linear.name in EXPERT_PARTS)
        }
    else:
        # A wish may be a longer path; a shape knows only the last part of it.
        short = wish.rpartition(".")[2]
        found = {linear for linear in layers if linear.name == short}
    if not found:
        raise TargetModuleMissing(module=wish, available=_names(layers))
    return found


def _names(layers: Iterable[Linear]) -> str:
    return ", ".join(sorted({linear.name for linear in layers}))
