"""What the full name of a module says: which part of a model it belongs to."""

import re

from easytune.shapes import Group

_ATTENTION = re.compile(
    r"(^|\.)(self_attn|attn|attention|self_attention|mixer_attn|linear_attn)(\.|$)"
)
_MLP = re.compile(r"(^|\.)(mlp|feed_forward|ffn|feedforward|fc1|fc2)(\.|$)")
_EXPERT = re.compile(r"(^|\.)(experts|router|gate)(\.|$)")
# Text never passes through these, so that an adapter there would learn nothing.
_OTHER_SENSES = re.compile(
    r"(^|\.)(vision_\w+|visual|vision|audio_\w+|image_\w+|multi_modal_projector|mm_projector)(\.|$)"
)

GROUPS = ("all-linear", "attention", "attention+mlp")
"""The wishes for target modules that mean a part of the model; any other is a name."""

EXPERT_PARTS = frozenset({"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"})
"""Names that the parts of an expert share with feed-forward layers outside of the mixture."""


def group(name: str) -> Group:
    """Return which part of a model the module of that full name belongs to."""
    if _EXPERT.search(name):
        return "expert"
    if _ATTENTION.search(name):
        return "attention"
    return "mlp" if _MLP.search(name) else "other"


def takes_adapter(name: str) -> bool:
    """Tell whether a linear layer of that full name may get an adapter.

    The experts and routers of a mixture do not, nor what only pictures and sounds pass through.
    """
    return group(name) != "expert" and not _OTHER_SENSES.search(name)


def in_group(wish: str, part: Group) -> bool:
    """Tell whether layers of `part` belong to a wish of `GROUPS`."""
    match wish:
        case "all-linear":
            return part != "expert"
        case "attention":
            return part == "attention"
        case _:
            return part in ("attention", "mlp")
