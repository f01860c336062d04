"""The tensors of an adapter against what an adapter of its kind may have, and against the base.

PEFT would put a stray `lm_head.weight` in place of the base model's own without a word.
"""

import re
from dataclasses import dataclass
from typing import Any

from easytune.inspecting import numbers
from easytune.inspecting.adapter_options import RARE, Options
from easytune.inspecting.findings import Findings
from easytune.inspecting.headers import Header, Stored
from easytune.inspecting.pinned import Base, kind

FILE = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_PART = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A\.weight|lora_B\.weight|lora_B\.bias|lora_embedding_A"
    r"|lora_embedding_B|lora_magnitude_vector)(?:\.weight)?"
)
_TOKENS = re.compile(r"(?P<module>.+)\.token_adapter\.trainable_tokens_delta")
_BASE_COPY = re.compile(r"(?P<module>.+)\.base_layer\.weight")
_FIRST, _SECOND = ("lora_A.weight", "lora_embedding_A"), ("lora_B.weight", "lora_embedding_B")


@dataclass(frozen=True)
class _Check:
    header: Header
    options: Options
    base: Base | None
    findings: Findings

    def refuse(self, code: str, tensor: str, **values: Any) -> None:
        self.findings.add(code, "critical", file=FILE, tensor=tensor, **values)


def check(header: Header, options: Options, base: Base | None, findings: Findings) -> None:
    """Note every tensor that has no place in an adapter with these options on this base."""
    work = _Check(header, options, base, findings)
    pieces: dict[str, dict[str, Stored]] = {}
    if not header.tensors:
        findings.add("no_tensors", "critical", file=FILE)
    for name, tensor in header.tensors.items():
        if tensor.dtype not in numbers.FLOATS:
            work.refuse("number_format", name, dtype=tensor.dtype)
        plain = name.removeprefix(_PREFIX)
        if plain == name:
            findings.add("prefix_missing", "medium", file=FILE, tensor=name)
        part = _PART.fullmatch(plain)
        if options.peft_type == "LORA" and part and "base_layer" not in part["module"]:
            pieces.setdefault(part["module"], {})[part["part"]] = tensor
        else:
            _check_other(work, name, plain, tensor)
    for module, found in pieces.items():
        _check_module(work, module, found)
    if options.peft_type == "LORA":
        _compare_targets(work, set(pieces))


def _check_other(work: _Check, name: str, plain: str, tensor: Stored) -> None:
    """Check a tensor that is no half of a product."""
    if found := _TOKENS.fullmatch(plain):
        _check_tokens(work, name, found["module"], tensor)
    elif copy := _BASE_COPY.fullmatch(plain):
        _check_copy(work, name, copy["module"], tensor)
    elif owner := _whole_module(plain, work.options.whole):
        _check_whole(work, name, plain, owner, tensor)
    elif not _is_of_rare_kind(plain, work.options.peft_type):
        work.refuse("key_refused", name)


def _is_of_rare_kind(plain: str, peft_type: str) -> bool:
    begin = RARE.get(peft_type)
    return bool(begin) and f".{begin}" in plain and "base_layer" not in plain


def _whole_module(plain: str, whole: tuple[str, ...]) -> str:
    owners = plain.split(".")[:-1]
    paths = [".".join(owners[: size + 1]) for size in range(len(owners))]
    found = (path for path in paths for one in whole if path == one or path.endswith(f".{one}"))
    return next(found, "")


def _check_tokens(work: _Check, name: str, module: str, tensor: Stored) -> None:
    counts = work.options.tokens
    count = counts.get(module.rpartition(".")[2], counts.get(""))
    if not counts or count is None:
        work.refuse("key_refused", name)
        return
    stored = work.base.stored(module) if work.base else None
    width = stored[1].shape[-1] if stored else None
    if len(tensor.shape) != 2 or tensor.shape[0] != count or width not in (None, tensor.shape[1]):
        work.refuse("shape_wrong", name, found=_shown(tensor.shape), expected=f"{count} × {width}")


def _check_copy(work: _Check, name: str, module: str, tensor: Stored) -> None:
    """A base weight that came along must be the base's own, number for number."""
    stored = work.base.stored(module) if work.base else None
    if stored is None or not numbers.same(work.header.path, tensor, *stored):
        work.refuse("base_weight", name)


