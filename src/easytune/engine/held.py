"""The base model that a host holds, and how it gets there."""

import importlib.util
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from easytune.data import tokenizer as tokenizers
from easytune.data.chat_template import ChatTemplate
from easytune.data.tokenizer import FALLBACK_TEMPLATE, ModelTokenizer
from easytune.engine import decoding, hardware, models, tokens
from easytune.errors import TemplateInvalid
from easytune.inference_errors import MemoryShort
from easytune.wire import Loading, Start

_NAMES = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}
_BITS = {"8-bit": 8, "4-bit": 4}
# What quantized weights take of bf16 ones: embeddings and norms stay as they are.
_SHARE = {"8-bit": 0.6, "4-bit": 0.4}
_MARGIN_GB = 0.3
_SAY_SECONDS = 0.1


@dataclass(frozen=True)
class Held:
    """A base model in memory, with what is needed to ask it."""

    folder: Path
    model: PreTrainedModel
    device: torch.device
    dtype: torch.dtype
    quantization: str
    tokenizer: ModelTokenizer
    template: ChatTemplate | TemplateInvalid
    context: int | None
    seconds: float

    @property
    def precision(self) -> str:
        """Return the number format of the weights: bf16, fp16 or fp32."""
        return _NAMES[self.dtype]

    @property
    def parameters(self) -> int:
        """Return how many numbers the model has."""
        return self.model.num_parameters()

    @cached_property
    def batches(self) -> bool:
        """Tell whether several answers can be computed at once."""
        return decoding.reads_in_pieces(decoding.new_cache(self.model))

    def memory_gb(self) -> float:
        """Return the memory of the device, or of the process, that is in use."""
        if self.device.type == "cuda":
            return torch.cuda.memory_reserved(self.device) / 1e9
        return psutil.Process().memory_info().rss / 1e9


def load(start: Start, say: Callable[[Loading], None]) -> Held:
    """Load a base model, saying how far it is. Raises EasyTuneError."""
    began = time.monotonic()
    folder, wish = Path(start.folder), start.loading
    tokenizer, template = _tokenizer(folder, start.allow_remote_code)
    device = hardware.device(wish.device, "loading.device")
    size = models.parameters(folder)
    hardware.limit_threads(device, size)
    dtype = hardware.precision(wish.precision, device, size, "loading.precision")
    quantization = _quantization(wish.quantization, folder, device, dtype, size)
    say(Loading(phase="reading", share=0.0))
    with _shares(say):
        model = models.load_base(
            folder,
            device,
            dtype,
            quantization=_how(quantization, device, dtype),
            trust_remote_code=start.allow_remote_code,
        )
    say(Loading(phase="placing"))
    if (head := model.get_output_embeddings()) is not None:
        head.register_forward_pre_hook(_in_one_piece)
    return Held(
        folder=folder,
        model=model.eval().requires_grad_(False),
        device=device,
        dtype=dtype,
        quantization=quantization,
        tokenizer=tokenizer,
        template=template,
        context=models.context_length(model),
        seconds=time.monotonic() - began,
    )


def _tokenizer(
    folder: Path, allow_remote_code: bool
) -> tuple[ModelTokenizer, ChatTemplate | TemplateInvalid]:
    """Return the tokenizer, and the chat template or what is wrong with it."""
    with tempfile.TemporaryDirectory() as scratch:
        source = tokens.with_fast_tokenizer(folder, Path(scratch), allow_remote_code)
        try:
            found = tokenizers.load(source)
        except TemplateInvalid as problem:
            # Plain text can still be continued.
            other = Path(scratch) / "fallback.jinja"
            other.write_text(FALLBACK_TEMPLATE, encoding="utf-8")
            return tokenizers.load(source, str(other)), problem
        return found, found.template


def _quantization(
    wish: str, folder: Path, device: torch.device, dtype: torch.dtype, parameters: int
) -> str:
    """Return "none", "8-bit" or "4-bit": as wished, or what fits. Raises MemoryShort."""
    if wish != "auto":
        return wish
    need = parameters * torch.finfo(dtype).bits / 8 / 1e9 + _MARGIN_GB
    free = hardware.free_memory_gb(device)
    if need <= free:
        return "none"
    if importlib.util.find_spec("bitsandbytes") is not None and device.type != "mps":
        for name, share in _SHARE.items():
            if parameters * 2 / 1e9 * share + _MARGIN_GB <= free:
                return name
    raise MemoryShort(model=str(folder), need_gb=round(need, 1), free_gb=round(free, 1))


def _how(quantization: str, device: torch.device, dtype: torch.dtype) -> Any:
    if quantization == "none":
        return None
    # It says for every product of every step which number format it uses.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    return models.quantized(_BITS[quantization], device, dtype, "loading.quantization")


def _in_one_piece(head: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> Any:
    """Lay out the last states of several prompts: else torch copies the whole head for each row."""
    return given[0].contiguous(), *given[1:]


class _shares:  # noqa: N801 - used as a function
    """While open, says which share of the weights has been read."""

    def __init__(self, say: Callable[[Loading], None]) -> None:
        self._say = say

    def __enter__(self) -> None:
        self._before = transformers_logging.set_tqdm_hook(self._hook)

    def __exit__(self, *problem: object) -> None:
        transformers_logging.set_tqdm_hook(self._before)

    def _hook(self, factory: Any, args: Any, kwargs: Any) -> Any:
        total = len(args[0]) if args and hasattr(args[0], "__len__") else 0
        return self._counted(args[0], total) if total else factory(*args, **kwargs)

    def _counted(self, things: Iterable[Any], total: int) -> Iterator[Any]:
        said = time.monotonic()
        for count, thing in enumerate(things):
            if time.monotonic() > said + _SAY_SECONDS:
                said = time.monotonic()
                self._say(Loading(phase="reading", share=round(count / total, 3)))
            yield thing
