"""How far an export may be from the trained model, by the format that its numbers have.

Measured on tiny and small models, see `shared/export.md`: rounding to half precision stays two
orders of magnitude below its limit, and every kind of damage that the tests do lies above it.
"""

from easytune.export import GateSection
from easytune.export_files import Limits

_COPY = Limits(kl=1e-6, greedy=1.0, logit=1e-2, perplexity=1e-4, learned=0.02)
_EXACT = Limits(kl=1e-5, greedy=0.99, logit=0.02, perplexity=1e-3, learned=0.05)
_HALF = Limits(kl=1e-4, greedy=0.9, logit=None, perplexity=0.01, learned=0.1)
_EIGHT = Limits(kl=1e-3, greedy=0.7, logit=None, perplexity=0.05, learned=0.3)
# These round what meets the weights, too, or keep six bits of them.
_ROUNDED = Limits(kl=0.02, greedy=0.6, logit=None, perplexity=0.1, learned=0.4)
_FOUR = Limits(kl=0.05, greedy=0.3, logit=None, perplexity=0.25, learned=0.6)
_COARSE = Limits(kl=0.2, greedy=0.1, logit=None, perplexity=0.6, learned=0.8)
_EIGHT_BITS = ("int8", "8-bit", "8bit", "w8", "q8")
_FOUR_BITS = ("int4", "4-bit", "4bit", "nf4", "fp4", "w4", "q4", "q5", "iq4", "gptq", "awq")
_COARSE_BITS = ("q2", "q3", "iq1", "iq2", "iq3", "int2", "int3", "w2", "w3")
_ALL_ROUNDED = ("fp8", "float8", "dynamic", "q6")
_HALVES = ("bf16", "f16", "fp16", "float16", "bfloat16")
_BY_WORDS = (
    (_COARSE, _COARSE_BITS),
    (_ROUNDED, _ALL_ROUNDED),
    (_FOUR, _FOUR_BITS),
    (_EIGHT, _EIGHT_BITS),
)


def for_format(number_format: str, target: str) -> Limits:
    """Return the limits of a number format as exporters name it: "bf16", "q8_0", "nf4", …"""
    if target == "adapter":
        return _COPY
    name = number_format.lower()
    for limits, words in _BY_WORDS:
        if any(word in name for word in words):
            return limits
    # llama.cpp keeps its cache in half precision, and servers compute in what they like.
    rounds = target not in ("merged", "onnx") or any(word in name for word in _HALVES)
    return _HALF if rounds else _EXACT


def in_half_precision(limits: Limits) -> Limits:
    """Return the limits where there was no memory to compute in fp32.

    Then rounding on the way moves predictions, whatever the format of the weights is.
    """
    return limits.model_copy(
        update={
            "kl": max(limits.kl, 5e-3),
            "greedy": min(limits.greedy, 0.7),
            "logit": None,
            "perplexity": max(limits.perplexity, 0.03),
            "learned": max(limits.learned, 0.2),
        }
    )


def chosen(limits: Limits, gate: GateSection) -> Limits:
    """Return the limits with those that the user has set in their place."""
    wished = {
        name: value
        for name in ("kl", "greedy", "logit", "perplexity")
        if (value := getattr(gate, name)) is not None
    }
    return limits.model_copy(update=wished)


def is_lossless(limits: Limits) -> bool:
    """Tell whether a format with these limits keeps the numbers but for rounding."""
    return limits.kl <= _HALF.kl
