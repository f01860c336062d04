"""The export to GGUF from beginning to end: merged weights, tokenizer, file, quantization."""

import os
import re
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import AutoConfig, PretrainedConfig

from easytune import records, settings
from easytune.data import tokenizer as tokenizers
from easytune.engine.exporting import (
    companions,
    gguf_tokenizer,
    gguf_writing,
    merged_model,
    tools,
)
from easytune.engine.exporting.gguf_tensors import Shape
from easytune.engine.exporting.gguf_writing import Progress
from easytune.engine.exporting.merging import MergedWeights
from easytune.export_errors import GgufArchitectureUnknown, GgufConverterMissing
from easytune.export_files import export_name
from easytune.exporters import gguf, gguf_families
from easytune.exporters.gguf_families import Family

if TYPE_CHECKING:
    import torch

    from easytune.engine.exporting.session import Session

_CONVERTER = "convert_hf_to_gguf.py"
_EMBEDDINGS = re.compile(r"(embed_tokens|wte|embed_in|word_embeddings)\.weight$")
_HOUR = 3600.0
# llama.cpp's quantizer begins with what the weights are stored in: nothing is rounded twice.
_FULLER = {"bf16": "bf16", "f16": "f16"}


class Merged:
    """Merged weights as the writer wants them."""

    def __init__(self, weights: MergedWeights) -> None:
        self._weights = weights
        self.shapes: dict[str, Shape] = {one.name: one.shape for one in weights.planned}

    def read(self, name: str) -> "torch.Tensor":
        """Return one tensor."""
        return self._weights.tensor(name)


def write(session: "Session", options: gguf.Options, folder: Path) -> str:
    """Write the GGUF file into `folder`; return its number format.

    Raises the errors of `exporters.gguf` and of the merge, and StopAsked.
    """
    wanted = options.number_format
    stem = file_stem(export_name(session.order)).removesuffix(f"-{wanted}")
    target = folder / f"{stem}-{wanted}.gguf"
    if wanted in gguf.WRITTEN_HERE:
        _convert(session, options, target, wanted)
        return wanted
    weights = merged_model.weights(session)
    fuller = _FULLER.get(weights.number_format, "f32")
    between = session.scratch / f"{target.stem}-{fuller}.gguf"
    _convert(session, options, between, fuller)
    session.phase("quantizing")
    _quantize(session, between, target, gguf.share(wanted, fuller), wanted)
    between.unlink()
    return wanted


def described(session: "Session") -> Path:
    """Return a folder with configuration and tokenizer of the model, and no weights."""
    folder = session.scratch / "described"
    if not folder.is_dir():
        folder.mkdir(parents=True)
        weights = merged_model.weights(session)
        base = merged_model.base_folder(session)
        companions.write(base, session.adapter(), folder, weights.number_format, weights.is_untied)
    return folder


def configuration(folder: Path) -> PretrainedConfig:
    """Return the configuration of the part of a model that reads and writes text."""
    return AutoConfig.from_pretrained(str(folder), local_files_only=True).get_text_config()


def file_stem(name: str) -> str:
    """Return a name that is the beginning of a file's name everywhere."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain).strip("-.")[:60] or "model"


def _convert(session: "Session", options: gguf.Options, target: Path, wanted: str) -> None:
    if gguf.uses_converter(options, merged_model.base_folder(session), session.home):
        _convert_outside(session, target, wanted)
    else:
        _convert_here(session, target, wanted)


def convert(
    weights: MergedWeights, folder: Path, target: Path, wanted: str, name: str, progress: Progress
) -> Family:
    """Write merged weights as GGUF with our own writer; return the family that they are of.

    `folder` holds configuration and tokenizer. Raises the errors of `exporters.gguf`.
    """
    merged, config = Merged(weights), configuration(folder)
    family = gguf_families.family(config.model_type)
    if family is None:
        raise GgufArchitectureUnknown(architecture=config.model_type, known=gguf_families.known())
    rows = next(shape[0] for name, shape in merged.shapes.items() if _EMBEDDINGS.search(name))
    vocabulary = gguf_tokenizer.read(tokenizers.load(folder), rows)
    gguf_writing.write(target, merged, config, family, vocabulary, wanted, name, progress)
    return family


def _convert_here(session: "Session", target: Path, wanted: str) -> None:
    weights, folder = merged_model.weights(session), described(session)
    name = export_name(session.order)
    family = convert(weights, folder, target, wanted, name, session.bytes_done)
    _note_limits(session, configuration(folder), folder, family)


def _note_limits(
    session: "Session", config: PretrainedConfig, folder: Path, family: Family
) -> None:
    """Tell what llama.cpp does otherwise without computing anything wrong within some length."""
    used = getattr(config, "use_sliding_window", True) and not family.window_period
    window = getattr(config, "sliding_window", None) if used else None
    if window and window < config.max_position_embeddings:
        session.note("gguf_window_ignored", tokens=window)
    outer = (records.read(folder / "config.json") or {}).get("model_type")
    if outer in gguf_families.TEXT_PARTS:
        session.note("gguf_text_only", architecture=outer)


def _convert_outside(session: "Session", target: Path, wanted: str) -> None:
    """Have the converter of the llama.cpp folder in Settings write the file."""
    folder = Path(settings.load(session.home).export.llama_cpp_folder).expanduser()
    converter = folder / _CONVERTER
    if not converter.is_file():
        raise GgufConverterMissing(folder=str(folder))
    merged = session.scratch / "merged"
    session.phase("merging")
    merged_model.write(session, merged)
    session.phase("converting")
    command = [sys.executable, str(converter), str(merged), "--outfile", str(target)]
    # The converter belongs to the gguf package that lies beside it, not to the one installed here.
    places = [str(folder / "gguf-py"), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, places))}
    tools.run(
        session, _CONVERTER, [*command, "--outtype", wanted], 4 * _HOUR, environment=environment
    )


def _quantize(session: "Session", source: Path, target: Path, share: float, kind: str) -> None:
    module = "easytune.engine.exporting.gguf_quantizer"
    command = [sys.executable, "-m", module, str(source), str(target), kind]
    expected = round(source.stat().st_size * share)

    def look() -> None:
        written = target.stat().st_size if target.is_file() else 0
        session.bytes_done(min(written, expected), expected)

    tools.run(session, "llama_model_quantize", command, 12 * _HOUR, look)
