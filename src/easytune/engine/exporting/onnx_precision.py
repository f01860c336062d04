"""ONNX files: written with their weights beside them where they are large, and made smaller."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import onnx_ir

GRAPH = "model.onnx"
WEIGHTS = f"{GRAPH}_data"
Precision = Literal["fp32", "fp16", "int8", "int4", "int8_dynamic"]
_BITS = {"int8": 8, "int4": 4}
# A protobuf message ends at 2 GiB; the graph itself takes its share.
_LARGEST = 1_500_000_000


def save(model: "onnx_ir.Model", folder: Path) -> None:
    """Write `model.onnx`, and its weights beside it where one file cannot hold them."""
    import onnx_ir

    tensors = (value.const_value for value in model.graph.initializers.values())
    size = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    onnx_ir.save(model, folder / GRAPH, external_data=WEIGHTS if size > _LARGEST else None)


def shrink(source: Path, target: Path, precision: Precision, block: int) -> None:
    """Write the graph of one folder into another one, its weights in fewer bits.

    `block` values share a scale where only the weights are quantized.
    """
    large = (source / WEIGHTS).is_file()
    with _quiet():
        if precision == "int8_dynamic":
            _dynamic(source / GRAPH, target / GRAPH, large)
        else:
            _weights_only(source / GRAPH, target / GRAPH, _BITS[precision], block, large)
    # onnxruntime chooses that name itself.
    for written in target.glob(f"{GRAPH}.data"):
        _point_at(target / GRAPH, written, target / WEIGHTS)


def _dynamic(source: Path, target: Path, large: bool) -> None:
    """Quantize weights now, and what meets them while running: standard ONNX operators."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source, target, per_channel=True, weight_type=QuantType.QInt8,
        use_external_data_format=large,
    )  # fmt: skip


def _weights_only(source: Path, target: Path, bits: int, block: int, large: bool) -> None:
    """Quantize the weights of matrix products in blocks: an operator of onnxruntime's own."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer: Any = MatMulNBitsQuantizer(
        onnx.load(source), bits=bits, block_size=block, is_symmetric=True
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(target), use_external_data_format=large)


def _point_at(graph: Path, written: Path, wanted: Path) -> None:
    """Give the file of weights the name that goes with ours, in the graph too."""
    import onnx
    from onnx.external_data_helper import uses_external_data

    model = onnx.load(graph, load_external_data=False)
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = wanted.name
    onnx.save(model, graph)
    written.replace(wanted)


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop the advice to prepare the graph first: it is for pictures."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
