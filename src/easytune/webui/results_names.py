"""An evaluation that has results, as the page holds it, and what all in it is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easytune.evaluation_files import Difference, Forgotten, Order, Result, Scored
from easytune.found_model import FoundModel
from easytune.i18n import t

if TYPE_CHECKING:
    from easytune.scoring import Measure


@dataclass(frozen=True)
class Shown:
    """An evaluation that has results, in the language of a visitor."""

    id: str
    order: Order
    result: Result
    lang: str

    @property
    def candidates(self) -> tuple[FoundModel, ...]:
        """Return the models; the first is what the others are compared with."""
        return self.order.candidates

    def candidate(self, place: int) -> str:
        """Return a candidate's name, with its number, as tables and charts show it."""
        return f"{place + 1} · {self.title(place)}"

    def title(self, place: int) -> str:
        """Return a candidate's name; one that the order does not know gets its number alone."""
        known = self.candidates
        return known[place].title if 0 <= place < len(known) else str(place + 1)

    def set_title(self, place: int) -> str:
        """Return what a test set is called."""
        known = self.result.sets
        return known[place].title if 0 <= place < len(known) else str(place + 1)

    def of_set(self, place: int) -> list[Scored]:
        """Return the figures of a test set."""
        return [one for one in self.result.scores if one.set == place]

    def metrics(self, place: int | None = None) -> list[str]:
        """Return the metrics there are figures of, for one set or all, in the order asked for."""
        there = [one.metric for one in self.result.scores if place in (None, one.set)]
        asked = [name for name in self.order.config.measure.metrics if name in there]
        return list(dict.fromkeys([*asked, *there]))

    def forgotten(self, candidate: int, probe: str | None = None) -> Forgotten | None:
        """Return what a candidate has forgotten, on one probe or the first that was measured."""
        found = (one for one in self.result.forgetting if one.candidate == candidate)
        return next((one for one in found if probe in (None, one.probe)), None)


def metric_name(name: str, lang: str) -> str:
    """Return a metric's name for people; one without a text is called as it is."""
    # The libraries of metrics take a while to import, and the page opens without them.
    from easytune import scoring

    return scoring.metric_name(name, lang)


def difference_sentence(metric: str, difference: Difference, lang: str) -> str:
    """Return in words whether a difference between two models could be luck."""
    from easytune import scoring

    return scoring.difference_sentence(metric, difference, lang)


def metric_help(name: str, lang: str) -> str:
    """Return one sentence on what a metric says; empty where there is none."""
    from easytune.scoring import wording

    return wording.metric_help(name, lang)


def direction(name: str) -> int:
    """Return 1 where more of a metric is better, -1 where less is, 0 where neither is known."""
    measure = _measures().get(name)
    is_better = measure.higher_is_better if measure is not None else True
    return 0 if is_better is None else 1 if is_better else -1


def figure(name: str, value: float | None, lang: str) -> str:
    """Return a figure of a metric with as many decimals as are worth showing."""
    measure = _measures().get(name)
    if value is None or measure is None:
        return number(value, lang)
    return _minus(f"{value:,.{measure.digits}f}")


def number(value: float | None, lang: str) -> str:
    """Return a number as people read it: about four figures, a real minus, never `-0`."""
    if value is None:
        return t("monitor.none", lang)
    # What is next to nothing reads as nothing.
    size = round(abs(value), 6)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 or not size else 3
    return _minus(f"{value:,.{digits}f}")


def signed(text: str) -> str:
    """Return a difference, which is written out already, with its sign."""
    is_nothing = not text.strip("0.,")
    return text if is_nothing or text.startswith("−") else f"+{text}"


def probe_name(name: str, lang: str) -> str:
    """Return what a probe is called: the base's own answers have no name of their own."""
    return t("results.forgetting.own", lang) if name == "own" else Path(name).name or name


def sentence_of(code: str, values: dict[str, Any], lang: str) -> str:
    """Return the words of a finding."""
    return t(f"evaluation.finding.{code}", lang, **values)


def _minus(text: str) -> str:
    is_nothing = not text.strip("-0.,")
    return text.lstrip("-") if is_nothing else text.replace("-", "−")


def _measures() -> "Mapping[str, Measure]":
    from easytune.scoring import MEASURES

    return MEASURES
