"""The shape of a model: its widths and linear layers, from config.json and file headers. No torch.

Also the one place that says which linear layers belong to attention, to the feed-forward part or
to the experts of a mixture; `engine.adapters` goes by it on the loaded model.
"""

from easytune.model_shape.choosing import lora_parameters, targets
from easytune.model_shape.names import EXPERT_PARTS, GROUPS, group, in_group, takes_adapter
from easytune.model_shape.reading import read

__all__ = [
    "EXPERT_PARTS",
    "GROUPS",
    "group",
    "in_group",
    "lora_parameters",
    "read",
    "takes_adapter",
    "targets",
]
