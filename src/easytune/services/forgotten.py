"""What a run says about forgetting, in the words that pages and terminals share."""

from collections.abc import Mapping

from easytune import forgetting
from easytune.events import CategoryForgetting, Forgetting
from easytune.forgetting import TradeOff
from easytune.i18n import t
from easytune.services.story import Story


def is_severe(story: Story) -> bool:
    """Tell whether what the run has forgotten asks for a remedy."""
    measured = story.final_forgetting
    return measured is not None and measured.score > forgetting.SEVERE


def trade_off(story: Story, steps: Mapping[int, str]) -> TradeOff | None:
    """Return the earlier one of `steps` that was clearly the better bargain, as it was measured.

    Measurements after the step whose weights the run has kept do not count.
    """
    measured = story.final_forgetting
    if measured is None:
        return None
    scores = [(one.step, one.score) for one in story.forgetting if one.step <= measured.step]
    return forgetting.trade_off(story.held_out, scores, list(steps))


def told(measured: Forgetting, lang: str) -> str:
    """Return one sentence: score, band, interval, and what is left."""
    return t(
        "forgetting.told", lang, score=number(measured.score), band=band_name(measured.score, lang),
        interval=interval(measured, lang),
        retention=percent(forgetting.retention(measured.score)),
    )  # fmt: skip


def band_name(score: float, lang: str) -> str:
    """Return what the band of a score is called."""
    return t(f"forgetting.band.{forgetting.band(score)}", lang)


def interval(measured: Forgetting | CategoryForgetting, lang: str) -> str:
    """Return the 95% interval of a score, in nats per token; a single text has none."""
    if measured.sequences == 1:
        return t("forgetting.no_interval", lang)
    return t("forgetting.interval", lang, low=number(measured.low), high=number(measured.high))


def number(score: float) -> str:
    """Return a score as it is shown, in nats per token: `0.312`, `−0.012`."""
    return f"{score:.3f}".replace("-0.000", "0.000").replace("-", "−")


def percent(share: float) -> str:
    """Return a share as a whole number of percent, without the sign."""
    return f"{share * 100:.0f}"
