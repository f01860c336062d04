"""The adapter alone as GGUF, for `--lora` of llama.cpp beside a GGUF file of its base.

llama.cpp holds plain low-rank products of linear layers; whatever is done to the rows of a weight
is done to the rows of B.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
from gguf import GGMLQuantizationType as Kind

from easytune.engine import adapter_files
from easytune.engine.adapter_files import Adapter, Part
from easytune.engine.exporting import gguf_export, gguf_tensors, gguf_writing, merged_model
from easytune.engine.exporting.gguf_tensors import Planned
from easytune.engine.exporting.merging import MergedWeights
from easytune.engine.parity.llama_cpp import LlamaCppRuntime
from easytune.export_errors import ExportInvalid, GgufArchitectureUnknown, NoAdapter
from easytune.export_files import export_name
from easytune.exporters import gguf_families

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session

_BASE = "base.gguf"


def write(session: "Session", number_format: str) -> str:
    """Write the adapter into `session.work`; return its number format.

    Raises NoAdapter, ExportInvalid for an adapter that llama.cpp cannot hold, and what
    `gguf_tensors.plan` raises.
    """
    folder = session.adapter()
    if folder is None:
        raise NoAdapter(model=session.order.sources[0].title)
    wanted = number_format if number_format in ("f32", "bf16") else "f16"
    target = (
        session.work / f"{gguf_export.file_stem(export_name(session.order))}-lora-{wanted}.gguf"
    )
    convert(adapter_files.read(folder), merged_model.base_folder(session), target, wanted)
    session.bytes_done(target.stat().st_size, target.stat().st_size)
    return wanted


def convert(adapter: Adapter, base: Path, target: Path, wanted: str) -> None:
    """Write an adapter of a base as GGUF; raises as `write`."""
    config = gguf_export.configuration(base)
    family = gguf_families.family(config.model_type)
    if family is None:
        raise GgufArchitectureUnknown(architecture=config.model_type, known=gguf_families.known())
    if not adapter.is_plain:
        raise ExportInvalid("gguf.content", "@export.invalid.gguf_adapter")
    weights = MergedWeights(base)
    kind, _ = gguf_writing.KINDS[wanted]
    merged = gguf_export.Merged(weights)
    places = {
        planned.parts[0].name: planned
        for planned in gguf_tensors.plan(merged.shapes, config, family, kind)
        if len(planned.parts) == 1 and len(planned.shape) == 2
    }
    alphas = {round(part.scale * part.rank, 6) for part in adapter.parts.values()}
    # llama.cpp multiplies by alpha / rank; without one alpha for all, the scale goes into B.
    alpha = alphas.pop() if len(alphas) == 1 else 0.0
    planned: list[Planned] = []
    for path, part in adapter.parts.items():
        place = places.get(weights.layout.file_of.get(f"{path}.weight", ""))
        planned += _pair(place, part, kind, fold=not alpha)
    writer = gguf.GGUFWriter(target, family.architecture)
    writer.add_type("adapter")
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    gguf_writing.write_tensors(writer, planned, merged, lambda done, total: None)


def runtime(session: "Session") -> LlamaCppRuntime:
    """Run the adapter in llama.cpp, beside its base as GGUF."""
    base, file = session.scratch / _BASE, next(session.work.glob("*.gguf"))
    weights = MergedWeights(merged_model.base_folder(session))
    wanted = {"bf16": "bf16", "f16": "f16"}.get(weights.number_format, "f32")
    described = gguf_export.described(session)
    gguf_export.convert(weights, described, base, wanted, "base", lambda done, total: None)
    return LlamaCppRuntime(base, session.scratch / "llama.cpp.log", adapter=file)


def _pair(place: Planned | None, part: Part, kind: Kind, fold: bool) -> Iterator[Planned]:
    rows, width = part.b.shape[0], part.a.shape[1]
    if place is None or place.shape != (rows, width):
        # An embedding, an expert, or a layer whose weights the file turns round.
        raise ExportInvalid("gguf.content", "@export.invalid.gguf_adapter")
    change = place.parts[0].change
    b = part.b.float() * (part.scale if fold else 1.0)
    turned = change.apply(b) if change else b
    for name, tensor in (("lora_a", part.a.float()), ("lora_b", turned)):
        values = tensor.contiguous().numpy()
        yield Planned(f"{place.name}.{name}", values.shape, kind, values=values)
