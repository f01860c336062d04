"""What an intent means for this model, this data and this machine, with a reason per value."""

from easytune.presets.reasons import Reason, sentence
from easytune.presets.suggesting import Suggestion, overridden, suggest

__all__ = ["Reason", "Suggestion", "overridden", "sentence", "suggest"]
