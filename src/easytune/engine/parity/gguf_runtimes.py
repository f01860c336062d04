"""What runs a GGUF file for the parity gate: llama.cpp where it is installed, else transformers.

Without llama.cpp a model is run in transformers with the tensors of the file: read by transformers'
own GGUF reader where that holds the family, else by gguf's reader, each tensor turned back into the
model's own. Either finds a wrong tensor; what the file says about the model only llama.cpp reads.
"""

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from easytune.data import tokenizer as tokenizers
from easytune.data.tokenizer import ModelTokenizer
from easytune.engine import hardware
from easytune.engine.exporting import gguf_export, gguf_tensors, gguf_tokenizer, merged_model
from easytune.engine.parity import llama_cpp
from easytune.engine.parity.llama_cpp import LlamaCppRuntime
from easytune.engine.parity.transformers_runtime import TransformersRuntime
from easytune.export_errors import GgufTokenizerDiffers
from easytune.exporters import gguf_families
from easytune.exporters.gguf_families import Family
from easytune.exporters.gguf_pre_tokenizers import PROBE

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.engine.parity.runtime import Runtime

_READ_BY_TRANSFORMERS = (
    "llama", "qwen2", "qwen3", "qwen3_moe", "gemma2", "gemma3_text", "phi3", "starcoder2",
    "stablelm", "gpt2", "nemotron",
)  # fmt: skip
"""Families that transformers' reader brings back to the bit, given the model's configuration."""
# Loading takes the tensors and the model that they become.
_ROOM = 2.2
_TEXTS = (
    "Hello world, how are you?",
    " The answer is 42, isn't it?\n\n- one\n- two\n",
    "def f(x):\n    return x ** 2  # comment\n\t",
    "模型训练完成了，效果很好。 Это тест. 12345 € 🚀",
)


def load(session: "Session") -> "Runtime":
    """Load the GGUF file in `session.work`.

    Raises GgufTokenizerDiffers, and GgufToolFailed when llama.cpp does not run the file.
    """
    file = next(session.work.glob("*.gguf"))
    folder = gguf_export.described(session)
    tokenizer = tokenizers.load(folder)
    if llama_cpp.installed():
        log = session.scratch / "llama.cpp.log"
        runtime = LlamaCppRuntime(file, log)
        try:
            if not _check_tokens(runtime, tokenizer):
                session.note("gguf_rare_tokens")
        except BaseException:
            runtime.close()
            raise
        return runtime
    session.note("gguf_without_llama_cpp")
    config = gguf_export.configuration(folder)
    check_vocabulary(file, tokenizer)
    if config.model_type in _READ_BY_TRANSFORMERS:
        return TransformersRuntime("transformers (GGUF)", _read(file, config), tokenizer)
    family = gguf_families.family(config.model_type)
    assert family is not None, "other families are refused without llama.cpp"
    weights = gguf_export.Merged(merged_model.weights(session))
    model = turned_back(file, weights.shapes, config, family)
    return TransformersRuntime("transformers (gguf)", model, tokenizer)


def turned_back(
    file: Path, shapes: dict[str, gguf_tensors.Shape], config: PretrainedConfig, family: Family
) -> Any:
    """Return a transformers model with the tensors of a file, each turned back into the model's."""
    reader = gguf.GGUFReader(file)
    found = {tensor.name: tensor for tensor in reader.tensors}
    state: dict[str, torch.Tensor] = {}
    device, dtype = _place(reader)
    for planned in gguf_tensors.plan(shapes, config, family, gguf.GGMLQuantizationType.F32):
        tensor = found[planned.name]
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        whole = torch.from_numpy(np.array(numbers, np.float32)).view(planned.shape)
        for number, part in enumerate(planned.parts):
            shape = shapes[part.name]
            # One matrix of several that the file keeps together.
            own = whole[number] if len(shape) < len(planned.shape) else whole
            name = gguf_tensors.text_name(part.name)
            part.put_back(own, state.setdefault(name, torch.empty(shape, dtype=dtype)))
    with torch.device("meta"):
        kind: Any = type(AutoModelForCausalLM.from_config(config))
    # Without a folder: the tensors are those given.
    model = kind.from_pretrained(None, config=config, state_dict=state, dtype=dtype)
    return model.to(device).eval()


def check_vocabulary(file: Path, tokenizer: ModelTokenizer) -> None:
    """Make sure that a file holds the tokens of a tokenizer. Raises GgufTokenizerDiffers."""
    fields = gguf.GGUFReader(file).fields
    tokens = fields[gguf.Keys.Tokenizer.LIST].contents()
    expected = gguf_tokenizer.read(tokenizer, len(tokens))
    for number, (token, got) in enumerate(zip(expected.tokens, tokens, strict=True)):
        if token.text != got:
            raise GgufTokenizerDiffers(text=f"#{number}", expected=token.text, got=got)
    if expected.merges and list(expected.merges) != fields[gguf.Keys.Tokenizer.MERGES].contents():
        raise GgufTokenizerDiffers(text="merges", expected="", got="")


def _check_tokens(runtime: LlamaCppRuntime, tokenizer: ModelTokenizer) -> bool:
    """Make sure that llama.cpp cuts texts into the tokens that the model was trained with.

    Returns whether that holds for rare letters, too.
    """
    for text in _TEXTS:
        expected, got = _both(runtime, tokenizer, text)
        if got != expected:
            pairs = zip(expected, got, strict=False)
            place = next((i for i, (one, other) in enumerate(pairs) if one != other), 0)
            near = slice(max(0, place - 2), place + 4)
            raise GgufTokenizerDiffers(text[:40], str(expected[near]), str(got[near]))
    expected, got = _both(runtime, tokenizer, unicodedata.normalize("NFC", PROBE))
    return got == expected


def _both(
    runtime: LlamaCppRuntime, tokenizer: ModelTokenizer, text: str
) -> tuple[list[int], list[int]]:
    expected = tokenizer.backend.encode(text, add_special_tokens=False).ids
    return expected, runtime.tokens(text)


def _read(file: Path, config: PretrainedConfig) -> Any:
    """Return the model that transformers' own GGUF reader makes of a file."""
    device, dtype = _place(gguf.GGUFReader(file))
    model: Any = AutoModelForCausalLM.from_pretrained(
        str(file.parent), gguf_file=file.name, config=config, dtype=dtype
    )
    return model.to(device).eval()


def _place(reader: gguf.GGUFReader) -> tuple[torch.device, torch.dtype]:
    """Return where a file's model fits, and the number format in which it does.

    In full precision where memory allows: rounding would be taken for an error of the file.
    """
    numbers = sum(int(tensor.n_elements) for tensor in reader.tensors)
    best, processor = hardware.device("auto", "loading.device"), torch.device("cpu")
    for device, dtype in ((best, torch.float32), (processor, torch.float32)):
        if numbers * dtype.itemsize * _ROOM < hardware.free_memory_gb(device) * 1e9:
            return device, dtype
    return processor, torch.bfloat16
