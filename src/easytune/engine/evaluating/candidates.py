"""The models of an evaluation: which share a base, and a base in memory with all that asks it."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import psutil
import torch

from easytune import model_files
from easytune.data.chat_template import ChatTemplate
from easytune.data.tokenizer import ModelTokenizer
from easytune.engine import attention, hardware, held, memory_limit, probe
from easytune.engine.attaching import Attached
from easytune.engine.forgetting_figures import Reader
from easytune.engine.held import Held
from easytune.engine.models import Loaded
from easytune.engine.prompting import Prompter
from easytune.errors import TemplateInvalid
from easytune.evaluation_files import Order
from easytune.found_model import FoundModel
from easytune.wire import Start

# The rest of the machine goes on, too.
_USABLE_SHARE = 0.9
_NO_LIMIT_GB = 1e6


@dataclass(frozen=True)
class Group:
    """Candidates that share a base model; `places` are theirs in `Order.candidates`."""

    base: str
    places: tuple[int, ...]


def groups(candidates: Sequence[FoundModel]) -> list[Group]:
    """Return the candidates by base, in the order in which the bases first appear."""
    found: dict[str, list[int]] = {}
    for place, one in enumerate(candidates):
        found.setdefault(one.base, []).append(place)
    return [Group(base, tuple(places)) for base, places in found.items()]


class Asked:
    """A base model in memory, its adapters, and how to ask it."""

    def __init__(self, found: Held) -> None:
        self.held = found
        self.attached = Attached(found)
        self.prompter = Prompter(found.tokenizer, found.context)

    @cached_property
    def loaded(self) -> Loaded:
        """Return the model as what reads known texts wants it, with the fastest proved way."""
        attention.register()
        model, found = self.held.model, self.held
        plan = probe.plan(model, "auto", packing=True)
        return Loaded(model, model, plan, found.device, found.dtype, autocast=False)

    def template(self, adapter: str | None) -> ChatTemplate | TemplateInvalid:
        """Return the chat template that an adapter was trained with, the base's for None.

        Raises as `Attached.get`.
        """
        own = self.attached.get(adapter).template if adapter else None
        return own or self.held.template

    def tokenizer(self, adapter: str | None) -> ModelTokenizer:
        """Return the tokenizer with the template of an adapter. Raises TemplateInvalid."""
        template = self.template(adapter)
        if isinstance(template, TemplateInvalid):
            raise template
        own = self.held.tokenizer
        return own if template is own.template else replace(own, template=template)

    @contextmanager
    def reading(self, adapter: str | None) -> Iterator[Reader]:
        """Read known texts with the weights of one adapter in place, or with the base's own."""
        plan = self.loaded.plan
        with self.attached.applied([adapter]):
            if plan.attention is not None:
                probe.use(self.held.model, plan.attention)
            try:
                yield Reader(self.loaded, self.held.tokenizer.pad_id)
            finally:
                probe.use(self.held.model, plan.own_attention)

    def give_back(self) -> None:
        """Give back what only saves time, and what a failed computation left behind."""
        self.attached.release()
        gc.collect()
        if self.held.device.type == "cuda":
            torch.cuda.empty_cache()

    def close(self) -> None:
        """End what belongs to it; the memory goes with the last reference."""
        self.prompter.renderer.close()
        self.attached.release()


def load(candidate: FoundModel, order: Order) -> Asked:
    """Load the base model of a candidate as the order says. Raises EasyTuneError."""
    # A small model before this one may have been given few.
    torch.set_num_threads(_threads())
    folder = Path(candidate.base_folder)
    model_files.check(folder, allow_pickle=False)
    start = Start(
        folder=str(folder),
        loading=order.config.loading,
        allow_remote_code=order.allow_remote_code,
    )
    _lift_limit()
    asked = Asked(held.load(start, _ignore))
    _stay_within_memory(asked.held.device)
    return asked


def adapter_of(candidate: FoundModel) -> str | None:
    """Return the folder of a candidate's adapter; None for whole models."""
    return candidate.folder if candidate.is_adapter else None


@cache
def _threads() -> int:
    """Return the threads that this process had before any model."""
    return torch.get_num_threads()


def _stay_within_memory(device: torch.device) -> None:
    """Let the system refuse memory that is not there: a batch can be halved, a killed job not."""
    if device.type == "cpu":
        own = psutil.Process().memory_info().rss / 1e9
        memory_limit.hold(own + _USABLE_SHARE * hardware.free_memory_gb(device), device)


def _lift_limit() -> None:
    # Files that are mapped to be read count, though they take nothing.
    memory_limit.hold(_NO_LIMIT_GB, torch.device("cpu"))


def _ignore(loading: object) -> None:
    """Say nothing: the phase tells that the model is being loaded."""
