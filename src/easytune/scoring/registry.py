"""Every metric by name. A plain dict: adding a metric means adding an entry."""

from easytune.scoring import answers, json_answers, llamafactory, text
from easytune.scoring.measure import Measure

_ORDER = (
    "exact_match", "f1", "chrf", "bleu", "rouge_1", "rouge_2", "rouge_l", "token_accuracy",
    "perplexity", "choice", "json_valid", "json_fields", "pattern", "contains", "length_ratio",
    "repetition",
)  # fmt: skip
_KNOWN = {
    measure.name: measure
    for measure in (
        *text.MEASURES,
        *answers.MEASURES,
        *json_answers.MEASURES,
        *llamafactory.MEASURES,
    )
}

MEASURES: dict[str, Measure] = {name: _KNOWN[name] for name in _ORDER} | _KNOWN
"""The metrics, in the order in which they are offered."""
