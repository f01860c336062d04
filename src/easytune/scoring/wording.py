"""What a figure says in words: better by how much, is it luck, and were there rows enough."""

from easytune.evaluation_files import Difference, Scored
from easytune.i18n import has, t
from easytune.scoring.registry import MEASURES
from easytune.scoring.statistics import ENOUGH_ROWS, is_shown

_FIGURE_DIGITS = 1
_CERTAIN = 0.001


def sentence(scored: Scored, lang: str = "en") -> str:
    """Return what a figure says against the first candidate, or on its own.

    "better by 21.4 [15.0, 27.2], p < 0.001, on 300 rows", or "no difference that these 80 rows can
    show; about 400 would be needed". The test holds for any number of rows, so a difference that
    few rows show is told as such. Begins in lower case: it follows a metric's name.
    """
    if scored.against_first is None:
        return _alone(scored, lang)
    return difference_sentence(scored.metric, scored.against_first, lang)


def difference_sentence(metric: str, difference: Difference, lang: str = "en") -> str:
    """Return what a paired difference says, as `sentence` does."""
    digits = _digits(metric)
    values = _values(difference, digits)
    if difference.rows == 1:
        return t("scoring.sentence.single", lang)
    if difference.changed == 0:
        return t("scoring.sentence.same", lang, **values)
    by = t(f"scoring.sentence.{_direction(metric, difference.value)}", lang, **values)
    if is_shown(difference):
        return t("scoring.sentence.shown", lang, by=by, **values)
    size = "few" if difference.rows < ENOUGH_ROWS else "unshown"
    key = size if difference.needed else f"{size}_even"
    return t(f"scoring.sentence.{key}", lang, by=by, **values)


def metric_name(metric: str, lang: str = "en") -> str:
    """Return what a metric is called; its own name where it has no other."""
    key = f"scoring.name.{metric}"
    return t(key, lang) if has(key) else metric


def metric_help(metric: str, lang: str = "en") -> str:
    """Return one sentence on what a metric says; empty where there is none."""
    key = f"scoring.help.{metric}"
    return t(key, lang) if has(key) else ""


def p_value(p: float) -> str:
    """Return a p-value as people write it: "p < 0.001", "p = 0.03"."""
    return f"p < {_CERTAIN}" if p < _CERTAIN else f"p = {p:.2g}"


def _alone(scored: Scored, lang: str) -> str:
    figure, digits = scored.figure, _digits(scored.metric)
    if figure.low is None or figure.high is None:
        return t(
            "scoring.sentence.bare", lang, value=f"{figure.value:,.{digits}f}", rows=figure.rows
        )
    return t(
        "scoring.sentence.alone", lang, value=f"{figure.value:,.{digits}f}",
        low=f"{figure.low:,.{digits}f}", high=f"{figure.high:,.{digits}f}", rows=figure.rows,
    )  # fmt: skip


def _values(difference: Difference, digits: int) -> dict[str, object]:
    """Return the numbers of a difference, turned so that the difference is not negative."""
    ends = (difference.low, difference.high)
    low, high = ends if difference.value >= 0 else (-ends[1], -ends[0])
    return {
        "value": f"{abs(difference.value):,.{digits}f}",
        "low": f"{low:,.{digits}f}",
        "high": f"{high:,.{digits}f}",
        "p": p_value(difference.p),
        "rows": f"{difference.rows:,}",
        "needed": f"{difference.needed or 0:,}",
    }


def _direction(metric: str, value: float) -> str:
    measure = MEASURES.get(metric)
    is_higher_better = measure.higher_is_better if measure else True
    if is_higher_better is None:
        return "higher" if value > 0 else "lower"
    return "better" if (value > 0) == is_higher_better else "worse"


def _digits(metric: str) -> int:
    measure = MEASURES.get(metric)
    return measure.digits if measure else _FIGURE_DIGITS
