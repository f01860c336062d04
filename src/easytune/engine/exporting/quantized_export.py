"""A merged model with its weights in fewer bits.

What a package quantizes is always made from merged weights in full, fresh from the disk, and saved
before it computes anything: bitsandbytes destroys 4-bit weights that are saved after a forward
pass on processors with AVX-512.
"""

import gc
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM

from easytune import records
from easytune.engine import hardware
from easytune.engine.exporting import companions, merged_model, quantized_readme, shards
from easytune.engine.exporting.packing import PackedWeights
from easytune.exporters.quantized import PACKED

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.exporters.quantized import Options

_SHARD = "5GB"


def write(session: "Session", options: "Options") -> str:
    """Write the rounded model, its tokenizer and its README; return the number format.

    Raises ArchitectureUnsupported, and what merging raises.
    """
    method = options.method
    is_packed = method in PACKED
    found = _packed(session, options) if is_packed else _by_package(session, method)
    quantized_readme.write(session, method, found)
    return found


def _packed(session: "Session", options: "Options") -> str:
    session.phase("quantizing")
    weights = merged_model.weights(session)
    method: Any = options.method
    packed = PackedWeights(weights, method, options.group_size)
    mark = merged_model.mark(session)
    written = shards.write(
        session.work, packed.planned, packed.pieces, merged_model.SHARD_BYTES,
        f"{mark} {packed.number_format}", session.bytes_done, session.before,
    )  # fmt: skip
    session.written(written)
    merged_model.write_companions(session, session.work, weights)
    _configure(session.work, packed.configuration())
    return packed.number_format


def _by_package(session: "Session", method: str) -> str:
    merged = session.scratch / "merged"
    session.phase("merging")
    merged_model.write(session, merged)
    session.phase("quantizing")
    model = AutoModelForCausalLM.from_pretrained(
        str(merged),
        dtype="auto",
        quantization_config=_HOW[method](),
        device_map={"": hardware.device("auto", "loading.device")},
        trust_remote_code=session.order.allow_remote_code,
        local_files_only=True,
    )
    session.check_stop()
    session.phase("writing")
    model.save_pretrained(str(session.work), max_shard_size=_SHARD)
    del model
    gc.collect()
    written = records.read(session.work / companions.CONFIG) or {}
    merged_model.copy_companions(session, merged)
    _configure(session.work, written["quantization_config"])
    return method


def _configure(folder: Path, quantization: dict[str, Any]) -> None:
    """Say in config.json how the weights are to be read."""
    config = records.read(folder / companions.CONFIG) or {}
    config["quantization_config"] = quantization
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    records.write_text(folder / companions.CONFIG, text)


def _bnb_int8() -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True)


def _bnb_nf4() -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )


def _torchao_int8() -> Any:
    from transformers import TorchAoConfig

    quantization: Any = importlib.import_module("torchao.quantization")
    return TorchAoConfig(quantization.Int8WeightOnlyConfig())


_HOW = {"bnb-int8": _bnb_int8, "bnb-nf4": _bnb_nf4, "torchao-int8": _torchao_int8}
