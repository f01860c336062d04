"""A folder that serves the model on another machine: weights, Dockerfile, start command, README."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from easytune.exporters import merged
from easytune.options import Knob, Section, when

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.engine.parity.runtime import Runtime
    from easytune.export_files import ExportOrder
    from easytune.exporters import Sizes

Server = Literal["vllm", "tgi"]
IMAGES: dict[Server, str] = {
    "vllm": "vllm/vllm-openai:latest",
    "tgi": "ghcr.io/huggingface/text-generation-inference:latest",
}
KEYS: dict[Server, str] = {"vllm": "VLLM_API_KEY", "tgi": "API_KEY"}
"""The variable of the environment from which a server takes its key."""
_OURS = when("what.target", "deployment")
_TEXT_BYTES = 1_000_000


class Options(Section):
    """How the model is served there."""

    server: Annotated[Server, Knob(level="essential", when=_OURS)] = "vllm"
    """What serves it. Both speak OpenAI's language; vLLM knows more models."""

    number_format: Annotated[
        Literal["as-base", "bf16", "f16", "f32"], Knob(level="essential", when=_OURS)
    ] = "as-base"
    """How numbers are stored. GPUs are fastest with bf16."""

    port: Annotated[int, Knob(step=1, when=_OURS)] = Field(default=8000, ge=1, le=65_535)
    """Where the server listens."""

    context_length: Annotated[int | None, Knob(step=1024, when=_OURS)] = Field(
        default=None, ge=128, le=10_000_000
    )
    """Longest conversation in tokens; less needs less memory. Empty: all the model can."""

    gpus: Annotated[int, Knob(step=1, when=_OURS)] = Field(default=1, ge=1, le=64, title="GPUs")
    """On how many GPUs the model is spread."""

    image: Annotated[str, Knob(level="expert", when=_OURS)] = Field(
        default="", max_length=300, pattern=r"^[\w./:@-]*$", title="Container image"
    )
    """What the image is built from. Empty: the newest of the server's makers."""

    language: Annotated[Literal["en", "zh"], Knob(level="expert", when=_OURS)] = "en"
    """Language of the README."""


def needs_bytes(options: Options, sizes: "Sizes") -> int:
    """Return the size of the merged model, and of some text."""
    return merged.needs_bytes(_merged(options), sizes) + _TEXT_BYTES


def refuse(options: Options, order: "ExportOrder") -> None:
    """Raise what the merged model raises."""
    merged.refuse(_merged(options), order)


def export(session: "Session", options: Options) -> str:
    """Write the folder; return the number format of the weights."""
    from easytune.engine.exporting import deployment_folder

    return deployment_folder.write(session, options)


def runtime(session: "Session", options: Options) -> "Runtime | None":
    """Load the weights from scratch with transformers, as the servers do."""
    from easytune.engine.exporting import deployment_folder
    from easytune.engine.parity import transformers_runtime

    folder = session.work / deployment_folder.MODEL
    return transformers_runtime.load(folder, session.order.allow_remote_code)


def _merged(options: Options) -> merged.Options:
    return merged.Options(number_format=options.number_format)
