"""A launch check as the page draws it: pure functions from its story to HTML.

What a job reports is escaped here: `gr.HTML` renders markup.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from easytune import quantities
from easytune.config import TrainConfig
from easytune.events import Trial
from easytune.i18n import has, t
from easytune.services.checks import CheckStory
from easytune.webui import language
from easytune.webui.estimate_view import gigabytes, named, taking
from easytune.webui.run_view import state_chip

Point = tuple[float, float]
APART = ("goal", "monitor", "output")
"""Sections that a check does not depend on."""
SHOWN_DIFFERENCES = 3
_WIDTH, _HEIGHT = 560, 176
_LEFT, _RIGHT, _TOP, _FLOOR = 44, 548, 14, 140


def story(found: CheckStory, config: TrainConfig, lang: str) -> str:
    """Return a check to somebody whose form holds `config`."""
    whole = _whole(found, config, lang)
    changed = [] if not found.has_ended else _differing(found, config)
    if not changed:
        return whole
    names = [language.option_name(path, lang) for path in changed[:SHOWN_DIFFERENCES]]
    more = "…" if len(changed) > SHOWN_DIFFERENCES else ""
    said = t("costs.check.other_settings", lang, options=", ".join(names) + more)
    return (
        f'<details class="costs-stale" id="check-stale"><summary>{escape(said)}</summary>'
        f"{whole}</details>"
    )


def curve(points: Sequence[Point], mark: float | None, lang: str, rates: bool = True) -> str:
    """Return losses over learning rates (drawn by their logarithm) or over steps, as a small SVG.

    `mark` is drawn as a dashed line with its value: the suggested learning rate.
    """
    kept = [(x, y) for x, y in points if math.isfinite(y) and (x > 0 or not rates)]
    if len(kept) < 2:
        return ""
    at = _scales(kept, rates)
    path = " ".join(f"{at[0](x):.1f},{at[1](y):.1f}" for x, y in kept)
    name = t("costs.check.range_curve" if rates else "costs.check.steady_curve", lang)
    return (
        f'<figure class="costs-curve"><figcaption>{escape(name)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(name, quote=True)}">'
        f"{_axes(kept, at, rates, lang)}"
        f'<polyline class="costs-losses" points="{path}"/>{_mark(mark, at)}</svg></figure>'
    )


def _whole(found: CheckStory, config: TrainConfig, lang: str) -> str:
    inside = [
        _head(found, lang), _rungs(found, lang), _verdict(found, config, lang),
        _figures(found, lang), _warnings(found, lang), _learning_rates(found, config, lang),
    ]  # fmt: skip
    return f'<div class="costs-check" data-state="{found.state}">{"".join(inside)}</div>'


def _differing(found: CheckStory, config: TrainConfig) -> list[str]:
    """Return the options of the form that are neither as checked nor as the check offers them."""
    checked = [one for one in (found.given, found.config) if one is not None]
    differing = min((_changes(one, config) for one in checked), key=len)
    taken = config.optim.learning_rate == found.suggested_rate
    return [path for path in differing if not (taken and path == "optim.learning_rate")]


def _changes(checked: TrainConfig, config: TrainConfig) -> list[str]:
    return [path for path in _offer(checked, config) if path.partition(".")[0] not in APART]


def _offer(config: TrainConfig, wanted: TrainConfig) -> dict[str, Any]:
    """Return the options of `wanted` that differ from those of `config`."""
    old, new = config.model_dump(mode="json"), wanted.model_dump(mode="json")
    return {
        f"{section}.{name}": value
        for section, options in new.items()
        for name, value in options.items()
        if old[section][name] != value
    }


def _head(found: CheckStory, lang: str) -> str:
    title, doing = t("costs.check.title", lang), ""
    if not found.has_ended:
        key = f"costs.check.phase.{found.phase}"
        doing = t(key, lang) if found.phase and has(key) else t("costs.check.begins", lang)
    return (
        f'<div class="et-head">{state_chip(found.state, lang)}<b>{escape(title)}</b>'
        f'<span class="et-quiet">{escape(doing)}</span></div>'
    )


def _rungs(found: CheckStory, lang: str) -> str:
    """Return what was tried, one line per rung of the ladder."""
    rungs = [_rung(trial, lang) for trial in found.trials]
    if found.trying is not None and not found.has_ended:
        rungs.append(_trying(found.trying, lang))
    return f'<ol class="costs-rungs">{"".join(rungs)}</ol>' if rungs else ""


def _trying(changes: dict[str, Any], lang: str) -> str:
    said = escape(t("costs.check.trying", lang))
    return f'<li data-outcome="trying"><b>{escape(_settings(changes, lang))}</b> {said}</li>'


def _settings(changes: dict[str, Any], lang: str) -> str:
    return named(changes, lang) if changes else t("costs.check.as_set", lang)


def _rung(trial: Trial, lang: str) -> str:
    what = _settings(trial.changes, lang)
    outcome = t(f"costs.check.outcome.{trial.outcome}", lang)
    facts = [outcome]
    if trial.peak_memory_gb is not None and trial.limit_gb is not None:
        peak, limit = gigabytes(trial.peak_memory_gb), gigabytes(trial.limit_gb)
        facts.append(t("costs.check.peak_of", lang, peak=peak, limit=limit))
    if trial.outcome == "failed" and trial.code:
        facts.append(t(f"error.{trial.code}", lang, **trial.values))
    return (
        f'<li class="costs-{trial.outcome}" data-outcome="{trial.outcome}"><b>{escape(what)}</b> '
        f"<span>{escape(' · '.join(facts))}</span></li>"
    )


def _verdict(found: CheckStory, config: TrainConfig, lang: str) -> str:
    """Return in a sentence what came of it, with the button that takes a lighter rung."""
    if found.failure is not None:
        values = found.failure.values
        said = t(f"error.{found.failure.code}", lang, **values)
        return f'<p class="costs-note et-bad" role="alert">{escape(said)}</p>'
    if not found.has_ended or found.state != "finished":
        return ""
    if found.given_fits:
        return f'<p class="costs-note costs-good">{escape(t("costs.check.fits", lang))}</p>'
    if found.fits is None or found.config is None:
        said = t("costs.check.nothing_fits", lang)
        return f'<p class="costs-note et-bad" role="alert">{escape(said)}</p>'
    offered = found.fits.changes
    said = t("costs.check.lighter_fits", lang, changes=named(offered, lang))
    button = _button("costs.check.take", offered, _holds(config, offered), lang)
    return f'<p class="costs-note costs-warn">{escape(said)}{button}</p>'


def _button(key: str, options: dict[str, Any], is_held: bool, lang: str) -> str:
    if is_held:
        return f' <small class="et-quiet">{escape(t("costs.check.held", lang))}</small>'
    text = escape(t(key, lang))
    return f' <button type="button" class="et-mini" {taking(options)}>{text}</button>'


def _holds(config: TrainConfig, options: dict[str, Any]) -> bool:
    content = config.model_dump(mode="json")
    pairs = [(path.partition("."), value) for path, value in options.items()]
    return all(content[section][name] == value for (section, _, name), value in pairs)


def _figures(found: CheckStory, lang: str) -> str:
    """Return what was measured, as tiles."""
    trial = found.fits
    if trial is None:
        return ""
    tiles = [(name, value) for name, value in _measured(found, trial, lang) if value]
    drawn = "".join(
        f'<div class="costs-tile" data-figure="{name}">'
        f"<span>{escape(t(f'costs.check.figure.{name}', lang))}</span><b>{escape(value)}</b></div>"
        for name, value in tiles
    )
    return f'<div class="costs-tiles">{drawn}</div>'


def _measured(found: CheckStory, trial: Trial, lang: str) -> list[tuple[str, str]]:
    peak, step, total = trial.peak_memory_gb, trial.step_seconds, found.total_seconds
    speed = found.tokens_per_second or trial.tokens_per_second
    return [
        ("peak", "" if peak is None else gigabytes(peak)),
        ("step", "" if step is None else _seconds(step, lang)),
        ("total", "" if total is None else quantities.duration(total, lang)),
        ("speed", quantities.pace(speed) if speed else ""),
        ("loss", f"{trial.losses[0]:.3f}" if trial.losses else ""),
        ("grad_norm", f"{trial.grad_norms[0]:.3g}" if trial.grad_norms else ""),
    ]


def _seconds(seconds: float, lang: str) -> str:
    if seconds < 10:
        return t("monitor.seconds", lang, seconds=f"{seconds:.2g}")
    return quantities.duration(seconds, lang)


def _warnings(found: CheckStory, lang: str) -> str:
    said = dict.fromkeys(t(f"notice.{one.code}", lang, **one.values) for one in found.warnings)
    if not said:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in said)
    title = escape(t("costs.check.warnings", lang))
    return f'<div class="costs-warnings" role="status"><b>{title}</b><ul>{items}</ul></div>'


def _learning_rates(found: CheckStory, config: TrainConfig, lang: str) -> str:
    """Return the curves of the trial at the chosen rate and of the range test."""
    steady = curve([(float(x), y) for x, y in found.steady_curve], None, lang, rates=False)
    swept = curve(found.range_curve, found.suggested_rate, lang)
    rate = found.suggested_rate
    if rate is None:
        return steady + swept
    offered = {"optim.learning_rate": rate}
    said = t("costs.check.suggested", lang, rate=f"{rate:.2g}")
    button = _button("costs.check.take_rate", offered, _holds(config, offered), lang)
    return f'{steady}{swept}<p class="costs-note">{escape(said)}{button}</p>'


def _scales(points: Sequence[Point], rates: bool) -> tuple[Any, Any]:
    """Return from values to places in the picture: across and down."""
    across = math.log10 if rates else float
    xs, ys = [across(x) for x, _ in points], [y for _, y in points]
    wide, tall = (max(xs) - min(xs)) or 1.0, (max(ys) - min(ys)) or 1.0
    return (
        lambda x: _LEFT + (across(x) - min(xs)) / wide * (_RIGHT - _LEFT),
        lambda y: _FLOOR - (y - min(ys)) / tall * (_FLOOR - _TOP),
    )


def _axes(points: Sequence[Point], at: tuple[Any, Any], rates: bool, lang: str) -> str:
    ys = [y for _, y in points]
    left = "".join(
        f'<line class="costs-grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{at[1](y):.1f}"'
        f' y2="{at[1](y):.1f}"/><text x="{_LEFT - 6}" y="{at[1](y) + 4:.1f}" text-anchor="end">'
        f"{y:.3g}</text>"
        for y in (min(ys), max(ys))
    )
    below = "".join(
        f'<text x="{at[0](x):.1f}" y="{_FLOOR + 17}" text-anchor="middle">{x:.3g}</text>'
        for x in _ticks([x for x, _ in points], rates)
    )
    name = escape(t("monitor.learning_rate" if rates else "monitor.step", lang))
    middle = (_LEFT + _RIGHT) / 2
    return f'{left}{below}<text x="{middle}" y="{_HEIGHT - 3}" text-anchor="middle">{name}</text>'


def _ticks(xs: Sequence[float], rates: bool) -> list[float]:
    low, high = min(xs), max(xs)
    if not rates:
        return [low, high]
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [10.0**power for power in powers] or [low, high]


def _mark(mark: float | None, at: tuple[Any, Any]) -> str:
    if mark is None:
        return ""
    x = min(max(at[0](mark), _LEFT), _RIGHT)
    anchor, beside = ("end", x - 5) if x > _WIDTH / 2 else ("start", x + 5)
    return (
        f'<line class="costs-mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{_FLOOR}"/>'
        f'<text class="costs-mark-name" x="{beside:.1f}" y="{_TOP}" text-anchor="{anchor}">'
        f"{mark:.2g}</text>"
    )
