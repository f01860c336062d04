"""The trained model in memory: the base with its adapter beside it, what every export must equal.

PEFT applies the adapter, as it did in training, and nothing is merged: what an export computes on
its way is not used to prove it.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftModel
from safetensors import SafetensorError

from easytune import model_files, records
from easytune.data.tokenizer import ModelTokenizer
from easytune.engine import adapter_files, hardware, held, models
from easytune.engine.attaching import Attached
from easytune.engine.failures import first_line
from easytune.engine.held import Held
from easytune.errors import AdapterMismatch, TemplateInvalid
from easytune.export_files import ExportOrder
from easytune.generation import LoadingSection
from easytune.wire import Start

_FP32_BYTES = 4
_ROOM = 1.3


@dataclass
class Trained:
    """A model that computes what was trained, in full precision where memory allows."""

    model: Any
    """With the adapter applied to it, in evaluation mode: a PeftModel, or the whole model."""
    tokenizer: ModelTokenizer
    """With the chat template that the adapter was trained with."""
    context: int | None
    """Tokens that the model can read at once; None where its configuration does not say."""
    precision: str
    """Number format that it computes in: bf16, fp16 or fp32."""
    _close: Callable[[], None]

    def close(self) -> None:
        """Take the adapter out again; the memory goes with the last reference."""
        self._close()
        self.model = None


def load(order: ExportOrder, adapter: Path | None, strength: float = 1.0) -> Trained:
    """Load the base model of an order and apply an adapter to it. Raises EasyTuneError."""
    base = Path(order.sources[0].base_folder)
    found = load_base(base, order.allow_remote_code)
    if adapter is None:
        return Trained(found.model, found.tokenizer, found.context, found.precision, _nothing)
    attached = Attached(found)
    # Read and compared with the base here: PEFT takes tensors that belong to no adapter, too.
    template = attached.get(str(adapter)).template
    if isinstance(template, TemplateInvalid):
        raise template
    tokenizer = replace(found.tokenizer, template=template) if template else found.tokenizer
    model, close = _with_adapter(found, attached, adapter, strength)
    return Trained(model, tokenizer, found.context, found.precision, close)


def load_base(folder: Path, allow_remote_code: bool) -> Held:
    """Load a whole model, in fp32 where memory allows. Raises EasyTuneError."""
    model_files.check(folder, allow_pickle=False)
    loading = LoadingSection(precision=precision(folder), quantization="none")
    start = Start(folder=str(folder), loading=loading, allow_remote_code=allow_remote_code)
    return held.load(start, lambda _: None)


def _with_adapter(
    found: Held, attached: Attached, adapter: Path, strength: float
) -> tuple[Any, Callable[[], None]]:
    config = records.read(adapter / adapter_files.CONFIG) or {}
    if adapter_files.changed_base(config):
        # PEFT would change the base again before it applies what was learned.
        with ExitStack() as stack:
            stack.enter_context(attached.applied([attached.at(str(adapter), strength)]))
            return found.model, stack.pop_all().close
    before = _copy(found.model) if strength != 1 else {}
    try:
        model: Any = PeftModel.from_pretrained(found.model, str(adapter))
    except (RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise AdapterMismatch(str(adapter), first_line(error)) from error
    if strength != 1:
        model = _between(before, model.merge_and_unload(), strength)
    return model.eval().requires_grad_(False), _nothing


def _copy(model: Any) -> dict[str, torch.Tensor]:
    named = model.named_parameters(remove_duplicate=False)
    return {name: parameter.detach().clone() for name, parameter in named}


def _between(before: dict[str, torch.Tensor], model: Any, strength: float) -> Any:
    """Move a merged model to where only so much of what it learned counts."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            own = before[name].to(parameter)
            parameter.copy_(own + strength * (parameter - own))
    return model


def precision(base: Path) -> Literal["fp32", "auto"]:
    """Return what a base is computed in: fp32 where memory allows, else as its device likes."""
    device = hardware.device("auto", "loading.device")
    need_gb = models.parameters(base) * _FP32_BYTES * _ROOM / 1e9
    return "fp32" if need_gb < hardware.free_memory_gb(device) else "auto"


def _nothing() -> None:
    """The model goes with its last reference."""
