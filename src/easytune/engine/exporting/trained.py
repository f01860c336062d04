"""The trained model in memory: the base with its adapter, what every export must equal."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from transformers import PreTrainedModel

from easytune import model_files
from easytune.data.tokenizer import ModelTokenizer
from easytune.engine import hardware, held, models
from easytune.engine.attaching import Attached
from easytune.errors import TemplateInvalid
from easytune.export_files import ExportOrder
from easytune.generation import LoadingSection
from easytune.wire import Start

_FP32_BYTES = 4
_ROOM = 1.3


@dataclass
class Trained:
    """A model that computes what was trained, in full precision where memory allows."""

    model: PreTrainedModel
    """With the adapter applied to it, in evaluation mode."""
    tokenizer: ModelTokenizer
    """With the chat template that the adapter was trained with."""
    context: int | None
    """Tokens that the model can read at once; None where its configuration does not say."""
    precision: str
    """Number format that it computes in: bf16, fp16 or fp32."""
    _open: ExitStack

    def close(self) -> None:
        """Take the adapter out again; the memory goes with the last reference."""
        self._open.close()


def load(order: ExportOrder, adapter: Path | None) -> Trained:
    """Load the base model of an order and apply an adapter to it. Raises EasyTuneError."""
    base = Path(order.sources[0].base_folder)
    model_files.check(base, allow_pickle=False)
    loading = LoadingSection(precision=_precision(base), quantization="none")
    start = Start(folder=str(base), loading=loading, allow_remote_code=order.allow_remote_code)
    found = held.load(start, lambda _: None)
    with ExitStack() as stack:
        tokenizer = found.tokenizer
        if adapter is not None:
            attached = Attached(found)
            stack.enter_context(attached.applied([str(adapter)]))
            own = attached.get(str(adapter)).template
            if isinstance(own, TemplateInvalid):
                raise own
            tokenizer = replace(tokenizer, template=own) if own else tokenizer
        opened = stack.pop_all()
    return Trained(found.model, tokenizer, found.context, found.precision, opened)


def _precision(base: Path) -> Literal["fp32", "auto"]:
    device = hardware.device("auto", "loading.device")
    need_gb = models.parameters(base) * _FP32_BYTES * _ROOM / 1e9
    return "fp32" if need_gb < hardware.free_memory_gb(device) else "auto"
