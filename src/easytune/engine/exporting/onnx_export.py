"""A model as ONNX: merged, traced, made smaller where that is wanted, and ready to run."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from easytune.engine.exporting import merged_model, onnx_graph, onnx_precision, onnx_readme

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.exporters.onnx import Options


def write(session: "Session", options: "Options") -> str:
    """Write graph, tokenizer, configuration and README; return the number format.

    Raises ArchitectureUnsupported, and what merging raises.
    """
    merged = session.scratch / "merged"
    session.phase("merging")
    # In full: rounding to the base's format would count as an error of the graph.
    merged_model.write(session, merged, "f32")
    session.phase("converting")
    precision = options.precision
    is_whole = precision in ("fp32", "fp16")
    full = session.work if is_whole else session.scratch / "graph"
    full.mkdir(exist_ok=True)
    _trace(session, merged, full, options)
    if not is_whole:
        session.phase("quantizing")
        onnx_precision.shrink(full, session.work, precision, options.block_size)
    merged_model.copy_companions(session, merged)
    onnx_readme.write(session, precision, options.with_cache)
    return precision


def _trace(session: "Session", merged: Path, target: Path, options: "Options") -> None:
    dtype = torch.float16 if options.precision == "fp16" else torch.float32
    model = _load(merged, dtype, session.order.allow_remote_code)
    graph = onnx_graph.trace(model, options.with_cache)
    session.check_stop()
    session.phase("writing")
    onnx_precision.save(graph, target)
    del graph, model
    gc.collect()


def _load(folder: Path, dtype: torch.dtype, allow_remote_code: bool) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=dtype, trust_remote_code=allow_remote_code, local_files_only=True
    )
    return model.eval()
