"""ONNX: one graph that onnxruntime runs on any machine, with neither torch nor transformers."""

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

_BYTES = {"fp32": 4.0, "fp16": 2.0, "int8": 1.4, "int4": 0.9, "int8_dynamic": 1.3}
_FULL = 4.0
# What these remember grows no keys and values that a graph could hand back.
_WITH_STATE = (
    "bamba", "falcon_h1", "falcon_mamba", "granitemoehybrid", "jamba", "mamba", "mamba2",
    "nemotron_h", "recurrent_gemma", "rwkv", "xlstm", "zamba", "zamba2",
)  # fmt: skip
_ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}
_WHEN = when("what.target", "onnx")


class Options(Section):
    """How the graph is made."""

    precision: Annotated[
        Literal["fp32", "fp16", "int8", "int4", "int8_dynamic"],
        Knob(level="essential", when=_WHEN),
    ] = "fp32"
    """Number format. Fewer bits are smaller and faster, and less exact."""

    with_cache: Annotated[bool, Knob(when=_WHEN)] = True
    """Lets answers go on from what was computed. Off: every word costs the whole text."""

    block_size: Annotated[
        Literal[16, 32, 64, 128],
        Knob(level="expert", when=_WHEN + when("onnx.precision", "int8", "int4")),
    ] = 32
    """Weights that share a scale in int8 and int4. Fewer are more exact."""


def needs_bytes(options: Options, sizes: "Sizes") -> int:
    """Return the size of the graph, of the merged model it begins with, and of the full one."""
    full = options.precision in ("fp32", "fp16")
    share = _BYTES[options.precision] + _FULL + (0 if full else _FULL)
    return round(_parameters(sizes) * share) + sizes.adapter_bytes


def refuse(options: Options, order: "ExportOrder") -> None:
    """Raise DependencyMissing without the packages, or ArchitectureUnsupported."""
    requirements.require(order.config, "what.target")
    config = records.read(Path(order.sources[0].base_folder) / "config.json") or {}
    family = str(config.get("model_type", "?"))
    if family in _WITH_STATE or not _ATTENTION.issuperset(config.get("layer_types") or ()):
        raise ArchitectureUnsupported("ONNX", family, "@export.reason.state")


def export(session: "Session", options: Options) -> str:
    """Write graph, tokenizer, configuration and README; return the number format."""
    from easytune.engine.exporting import onnx_export

    return onnx_export.write(session, options)


def runtime(session: "Session", options: Options) -> "Runtime | None":
    """Load the graph with onnxruntime."""
    from easytune.engine.exporting import onnx_runtime

    return onnx_runtime.load(session.work)


def _parameters(sizes: "Sizes") -> int:
    # Two bytes each, where the files do not say.
    return sizes.parameters or sizes.base_bytes // 2
