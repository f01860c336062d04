"""How large the weights are, and whether all of them are numbers."""

from easytune.inspecting import numbers
from easytune.inspecting.findings import Findings
from easytune.inspecting.headers import Header

_LARGEST = 1e4


def check(found: dict[str, Header], findings: Findings) -> None:
    """Note weights that are not finite, absurdly large, or do nothing."""
    products = []
    for name, header in found.items():
        for tensor, stored in header.tensors.items():
            if not numbers.can_read(stored.dtype):
                findings.add("not_readable", "medium", file=name, dtype=stored.dtype)
                continue
            seen = numbers.measure(header.path, stored)
            if seen.not_finite:
                count = seen.not_finite
                findings.add("not_finite", "critical", file=name, tensor=tensor, count=count)
            elif seen.largest > _LARGEST and stored.dtype in numbers.FLOATS:
                largest = f"{seen.largest:.3g}"
                findings.add("weights_huge", "medium", file=name, tensor=tensor, largest=largest)
            if tensor.removesuffix(".weight").endswith(("lora_B", "lora_embedding_B")):
                products.append(seen.squares)
    if products and not any(products):
        findings.add("does_nothing", "medium")
