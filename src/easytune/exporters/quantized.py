"""Weights in 8 or 4 bits, loaded by transformers; the packed ones by vLLM, too."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from easytune import records, requirements
from easytune.export_errors import ArchitectureUnsupported
from easytune.options import Knob, Section, when

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.engine.parity.runtime import Runtime
    from easytune.export_files import ExportOrder
    from easytune.exporters import Sizes

Method = Literal["w8a16", "w4a16", "fp8", "bnb-int8", "bnb-nf4", "torchao-int8"]
PACKED = ("w8a16", "w4a16", "fp8")
_BITS = {"w4a16": 4.5, "bnb-nf4": 4.5}
_WHEN = when("what.target", "quantized")
# Their code computes with the weight of a linear layer itself, which packing takes away.
_OWN_LINEAR = ("falcon", "gpt_bigcode")
# Embeddings and head keep their format; of small models they are half of all.
_KEPT = 0.35


class Options(Section):
    """How weights are rounded."""

    method: Annotated[Method, Knob(level="essential", when=_WHEN)] = "w8a16"
    """Package and number of bits. Eight are nearly exact, four half as large."""

    group_size: Annotated[
        Literal[32, 64, 128], Knob(when=_WHEN + when("quantized.method", "w4a16"))
    ] = 128
    """Weights that share a scale. Fewer are more exact and a little larger."""


def needs_bytes(options: Options, sizes: "Sizes") -> int:
    """Return the size of the rounded weights, and of the merged ones they are made from."""
    share = _BITS.get(options.method, 8.2) / 16
    merged = 0 if options.method in PACKED else sizes.base_bytes
    own = sizes.base_bytes * (_KEPT + (1 - _KEPT) * share)
    return merged + round(own) + sizes.adapter_bytes


def refuse(options: Options, order: "ExportOrder") -> None:
    """Raise DependencyMissing without the package of the method, or ArchitectureUnsupported."""
    requirements.require(order.config, "quantized.method")
    config = records.read(Path(order.sources[0].base_folder) / "config.json") or {}
    family = str(config.get("model_type", "?"))
    if options.method in PACKED and family in _OWN_LINEAR:
        raise ArchitectureUnsupported(options.method, family, "@export.reason.own_linear")


def export(session: "Session", options: Options) -> str:
    """Write the model with rounded weights; return its number format."""
    from easytune.engine.exporting import quantized_export

    return quantized_export.write(session, options)


def runtime(session: "Session", options: Options) -> "Runtime | None":
    """Load the folder from scratch with transformers."""
    from easytune.engine.parity import transformers_runtime

    return transformers_runtime.load(session.work, session.order.allow_remote_code)
