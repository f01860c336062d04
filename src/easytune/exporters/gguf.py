"""GGUF: one file for llama.cpp, Ollama and everything built upon them."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from easytune import paths, records, requirements, settings
from easytune.errors import DependencyMissing
from easytune.export_errors import GgufArchitectureUnknown, NoAdapter
from easytune.exporters import gguf_families
from easytune.options import Knob, Section, when

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.engine.parity.runtime import Runtime
    from easytune.export_files import ExportOrder
    from easytune.exporters import Sizes

GgufFormat = Literal[
    "f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s", "q3_k_m", "q2_k"
]
_BYTES = {
    "f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 1.07, "q6_k": 0.85, "q5_k_m": 0.75,
    "q5_k_s": 0.72, "q4_k_m": 0.65, "q4_k_s": 0.61, "q3_k_m": 0.53, "q2_k": 0.46,
}  # fmt: skip
WRITTEN_HERE = ("f32", "f16", "bf16", "q8_0")
"""Formats that need nothing but Python; the others are made by llama.cpp's own quantizer."""
_VOCABULARY_BYTES = 20_000_000
_OURS = when("what.target", "gguf")


class Options(Section):
    """How the model is written for llama.cpp."""

    number_format: Annotated[GgufFormat, Knob(level="essential", when=_OURS)] = "q8_0"
    """Fewer bits make a smaller file and faster answers, and cost some quality."""

    content: Annotated[Literal["model", "adapter"], Knob(level="essential", when=_OURS)] = "model"
    """The whole model, or the adapter alone for llama.cpp's --lora beside its base."""

    converter: Annotated[
        Literal["auto", "easytune", "llama.cpp"],
        Knob(level="expert", when=_OURS),
    ] = "auto"
    """Who converts. llama.cpp: the converter in the folder that Settings names."""


def needs_bytes(options: Options, sizes: "Sizes") -> int:
    """Return the size of the file, and of the fuller one that some formats are made from."""
    parameters = sizes.parameters or sizes.base_bytes // 2
    own = round(parameters * _BYTES[options.number_format]) + _VOCABULARY_BYTES
    between = 0 if options.number_format in WRITTEN_HERE else sizes.base_bytes
    converted = sizes.base_bytes if options.converter == "llama.cpp" else 0
    return own + between + converted + sizes.adapter_bytes


def refuse(options: Options, order: "ExportOrder") -> None:
    """Raise for what cannot be converted here.

    Raises DependencyMissing, NoAdapter, or GgufArchitectureUnknown.
    """
    if need := requirements.missing("gguf.number_format", options.number_format):
        raise DependencyMissing(option="gguf.number_format", package=need)
    if options.content == "adapter":
        _refuse_whole(order)
    base = Path(order.sources[0].base_folder)
    # What others have converted only llama.cpp itself can prove to be right.
    if uses_converter(options, base, paths.home()) and find_spec("llama_cpp") is None:
        raise DependencyMissing(option="gguf.converter", package="llama-cpp-python")


def _refuse_whole(order: "ExportOrder") -> None:
    for source in order.sources:
        if not source.is_adapter:
            raise NoAdapter(model=source.title)
    if find_spec("llama_cpp") is None:
        # Nothing else can put such a file upon a model and prove it.
        raise DependencyMissing(option="gguf.content", package="llama-cpp-python")


def uses_converter(options: Options, base: Path, home: Path) -> bool:
    """Tell whether llama.cpp's converter has to do it.

    Raises GgufArchitectureUnknown when our writer does not hold the model and there is no folder of
    llama.cpp either.
    """
    if options.converter == "llama.cpp":
        return True
    kind = str((records.read(base / "config.json") or {}).get("model_type", "?"))
    if gguf_families.family(kind) is not None:
        return False
    if options.converter == "auto" and settings.load(home).export.llama_cpp_folder:
        return True
    raise GgufArchitectureUnknown(architecture=kind, known=gguf_families.known())


def share(number_format: str, of: str) -> float:
    """Return the size of a format as a share of another."""
    return _BYTES[number_format] / _BYTES[of]


def export(session: "Session", options: Options) -> str:
    """Write the file; return its number format."""
    from easytune.engine.exporting import gguf_adapter, gguf_export

    if options.content == "adapter":
        return gguf_adapter.write(session, options.number_format)
    return gguf_export.write(session, options, session.work)


def runtime(session: "Session", options: Options) -> "Runtime | None":
    """Run the file in llama.cpp, or in what else is here that reads it."""
    from easytune.engine.exporting import gguf_adapter
    from easytune.engine.parity import gguf_runtimes

    if options.content == "adapter":
        return gguf_adapter.runtime(session)
    return gguf_runtimes.load(session)
