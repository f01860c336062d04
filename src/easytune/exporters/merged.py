"""One model with the adapter in its weights: sharded safetensors that every tool loads."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from easytune.options import Knob, Section, when

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.engine.parity.runtime import Runtime
    from easytune.export_files import ExportOrder
    from easytune.exporters import Sizes

_GIGA = 1e9
_BYTES = {"f32": 4, "bf16": 2, "f16": 2}


class Options(Section):
    """How the merged weights are stored."""

    number_format: Annotated[
        Literal["as-base", "bf16", "f16", "f32"],
        Knob(level="essential", when=when("what.target", "merged")),
    ] = "as-base"
    """How numbers are stored. As the base: what the adapter leaves alone stays exact."""

    shard_size_gb: Annotated[float, Knob(step=0.5, when=when("what.target", "merged"))] = Field(
        default=5.0, ge=0.001, le=100, title="Largest file (GB)"
    )
    """Weights are split into files of at most this size."""


def needs_bytes(options: Options, sizes: "Sizes") -> int:
    """Return the size of the weights in the chosen format, and of the tokenizer."""
    own = sizes.base_bytes
    if options.number_format != "as-base" and sizes.parameters:
        own = sizes.parameters * _BYTES[options.number_format]
    return own + sizes.adapter_bytes


def refuse(options: Options, order: "ExportOrder") -> None:
    """Refuse nothing of its own: every architecture can be merged."""


def export(session: "Session", options: Options) -> str:
    """Write the merged model; return its number format."""
    from easytune.engine.exporting import merged_model

    shard_bytes = round(options.shard_size_gb * _GIGA)
    return merged_model.write(session, session.work, options.number_format, shard_bytes)


def runtime(session: "Session", options: Options) -> "Runtime | None":
    """Load the folder from scratch with transformers."""
    from easytune.engine.parity import transformers_runtime

    return transformers_runtime.load(session.work, session.order.allow_remote_code)
