"""For Ollama: a GGUF file, and the Modelfile with template, stop texts and parameters."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from easytune.export_errors import ExportInvalid
from easytune.exporters import gguf
from easytune.options import Knob, Section, when

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.engine.parity.runtime import Runtime
    from easytune.export_files import ExportOrder
    from easytune.exporters import Sizes

QUOTES = '"""'
_OURS = when("what.target", "ollama")


class Options(Section):
    """What Ollama gets, and what it is told."""

    number_format: Annotated[gguf.GgufFormat, Knob(level="essential", when=_OURS)] = "q8_0"
    """Quantized here, because Ollama itself may not be able to. Fewer bits cost some quality."""

    system: Annotated[str, Knob(level="essential", lines=3, when=_OURS)] = Field(
        default="", max_length=20_000, title="System prompt"
    )
    """What the model is told before every conversation. Empty: nothing."""

    temperature: Annotated[float | None, Knob(step=0.05, when=_OURS)] = Field(
        default=None, ge=0, le=2
    )
    """Higher varies more. Empty: as the model's own files say."""

    context_length: Annotated[int | None, Knob(step=1024, when=_OURS)] = Field(
        default=None, ge=128, le=10_000_000
    )
    """Tokens that Ollama keeps in mind. Empty: as Ollama is set."""

    template: Annotated[str, Knob(level="expert", lines=6, when=_OURS)] = Field(
        default="", max_length=100_000
    )
    """A Go template of your own. Empty: translated from the model's chat template."""

    converter: Annotated[
        Literal["auto", "easytune", "llama.cpp"], Knob(level="expert", when=_OURS)
    ] = "auto"
    """Who converts. llama.cpp: the converter in the folder that Settings names."""

    language: Annotated[Literal["en", "zh"], Knob(level="expert", when=_OURS)] = "en"
    """Language of the README."""

    @property
    def gguf(self) -> gguf.Options:
        """Return what of it concerns the GGUF file."""
        return gguf.Options(number_format=self.number_format, converter=self.converter)


def needs_bytes(options: Options, sizes: "Sizes") -> int:
    """Return the size of the GGUF file, and of what it is made from."""
    return gguf.needs_bytes(options.gguf, sizes)


def refuse(options: Options, order: "ExportOrder") -> None:
    """Raise what `gguf.refuse` raises, and ExportInvalid for texts a Modelfile cannot hold."""
    for name in ("system", "template"):
        if QUOTES in getattr(options, name):
            raise ExportInvalid(f"ollama.{name}", "@export.invalid.quotes")
    gguf.refuse(options.gguf, order)


def export(session: "Session", options: Options) -> str:
    """Write the GGUF file, the Modelfile and a README; return the number format."""
    from easytune.engine.exporting import ollama_export

    return ollama_export.write(session, options)


def runtime(session: "Session", options: Options) -> "Runtime | None":
    """Run the GGUF file, as for the target gguf."""
    return gguf.runtime(session, options.gguf)
