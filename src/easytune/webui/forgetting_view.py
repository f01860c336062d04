"""What the page says about forgetting: a tile, the figures by category, a warning with remedies.

Pure functions from a run's story to texts. The drawing is done by `assets/forgetting.js`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from easytune import forgetting, remedies
from easytune.config import TrainConfig
from easytune.events import CategoryForgetting, Forgetting
from easytune.forgetting import TradeOff
from easytune.i18n import has, t
from easytune.services.forgotten import (
    band_name,
    interval,
    is_severe,
    number,
    percent,
    trade_off,
)
from easytune.services.story import Story
from easytune.webui import language

# What each remedy changes, for its button.
CHANGED = {"replay": "data.replay_share", "rate": "optim.learning_rate", "strength": "lora.alpha"}


@dataclass(frozen=True)
class Ways:
    """What can be done about forgetting without training again."""

    models: Mapping[int, str] = field(default_factory=dict)
    """The id of the model at each step whose checkpoint one can talk to."""
    halves: bool = False
    """Whether the result is an adapter whose strength can be halved."""


def tile(story: Story, config: TrainConfig, lang: str) -> tuple[str, str, str]:
    """Return value, note and tone of the tile; the tone is the band, empty without a score."""
    now = story.final_forgetting
    if now is None:
        return t("monitor.none", lang), t(f"forgetting.{_why_none(story, config)}", lang), ""
    note = t(
        "forgetting.tile_note", lang, band=band_name(now.score, lang),
        interval=interval(now, lang), retention=percent(forgetting.retention(now.score)),
    )  # fmt: skip
    return number(now.score), note, forgetting.band(now.score)


def panel(story: Story, config: TrainConfig, ways: Ways, lang: str) -> dict[str, Any] | None:
    """Return the figures in full, with a warning when they are severe; None without any."""
    now = story.final_forgetting
    if now is None:
        return None
    return {
        "title": t("forgetting.details", lang, step=now.step),
        "facts": _facts(now, lang),
        "explained": t("forgetting.explained", lang),
        "heads": [t(f"forgetting.head.{name}", lang) for name in ("category", "score", "texts")],
        "categories": [
            _category(name, one, now, lang) for name, one in sorted(now.categories.items())
        ],
        "warning": _warning(story, now, config, ways, lang),
    }


def _why_none(story: Story, config: TrainConfig) -> str:
    if not config.monitor.forgetting:
        return "off"
    waits = not story.has_ended and story.step <= story.first_step
    return "soon" if waits else "not_measured"


def _facts(now: Forgetting, lang: str) -> list[dict[str, str]]:
    values = {
        "score": f"{number(now.score)} ({interval(now, lang)})",
        "band": band_name(now.score, lang),
        "retention": t("monitor.percent", lang, percent=percent(forgetting.retention(now.score))),
        "kl": number(now.kl) if now.kl is not None else "",
        "agreement": (
            t("monitor.percent", lang, percent=percent(now.agreement))
            if now.agreement is not None
            else ""
        ),
        "probe": (
            t("forgetting.probe_size", lang, sequences=now.sequences, tokens=now.tokens)
            if now.sequences
            else ""
        ),
    }
    return [
        {"name": name, "label": t(f"forgetting.fact.{name}", lang), "value": value}
        for name, value in values.items()
        if value
    ]


def _category(name: str, one: CategoryForgetting, now: Forgetting, lang: str) -> dict[str, Any]:
    widest = max((abs(other.score) for other in now.categories.values()), default=0.0)
    return {
        "name": category_name(name, lang),
        "score": number(one.score),
        "interval": interval(one, lang),
        "sequences": one.sequences,
        "tone": forgetting.band(one.score),
        "width": round(abs(one.score) / widest, 3) if widest else 0.0,
    }


def category_name(name: str, lang: str) -> str:
    """Return what a category of the probe is called; one of the user's own is called as it is."""
    key = f"forgetting.category.{name}"
    return t(key, lang) if has(key) else name


def _warning(
    story: Story, now: Forgetting, config: TrainConfig, ways: Ways, lang: str
) -> dict[str, Any] | None:
    if not is_severe(story):
        return None
    band = band_name(now.score, lang)
    found = trade_off(story, ways.models)
    at_once = [_earlier(found, story, ways.models[found.step], lang)] if found else []
    changed = remedies.against_forgetting(config)
    if ways.halves:
        at_once.append(_half(lang))
        # The same without waiting for another run.
        changed.pop("strength", None)
    return {
        "title": t("forgetting.warning", lang),
        "text": t("forgetting.warning_text", lang, score=number(now.score), band=band),
        "remedies": [
            *at_once,
            *(_change(name, config, new, lang) for name, new in changed.items()),
        ],
    }


def _earlier(found: TradeOff, story: Story, model: str, lang: str) -> dict[str, str]:
    text = t(
        "forgetting.remedy.earlier", lang, step=found.step, learning=percent(found.learning),
        forgetting=percent(found.forgetting),
    )  # fmt: skip
    first = story.held_out[0][0]
    since = t("forgetting.learning_since", lang, step=first) if first else ""
    return {
        "name": "earlier",
        "text": " ".join(part for part in (text, since) if part),
        "button": t("forgetting.chat_with", lang, step=found.step),
        "model": model,
    }


def _half(lang: str) -> dict[str, str]:
    text, button = t("forgetting.remedy.half", lang), t("forgetting.make_half", lang)
    return {"name": "half", "text": text, "button": button}


def _change(name: str, old: TrainConfig, new: TrainConfig, lang: str) -> dict[str, str]:
    path = CHANGED[name]
    before, after = next(pair[1:] for pair in remedies.changes(old, new) if pair[0] == path)
    return {
        "name": name,
        "text": t(f"forgetting.remedy.{name}", lang),
        "button": t(
            "forgetting.fill", lang, option=language.option_name(path, lang),
            old=language.option_value(path, before, lang),
            new=language.option_value(path, after, lang),
        ),
    }  # fmt: skip