def _check_whole(work: _Check, name: str, plain: str, owner: str, tensor: Stored) -> None:
    if work.base is None or not work.base.tensors:
        return
    module, _, part = plain.rpartition(".")
    stored = work.base.stored(module, part)
    if stored is None:
        if work.base.find(module) is None:
            work.refuse("layer_absent", name, module=owner)
        return
    expected = stored[1].shape
    if tensor.shape == expected:
        return
    grows = tensor.shape[1:] == expected[1:] and tensor.shape[:1] > expected[:1]
    if grows and expected[0] >= work.base.vocabulary > 0:
        values = {"tensor": name, "found": tensor.shape[0], "expected": expected[0]}
        work.findings.add("vocabulary_grown", "high", file=FILE, **values)
    else:
        work.refuse("shape_wrong", name, found=_shown(tensor.shape), expected=_shown(expected))


def _check_module(work: _Check, module: str, found: dict[str, Stored]) -> None:
    first = next((found[name] for name in _FIRST if name in found), None)
    second = next((found[name] for name in _SECOND if name in found), None)
    if first is None or second is None:
        work.refuse("half_missing", module)
        return
    rank = _by_pattern(work.options.ranks, module, work.options.rank)
    shapes = _shown(first.shape) + ", " + _shown(second.shape)
    is_product = len(first.shape) == 2 and len(second.shape) == 2
    if not is_product or first.shape[0] != rank or second.shape[1] != rank:
        work.refuse("rank_wrong", module, found=shapes, rank=rank)
        return
    outputs, inputs = second.shape[0], first.shape[1]
    if ("lora_magnitude_vector" in found) != work.options.dora:
        work.refuse("dora_differs", module)
    if "lora_B.bias" in found and not work.options.bias:
        work.refuse("key_refused", f"{module}.lora_B.bias")
    for name in ("lora_magnitude_vector", "lora_B.bias"):
        if name in found and found[name].shape not in ((outputs,), (1, outputs)):
            work.refuse("shape_wrong", f"{module}.{name}", found=_shown(found[name].shape),
                        expected=str(outputs))  # fmt: skip
    _compare_with_base(work, module, (outputs, inputs))


def _compare_with_base(work: _Check, module: str, shape: tuple[int, int]) -> None:
    base = work.base
    if base is None or not base.tensors:
        return
    name = base.find(module)
    stored = base.stored(module)
    if name is None and stored is None:
        last = module.rpartition(".")[2]
        if last in base.last_names and kind(module) not in base.kinds and last != "lm_head":
            # Some models are stored under other names than they are loaded under.
            work.findings.add("layer_elsewhere", "medium", file=FILE, module=module)
        else:
            work.refuse("layer_absent", module, module=module)
    elif stored is not None and stored[1].shape not in (shape, shape[::-1]):
        work.refuse("shape_wrong", module, found=_shown(shape), expected=_shown(stored[1].shape))


def _compare_targets(work: _Check, present: set[str]) -> None:
    """Compare the layers that are declared with those that have tensors."""
    targets = work.options.targets
    if isinstance(targets, str):
        if targets == "all-linear":
            return
        pattern = re.compile(targets) if _compiles(targets) else None
        strange = [one for one in present if pattern is None or not pattern.fullmatch(one)]
        unmet: list[str] = []
    else:
        strange = [one for one in present if not any(_matches(one, t) for t in targets)]
        unmet = [t for t in targets if not any(_matches(one, t) for one in present)]
    whole = {one.rpartition(".")[2] for one in work.options.whole}
    for module in sorted(strange):
        if work.options.targets or module.rpartition(".")[2] in whole:
            work.refuse("target_undeclared", module)
    for target in sorted(unmet):
        work.findings.add("target_absent", "medium", file=FILE, module=target)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _matches(module: str, target: str) -> bool:
    return module == target or module.endswith(f".{target}")


def _by_pattern(found: dict[str, int], module: str, otherwise: int) -> int:
    """Return the value for a module, found as PEFT finds it."""
    for pattern, value in found.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return otherwise


def _shown(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "1"
