"""Figures and findings of an evaluation in words."""

from easytune.evaluation_files import Difference, Figure, Finding, Forgotten
from easytune.events import Forgetting
from easytune.i18n import t
from easytune.scoring import MEASURES
from easytune.services import forgotten as words

_DIGITS = 2


def finding(found: Finding, lang: str) -> str:
    """Return what did not apply or went wrong."""
    return t(f"evaluation.finding.{found.code}", lang, **found.values)


def forgotten(one: Forgotten, lang: str) -> str:
    """Return how far a model is from its base on one probe."""
    measured = Forgetting(
        step=0, score=one.score, low=one.low, high=one.high, sequences=one.sequences
    )
    key = "own_probe" if one.probe == "own" else "probe"
    return t(f"evaluation_report.{key}", lang, probe=one.probe, said=words.told(measured, lang))


def interval(figure: Figure, metric: str = "") -> str:
    """Return a figure with its 95% interval: `41.2 [38.0, 44.3]`."""
    if figure.low is None or figure.high is None:
        return number(figure.value, metric)
    low, high = number(figure.low, metric), number(figure.high, metric)
    return f"{number(figure.value, metric)} [{low}, {high}]"


def difference(change: Difference, metric: str = "") -> str:
    """Return a difference with its 95% interval, signed: `+2.1 [−0.3, +4.4]`."""
    low, high = signed(change.low, metric), signed(change.high, metric)
    return f"{signed(change.value, metric)} [{low}, {high}]"


def signed(value: float, metric: str = "") -> str:
    """Return a number with its sign; none for what rounds to nothing."""
    text = number(value, metric)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def number(value: float, metric: str = "") -> str:
    """Return a figure with the decimals of its metric: `41.2`, `1.84`, `12,400.0`."""
    measure = MEASURES.get(metric)
    text = f"{value:,.{measure.digits if measure else _DIGITS}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text.replace("-", "−")


def share(value: float) -> str:
    """Return a share as percent: `85%`."""
    return f"{value:.0%}"
