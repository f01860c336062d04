"""How answers are scored, how far a figure can be trusted, and what a difference says. No torch."""

from easytune.scoring.figures import score_all
from easytune.scoring.measure import Measure
from easytune.scoring.registry import MEASURES
from easytune.scoring.wording import difference_sentence, metric_help, metric_name, sentence

__all__ = [
    "MEASURES",
    "Measure",
    "difference_sentence",
    "metric_help",
    "metric_name",
    "score_all",
    "sentence",
]
