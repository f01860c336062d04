"""What a run will take, as the page draws it: pure functions from an estimate to HTML.

Names of models, runs and files come from people and are escaped here.
"""

import json
from html import escape
from typing import Any

from easytune import quantities
from easytune.estimate import PARTS, Change, Estimate
from easytune.i18n import t
from easytune.services.advice import Advised
from easytune.webui import language

SHOWN_MB = 5e-3
"""Parts below this many GB are in the bar, not in its legend."""
_STATES = {"fits": "finished", "tight": "stopping", "too_much": "failed"}
"""Which state of a run has the colours of a verdict."""


def line(advised: Advised, lang: str) -> str:
    """Return the estimate in one line: does it fit, how much, how long."""
    found = advised.estimate
    if found is None:
        said = t("costs.counting" if advised.is_measuring else "costs.unknown", lang)
        return f'<div class="costs-line">{escape(said)}</div>'
    memory = {"peak": gigabytes(found.peak_gb), "free": gigabytes(found.free_gb)}
    facts = [t("costs.short", lang, **memory)]
    if found.seconds is not None:
        facts.append(_time(found, lang))
    if advised.is_measuring:
        facts.append(t("costs.counting", lang))
    return (
        f'<div class="costs-line">{verdict(found, lang)}'
        f"<span>{escape(' · '.join(facts))}</span></div>"
    )


def card(advised: Advised, lang: str) -> str:
    """Return the whole estimate: memory by part, time, speed, disk, and what would make it fit."""
    inside = [_problem(advised, lang)]
    if advised.estimate is not None:
        found = advised.estimate
        inside = [_bar(found, lang), _tiles(found, advised, lang), *inside, _changes(advised, lang)]
    return f'<div class="costs-card">{"".join(inside)}</div>'


def waiting(paths: list[str], lang: str) -> str:
    """Return what stands in place of the line while values of these options cannot be used."""
    names = ", ".join(language.option_name(path, lang) for path in paths)
    said = t("costs.mend_first", lang, options=names)
    return f'<div class="costs-line costs-waiting">{escape(said)}</div>'


def verdict(found: Estimate, lang: str) -> str:
    """Return the coloured word for how a run fits."""
    word = escape(t(f"costs.verdict.{found.verdict}", lang))
    return (
        f'<span class="et-chip et-state-{_STATES[found.verdict]}"'
        f' data-verdict="{found.verdict}">{word}</span>'
    )


def taking(options: dict[str, Any]) -> str:
    """Return the attributes of a button that puts these options into the form."""
    return f'data-act="take" data-options="{escape(json.dumps(options), quote=True)}"'


def gigabytes(value: float) -> str:
    """Return memory the way people read it: `0.04 GB`, `3.2 GB`, `81 GB`."""
    digits = 2 if value < 1 else 1 if value < 20 else 0
    return f"{value:.{digits}f} GB"


def named(options: dict[str, Any], lang: str) -> str:
    """Return options with their values: `Batch size 4, Gradient accumulation 2`."""
    return ", ".join(
        f"{language.option_name(path, lang)} {language.option_value(path, value, lang)}"
        for path, value in options.items()
    )


def _peak(found: Estimate, lang: str) -> str:
    facts = {"peak": gigabytes(found.peak_gb), "free": gigabytes(found.free_gb)}
    return t(f"costs.peak.{found.device}", lang, **facts)


def _time(found: Estimate, lang: str) -> str:
    return t("costs.about", lang, amount=quantities.duration(found.seconds or 0, lang))


def _speed(tokens_per_second: float, lang: str) -> str:
    return t("costs.speed", lang, tokens=quantities.pace(tokens_per_second))


