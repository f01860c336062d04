"""What the full name of a module says: which part of a model it belongs to."""

import re

from easytune.shapes import Group

_ATTENTION = re.compile(
    r"(^|\.)(self_attn|attn|attention|self_attention|mixer_attn|linear_attn)(\.|$)"
)
_MLP = re.compile(r"(^|\.)(mlp|feed_forward|ffn|feedforward|fc1|fc2)(\.|$)")
_EXPERTS = re.compile(r"(^|\.)(experts|block_sparse_moe\.(input|output)_linear)(\.|$)")
_ROUTER = re.compile(r"(^|\.)(router|gate|shared_expert_gate)(\.|$)")
# Text never passes through these, so that an adapter there would learn nothing.
_OTHER_SENSES = re.compile(
    r"(^|\.)(vision_\w+|visual|vision|audio_\w+|image_\w+|multi_modal_projector|mm_projector)(\.|$)"
)
# The kernels of state space models read this weight past any adapter, and PEFT refuses one.
_PAST_ADAPTERS = re.compile(r"(^|\.)(mixer|mamba)\.out_proj$")

GROUPS = ("all-linear", "attention", "attention+mlp")
"""The wishes for target modules that mean a part of the model; any other is a name."""

EXPERT_PARTS = frozenset({"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"})
"""Names that the parts of an expert share with feed-forward layers outside of the mixture."""


def group(name: str) -> Group:
    """Return which part of a model the module of that full name belongs to."""
    if is_expert(name) or _ROUTER.search(name):
        return "expert"
    if _ATTENTION.search(name):
        return "attention"
    return "mlp" if _MLP.search(name) else "other"


def is_expert(name: str) -> bool:
    """Tell whether a module is an expert of a mixture; its routers are in that group as well."""
    return bool(_EXPERTS.search(name))


def takes_adapter(name: str) -> bool:
    """Tell whether a linear layer of that full name may get an adapter.

    The experts and routers of a mixture do not, nor what only pictures and sounds pass through,
    nor what computes without its adapter.
    """
    is_reached = not _OTHER_SENSES.search(name) and not _PAST_ADAPTERS.search(name)
    return group(name) != "expert" and is_reached


def in_group(wish: str, part: Group) -> bool:
    """Tell whether layers of `part` belong to a wish of `GROUPS`."""
    match wish:
        case "all-linear":
            return part != "expert"
        case "attention":
            return part == "attention"
        case _:
            return part in ("attention", "mlp")
