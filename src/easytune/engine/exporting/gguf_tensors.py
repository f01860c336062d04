"""Which tensors a GGUF file of a model has, and from which of the model's own they are made."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Protocol

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from transformers import PretrainedConfig

from easytune.engine.exporting import gguf_metadata
from easytune.export_errors import GgufTensorUnknown
from easytune.exporters.gguf_families import Family

Turn = Callable[[torch.Tensor], torch.Tensor]
Shape = tuple[int, ...]

_UNUSED = re.compile(r"rotary_emb\.inv_freq$|\.masked_bias$|\.attn\.bias$|\.attention\.bias$")
_SEES = re.compile(r"vision|visual|audio|multi_modal_projector|image_newline|embed_vision")
_EXPERT = re.compile(r"(.*\.)experts\.(\d+)\.(\w+)\.weight")
_PACKED = re.compile(r"(.*\.)experts\.(gate_up_proj|down_proj)(?:\.weight)?")
# Tensors whose small size or wide range makes rounding a loss without a gain.
_PRECISE = re.compile(r"_norm\.|ffn_gate_inp|position_embd|rope_f")
_MIXTRAL = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}


class Weights(Protocol):
    """The merged weights of a model, one tensor at a time."""

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The name and shape of every tensor."""
        ...

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor."""
        ...


@dataclass(frozen=True)
class Change:
    """What is done to a tensor, and what makes it the model's own again."""

    apply: Turn
    undo: Turn


@dataclass(frozen=True)
class Part:
    """One of the model's tensors, and what is done to it.

    `place`: the rows that are taken of each of several matrices in one tensor.
    """

    name: str
    change: Change | None = None
    place: slice | None = None

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return what goes into the file of the model's tensor."""
        if self.place is not None:
            return tensor[:, self.place]
        return self.change.apply(tensor) if self.change else tensor

    def put_back(self, found: torch.Tensor, into: torch.Tensor) -> None:
        """Write what stood in the file into the model's tensor."""
        if self.place is not None:
            into[:, self.place] = found
        else:
            into.copy_(self.change.undo(found) if self.change else found)


@dataclass(frozen=True)
class Planned:
    """A tensor of the GGUF file: the rows of its parts, one after another, or known values."""

    name: str
    shape: Shape
    kind: Kind
    parts: tuple[Part, ...] = ()
    values: np.ndarray | None = None

    @property
    def bytes(self) -> int:
        """Return what it takes in the file."""
        block, size = gguf.GGML_QUANT_SIZES[self.kind]
        return prod(self.shape) // block * size


def plan(
    shapes: Mapping[str, Shape], config: PretrainedConfig, family: Family, kind: Kind
) -> list[Planned]:
    """Return the tensors of the file, in the order of the model.

    Raises GgufTensorUnknown for a tensor that llama.cpp has no place for.
    """
    architecture = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == family.architecture)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    planned = [
        Planned(name, values.shape, Kind.F32, values=values)
        for name, values in gguf_metadata.rope_factors(config).items()
    ]
    for source, shape, parts in _sources(shapes, config, family):
        name = names.get_name(source, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise GgufTensorUnknown(architecture=family.architecture, tensor=source)
        planned.append(Planned(name, shape, _kind(name, shape, kind), parts))
    return planned


def _kind(name: str, shape: Shape, wanted: Kind) -> Kind:
    if len(shape) == 1 or _PRECISE.search(name) or not name.endswith(".weight"):
        return Kind.F32
    block, _ = gguf.GGML_QUANT_SIZES[wanted]
    return wanted if shape[-1] % block == 0 else Kind.F16


def _sources(
    shapes: Mapping[str, Shape], config: PretrainedConfig, family: Family
) -> Iterator[tuple[str, Shape, tuple[Part, ...]]]:
    """Yield what the file is made of: name in the model, shape, parts."""
    experts: dict[str, dict[int, str]] = defaultdict(dict)
    for name, shape in shapes.items():
        plain = text_name(name).replace(".block_sparse_moe.", ".mlp.")
        if _UNUSED.search(name) or _SEES.search(name) or _tied(plain, config):
            continue
        if match := _EXPERT.fullmatch(plain):
            stem, number, kind = match.groups()
            whole = f"{stem}experts.{_MIXTRAL.get(kind, kind)}.weight"
            experts[whole][int(number)] = name
        elif match := _PACKED.fullmatch(plain):
            yield from _unpacked(name, shape, match.group(1), match.group(2))
        else:
            change = _change(plain, config, family)
            turned = shape[::-1] if plain.endswith(family.transposed or ("\0",)) else shape
            yield plain, turned, (Part(name, change),)
    for whole, members in experts.items():
        ordered = [members[number] for number in sorted(members)]
        yield whole, (len(ordered), *shapes[ordered[0]]), tuple(map(Part, ordered))


def text_name(name: str) -> str:
    """Return a tensor's name as a model that only reads and writes text has it."""
    name = re.sub(r"^(model\.language_model|language_model\.model)\.", "model.", name)
    return name.removeprefix("language_model.")


def _tied(name: str, config: PretrainedConfig) -> bool:
    return bool(config.tie_word_embeddings) and name in ("lm_head.weight", "embed_out.weight")


def _unpacked(
    name: str, shape: Shape, stem: str, kind: str
) -> Iterator[tuple[str, Shape, tuple[Part, ...]]]:
    if kind == "down_proj":
        yield f"{stem}experts.down_proj.weight", shape, (Part(name),)
        return
    half = shape[-2] // 2
    for of, place in (("gate_proj", slice(0, half)), ("up_proj", slice(half, None))):
        part = Part(name, place=place)
        yield f"{stem}experts.{of}.weight", (shape[0], half, shape[2]), (part,)


def _change(name: str, config: PretrainedConfig, family: Family) -> Change | None:
    if family.permuted and re.search(r"\.[qk]_proj\.(weight|bias)$", name):
        is_query = ".q_proj." in name
        heads = config.num_attention_heads if is_query else gguf_metadata.key_value_heads(config)
        return _interleaved(heads)
    if family.shifted_norms and name.endswith("norm.weight"):
        return Change(lambda tensor: tensor.float() + 1, lambda tensor: tensor - 1)
    if name.endswith(family.transposed or ("\0",)):
        return Change(torch.Tensor.t, torch.Tensor.t)
    if family.fused and ".query_key_value." in name:
        return _by_kind(config.num_attention_heads)
    return None


def _interleaved(heads: int) -> Change:
    """Rows in the order of Meta's own weights: pairs that turn together stand together."""

    def turned(tensor: torch.Tensor, *inner: int) -> torch.Tensor:
        parts = tensor.reshape(heads, *inner, *tensor.shape[1:])
        return parts.swapaxes(1, 2).reshape(tensor.shape)

    return Change(lambda tensor: turned(tensor, 2, -1), lambda tensor: turned(tensor, -1, 2))


def _by_kind(heads: int) -> Change:
    """All queries, then all keys, then all values, from one triple for each head."""

    def turned(tensor: torch.Tensor, first: int, second: int) -> torch.Tensor:
        rows, *rest = tensor.shape
        parts = tensor.reshape(first, second, rows // heads // 3, *rest)
        return parts.swapaxes(0, 1).reshape(tensor.shape)

    return Change(lambda tensor: turned(tensor, heads, 3), lambda tensor: turned(tensor, 3, heads))
