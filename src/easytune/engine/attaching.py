"""The adapters in memory, and the model with the right ones for each batch."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import nn

from easytune.data import tokenizer as tokenizers
from easytune.data.chat_template import ChatTemplate
from easytune.engine import adapter_files, merging, mixing
from easytune.engine.adapter_files import Adapter
from easytune.engine.failures import first_line
from easytune.engine.held import Held
from easytune.errors import AdapterMismatch, ModelIncomplete, OptionUnsupported, TemplateInvalid
from easytune.inference_errors import AdapterUnsafe

_KEPT = 16
_NO_FILE = 0
_Use = Callable[[Sequence[int]], None]


class Attached:
    """The adapters of one base model, the least recently used forgotten first."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._merged = merging.Merged(held.model)
        self._adapters: OrderedDict[str, tuple[int, Adapter]] = OrderedDict()

    @property
    def folders(self) -> tuple[str, ...]:
        """Return the folders of the adapters in memory."""
        return tuple(self._adapters)

    def get(self, folder: str) -> Adapter:
        """Return an adapter, read now if need be.

        Raises AdapterMismatch when it does not fit the base, and as `adapter_files.read`.
        """
        path = Path(folder)
        stamp = _stamp(path)
        kept = self._adapters.get(folder)
        if kept is None or kept[0] != stamp:
            adapter = adapter_files.read(path)
            self._check(adapter)
            self._adapters[folder] = (stamp, _with_template(adapter, self._held))
        self._adapters.move_to_end(folder)
        while len(self._adapters) > _KEPT:
            self._adapters.popitem(last=False)
        return self._adapters[folder][1]

    def at(self, folder: str, strength: float) -> str:
        """Return a name under which an adapter counts only so much; it stands where a folder may.

        It is forgotten like the others, so it is to be used at once. Raises as `get`.
        """
        if strength == 1:
            return folder
        name = f"{folder}@{strength:g}"
        self._adapters[name] = (_NO_FILE, self.get(folder).at(strength))
        return name

    def can_mix(self, folder: str | None) -> bool:
        """Tell whether an adapter can share a batch with others; None is the base itself."""
        if folder is None:
            return True
        adapter = self.get(folder)
        return adapter.is_plain and not any(".experts." in f"{name}." for name in adapter.parts)

    @contextmanager
    def applied(self, folders: Sequence[str | None]) -> Iterator[_Use]:
        """Give each row of a batch its adapter while open.

        Yields what wants to be told which rows of the batch are computed next.
        """
        adapters = [self.get(folder) if folder else None for folder in folders]
        first = adapters[0]
        if any(one is not first for one in adapters):
            self._merged.take_out()
            with mixing.mixed(self._held.model, adapters, self._held.dtype) as mixture:
                yield mixture.use
        elif first is None:
            self._merged.take_out()
            yield _ignore
        else:
            with self._alone(first, adapters) as use:
                yield use

    @contextmanager
    def _alone(self, adapter: Adapter, rows: Sequence[Adapter | None]) -> Iterator[_Use]:
        if self._merged.can(adapter):
            # It stays: the next question is likely for the same one.
            self._merged.put_in(adapter)
            yield _ignore
            return
        self._merged.take_out()
        if adapter.is_plain:
            with mixing.mixed(self._held.model, rows, self._held.dtype) as mixture:
                yield mixture.use
        elif adapter.strength != 1:
            # PEFT knows nothing between none of it and all of it.
            raise self._merged.short(adapter)
        elif self._held.quantization == "8-bit":
            # PEFT would leave the base's own numbers changed.
            raise OptionUnsupported("loading.quantization", "@engine.reason.eight_bit")
        else:
            with _by_peft(self._held.model, adapter):
                yield _ignore

    def release(self) -> None:
        """Give back the memory that only saves time."""
        self._merged.take_out()

    def _check(self, adapter: Adapter) -> None:
        """Make sure that every tensor has a place of its shape in the base."""
        self._merged.take_out()
        folder, model = str(adapter.folder), self._held.model
        modules = dict(model.named_modules())
        for name, part in adapter.parts.items():
            if name not in modules:
                raise AdapterMismatch(folder, f"{name} @engine.reason.no_layer")
            shape = _shape(modules[name])
            found = (part.b.shape[0], part.a.shape[1])
            lengths = {len(one) for one in (part.magnitude, part.bias) if one is not None}
            if found != shape or lengths - {found[0]}:
                raise AdapterMismatch(folder, f"{name} {found}, {shape} @engine.reason.other_shape")
        own = dict(model.named_parameters(remove_duplicate=False))
        for name, tensor in adapter.full.items():
            if name not in own or own[name].shape != tensor.shape:
                raise AdapterMismatch(folder, f"{name} @engine.reason.no_layer")
        for name, tensor in adapter.base_copies.items():
            base = own.get(name.replace(".base_layer", ""))
            if base is None or not torch.equal(base, tensor.to(base)):
                raise AdapterUnsafe(folder, f"{name} @engine.reason.not_adapter")


@contextmanager
def _by_peft(model: nn.Module, adapter: Adapter) -> Iterator[None]:
    """Apply what only PEFT knows, and remove it again."""
    folder = str(adapter.folder)
    try:
        wrapped = PeftModel.from_pretrained(model, folder)  # type: ignore[arg-type]
    except (RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise AdapterMismatch(folder, first_line(error)) from error
    wrapped.eval()
    try:
        yield
    finally:
        wrapped.base_model.unload()  # type: ignore[operator]


def _ignore(places: Sequence[int]) -> None:
    """Do nothing: all rows have the same weights."""


def _stamp(folder: Path) -> int:
    try:
        return (folder / adapter_files.WEIGHTS).stat().st_mtime_ns
    except OSError:
        return _NO_FILE


def _shape(module: nn.Module) -> tuple[int, int] | None:
    """Return (out, in) of a layer, as adapters count."""
    if isinstance(module, nn.Embedding):
        return module.embedding_dim, module.num_embeddings
    if merging.is_transposed(module):
        inner, outer = module.weight.shape  # type: ignore[union-attr]
        return int(outer), int(inner)
    if hasattr(module, "in_features"):
        return module.out_features, module.in_features  # type: ignore[return-value]
    return None


def _with_template(adapter: Adapter, held: Held) -> Adapter:
    """Add the chat template an adapter was trained with, where it is not the base's."""
    if not (adapter.folder / "tokenizer_config.json").is_file():
        return adapter
    template: ChatTemplate | TemplateInvalid
    try:
        template = tokenizers.load(adapter.folder).template
    except TemplateInvalid as problem:
        template = problem
    except ModelIncomplete:
        return adapter
    base = held.template
    if isinstance(template, ChatTemplate) and isinstance(base, ChatTemplate):
        template = base if template.source == base.source else template
    return replace(adapter, template=template)
