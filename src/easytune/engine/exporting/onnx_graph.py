"""A causal language model traced into one ONNX graph, with names that other programs know.

One graph does both parts of generating: with an empty past it reads the prompt, with the present
of the step before it goes on. Inputs and outputs are called as optimum and onnxruntime's own
examples call them: `past_key_values.<layer>.key` in, `present.<layer>.key` out.
"""

import inspect
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer

from easytune.engine.failures import first_line
from easytune.export_errors import ArchitectureUnsupported

if TYPE_CHECKING:
    import onnx_ir

# Any lengths do, as long as no two of them agree: equal ones would be taken for the same.
_BATCH, _PAST, _NEW = 2, 3, 5
_CACHED = re.compile(r".*past_key_values\.layers\.(\d+)\.(key|value)s$")
_REFUSALS = (RuntimeError, ValueError, TypeError, NotImplementedError, AttributeError)


def trace(model: PreTrainedModel, with_cache: bool) -> "onnx_ir.Model":
    """Return the graph of a model, its weights in the number format that the model has.

    Raises ArchitectureUnsupported where tracing fails, or where the graph would hold for one
    length of text only.
    """
    architecture = type(model).__name__
    if with_cache and not keeps_keys_and_values(model):
        raise ArchitectureUnsupported(
            format="ONNX", architecture=architecture, reason="@export.reason.state"
        )
    inputs, lengths = _example(model, with_cache)
    from transformers.exporters.configs import OnnxConfig
    from transformers.exporters.exporter_onnx import OnnxExporter

    config = OnnxConfig(dynamic=True, dynamic_shapes=lengths)
    try:
        with torch.no_grad(), _quiet():
            graph = OnnxExporter().export(model, inputs, config=config).program
    except _REFUSALS as error:
        raise ArchitectureUnsupported("ONNX", architecture, first_line(error)) from error
    _name(graph)
    if any(isinstance(size, int) for size in graph.graph.inputs[0].shape):
        raise ArchitectureUnsupported(
            format="ONNX", architecture=architecture, reason="@export.reason.length"
        )
    return graph


def keeps_keys_and_values(model: PreTrainedModel) -> bool:
    """Tell whether all that a model remembers are keys and values, one pair for each token."""
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        return False
    return all(
        isinstance(layer, DynamicLayer) for layer in DynamicCache(config=model.config).layers
    )


def _example(model: PreTrainedModel, with_cache: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return inputs to trace with, and which of their sizes vary."""
    varies = torch.export.Dim.AUTO
    past = _PAST if with_cache else 0
    tokens = torch.arange(_BATCH * (past + _NEW)).reshape(_BATCH, -1) % model.config.vocab_size
    inputs: dict[str, Any] = {
        "input_ids": tokens[:, past:],
        "attention_mask": torch.ones(_BATCH, past + _NEW, dtype=torch.long),
    }
    if "position_ids" in inspect.signature(model.forward).parameters:
        inputs["position_ids"] = torch.arange(past, past + _NEW).repeat(_BATCH, 1)
    lengths: dict[str, Any] = {name: {0: varies, 1: varies} for name in inputs}
    if not with_cache:
        return inputs | {"use_cache": False}, lengths
    # Without a config no layer forgets what lies outside its window: the mask sees to the window.
    cache = DynamicCache()
    with torch.no_grad():
        model(input_ids=tokens[:, :past], past_key_values=cache, use_cache=True)
    lengths["past_key_values"] = [{0: varies, 2: varies} for _ in range(2 * len(cache.layers))]
    return inputs | {"past_key_values": cache}, lengths


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to ourselves what the tracer says of packages that no language model needs."""
    names = ("torch.onnx", "transformers.exporters", "onnxscript", "onnx_ir")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _name(model: "onnx_ir.Model") -> None:
    """Give inputs, outputs and the sizes that vary names that mean something."""
    import onnx_ir

    known: dict[str, str] = {}
    for value in model.graph.inputs:
        _learn(value, known)
    for value in (*model.graph.inputs, *model.graph.outputs):
        prefix = "past_key_values" if value.is_graph_input() else "present"
        if found := _CACHED.match(value.name or ""):
            value.name = f"{prefix}.{found[1]}.{found[2]}"
    for value in _values(model.graph):
        if value.shape is not None:
            value.shape = onnx_ir.Shape([_size(size, known) for size in value.shape])
    for value in model.graph.outputs:
        if (value.name or "").startswith("present.") and value.shape is not None:
            batch, heads, _, width = value.shape
            value.shape = onnx_ir.Shape([batch, heads, "total_sequence_length", width])


def _learn(value: "onnx_ir.Value", known: dict[str, str]) -> None:
    """Note what the tracer calls the sizes of one input."""
    meanings = {0: "batch_size", 1: "sequence_length"}
    if value.name == "attention_mask":
        meanings[1] = "total_sequence_length"
    elif _CACHED.match(value.name or ""):
        meanings = {0: "batch_size", 2: "past_sequence_length"}
    for place, meaning in meanings.items():
        size = value.shape[place] if value.shape is not None else 0
        if not isinstance(size, int) and size.value:
            known.setdefault(size.value, meaning)


def _values(graph: "onnx_ir.Graph") -> "Iterator[onnx_ir.Value]":
    yield from graph.inputs
    for node in graph:
        yield from node.outputs


def _size(size: Any, known: dict[str, str]) -> int | str | None:
    # Sums of sizes are left open: onnxruntime finds them itself.
    return size if isinstance(size, int) else known.get(size.value)