def _bar(found: Estimate, lang: str) -> str:
    """Return memory by part as one bar, with a mark at what is free now."""
    whole = max(found.peak_gb, found.free_gb) or 1.0
    parts = [(part, found.parts.get(part, 0.0)) for part in PARTS]
    pieces = "".join(
        f'<i class="costs-{part}" style="width:{100 * value / whole:.2f}%"'
        f' title="{escape(_part(part, value, lang), quote=True)}"></i>'
        for part, value in parts if value > 0
    )  # fmt: skip
    keys = "".join(
        f'<span data-part="{part}"><i class="costs-{part}"></i>{escape(_part(part, value, lang))}'
        "</span>"
        for part, value in parts if value >= SHOWN_MB
    )  # fmt: skip
    label = escape(_peak(found, lang), quote=True)
    free = 100 * found.free_gb / whole
    return (
        f'<div class="et-head">{verdict(found, lang)}<b>{escape(_peak(found, lang))}</b></div>'
        f'<div class="costs-bar costs-{found.verdict}" role="img" aria-label="{label}">{pieces}'
        f'<u style="left:{free:.2f}%"></u></div>'
        f'<div class="costs-legend">{keys}{_recomputed(found, lang)}</div>'
    )


def _recomputed(found: Estimate, lang: str) -> str:
    """Return that checkpointing is counted in: "auto" leaves that to the memory there is."""
    return f"<span>{escape(t('costs.recomputed', lang))}</span>" if found.checkpointing else ""


def _part(part: str, value: float, lang: str) -> str:
    return f"{t(f'costs.part.{part}', lang)} {gigabytes(value)}"


def _tiles(found: Estimate, advised: Advised, lang: str) -> str:
    nothing = t("costs.not_known", lang)
    counting = t("costs.counting", lang) if advised.is_measuring else ""
    steps = t("costs.steps", lang, steps=f"{found.total_steps:,}") if found.total_steps else ""
    speed = found.tokens_per_second
    disk_free = t("costs.disk_free", lang, free=gigabytes(found.disk_free_gb))
    tiles = (
        _tile("time", nothing if found.seconds is None else _time(found, lang), steps or counting,
              lang),
        _tile("speed", nothing if speed is None else _speed(speed, lang), _pace(found, lang), lang),
        _tile("disk", gigabytes(found.disk_gb), disk_free, lang, not found.fits_disk),
    )  # fmt: skip
    return f'<div class="costs-tiles">{"".join(tiles)}</div>'


def _tile(name: str, value: str, note: str, lang: str, is_bad: bool = False) -> str:
    bad = " costs-bad" if is_bad else ""
    return (
        f'<div class="costs-tile{bad}" id="costs-{name}">'
        f"<span>{escape(t(f'costs.tile.{name}', lang))}</span>"
        f"<b>{escape(value)}</b><small>{escape(note)}</small></div>"
    )


def _pace(found: Estimate, lang: str) -> str:
    match found.pace_source:
        case "run":
            return t("costs.pace.run", lang, run=found.pace_run or "")
        case "probe":
            return t("costs.pace.probe", lang)
    return t("costs.pace.none", lang)


def _problem(advised: Advised, lang: str) -> str:
    if advised.problem is not None:
        error = advised.problem
        said, css = t(f"error.{error.code()}", lang, **error.values), "costs-note et-bad"
    elif advised.estimate is None and not advised.is_measuring:
        said, css = t("costs.model_not_here", lang), "costs-note"
    elif advised.data is not None and advised.data.supervised_tokens == 0:
        said, css = t("costs.nothing_learned", lang), "costs-note et-bad"
    else:
        return ""
    return f'<p class="{css}" role="status">{escape(said)}</p>'


def _changes(advised: Advised, lang: str) -> str:
    """Return the shortest list of changes that make the run fit, a button each."""
    found = advised.estimate
    if found is None or found.verdict != "too_much":
        return ""
    if not advised.changes:
        return f'<p class="costs-note et-bad">{escape(t("costs.nothing_fits", lang))}</p>'
    items = "".join(f"<li>{_change(change, lang)}</li>" for change in advised.changes)
    every: dict[str, Any] = {}
    for change in advised.changes:
        every |= change.options
    take_all = ""
    if len(advised.changes) > 1:
        said = escape(t("costs.take_all", lang))
        take_all = f'<button type="button" class="et-mini" {taking(every)}>{said}</button>'
    title = escape(t("costs.would_fit", lang))
    return f'<div class="costs-changes"><b>{title}</b><ul>{items}</ul>{take_all}</div>'


def _change(change: Change, lang: str) -> str:
    after = t("costs.then", lang, peak=gigabytes(change.peak_gb))
    return (
        f'<button type="button" class="et-mini" {taking(change.options)}>'
        f"{escape(named(change.options, lang))}</button> <small>{escape(after)}</small>"
    )
