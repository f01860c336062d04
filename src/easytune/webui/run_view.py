"""What the live panel says about a run: pure functions from its story to text and markup.

Every text that comes from a run, a file or a person is escaped here: `gr.HTML` renders markup.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

from easytune import quantities, remedies
from easytune.config import TrainConfig
from easytune.events import Failed, Resources
from easytune.i18n import t
from easytune.services.story import Story
from easytune.webui import forgetting_view, language

ACTIVE = frozenset({"queued", "starting", "running", "stopping"})
FAILURES = frozenset({"failed", "crashed", "lost"})
LOG_LINES = 50


@dataclass(frozen=True)
class Fact:
    """One tile: a number with its name, and a quiet line below."""

    name: str
    label: str
    value: str
    note: str = ""
    tone: str = ""
    """Band of forgetting, which gives the number its colour."""


def state_chip(state: str, lang: str) -> str:
    """Return the coloured word for a state."""
    word = escape(t(f"monitor.state.{state}", lang))
    return (
        f'<span class="et-chip et-state-{escape(state)}" data-state="{escape(state)}">{word}</span>'
    )


def nothing_yet(lang: str) -> str:
    """Return what the panel says before the first run: what to do next."""
    return f'<div class="et-empty" id="et-empty">{escape(t("monitor.empty", lang))}</div>'


def status(story: Story, name: str, config: TrainConfig, lang: str) -> str:
    """Return the head of the panel: state, progress with the time left, tiles."""
    tiles = "".join(_tile(fact) for fact in facts(story, config, lang))
    return (
        '<div class="et-status" id="et-status"><div class="et-head">'
        f"{state_chip(story.state, lang)}"
        f'<b class="et-name">{escape(name)}</b>'
        f'<span class="et-quiet">{escape(_doing(story, lang))}</span></div>'
        f'{_progress(story, lang)}<div class="et-tiles">{tiles}</div></div>'
    )


def facts(story: Story, config: TrainConfig, lang: str) -> list[Fact]:
    """Return the tiles: losses, forgetting, speed and memory."""
    loss = story.losses[-1][1] if story.losses else None
    held_out = story.held_out[-1][1] if story.held_out else None
    best = _where_best(story, lang)
    speed = f"{story.tokens_per_second:,.0f}" if story.tokens_per_second else None
    memory = f"{story.memory_gb:.1f} GB" if story.memory_gb else None
    nothing = t("monitor.none", lang)
    return [
        Fact("loss", t("monitor.training_loss", lang), _loss(loss) or nothing),
        Fact("held-out", t("monitor.held_out_loss", lang), _loss(held_out) or nothing, best),
        Fact("forgetting", t("forgetting.title", lang), *forgetting_view.tile(story, config, lang)),
        Fact("speed", t("monitor.tokens_per_second", lang), speed or nothing),
        Fact("memory", t("monitor.memory", lang), memory or nothing),
    ]


def gauges(now: Resources | None, history: list[Resources], lang: str) -> dict[str, Any]:
    """Return the use of the machine with its recent course, for the sparklines."""
    if now is None:
        return {"gauges": []}
    past = history or [now]
    rows = [
        _percent("cpu", now.cpu_percent, [r.cpu_percent for r in past], lang),
        _amount("memory", now.memory_gb, now.memory_total_gb, [r.memory_gb for r in past], lang),
    ]
    if now.gpu_percent is not None:
        rows.append(_percent("gpu", now.gpu_percent, [r.gpu_percent or 0 for r in past], lang))
    if now.gpu_memory_gb is not None:
        used = [r.gpu_memory_gb or 0 for r in past]
        rows.append(
            _amount("gpu_memory", now.gpu_memory_gb, now.gpu_memory_total_gb or 0, used, lang)
        )
    return {"gauges": rows}


def samples(story: Story, lang: str) -> dict[str, Any]:
    """Return the answers to the fixed prompts, evaluation by evaluation."""
    return {
        "title": t("monitor.answers", lang),
        "previous_label": t("monitor.previous", lang),
        "next_label": t("monitor.next", lang),
        "steps": [
            {
                "title": t("monitor.checkpoint_at", lang, step=sampled.step),
                "samples": [s.model_dump() for s in sampled.samples],
            }
            for sampled in story.samples
        ],
    }


def notices(story: Story, lang: str) -> str:
    """Return what the user should know though it stops nothing."""
    if not story.notices:
        return ""
    texts = dict.fromkeys(t(f"notice.{n.code}", lang, **n.values) for n in story.notices)
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return (
        f'<div class="et-notices"><b>{escape(t("monitor.notices", lang))}</b><ul>{items}</ul></div>'
    )


def failure(failed: Failed | None, config: TrainConfig, lang: str) -> str:
    """Return the card that says what went wrong, what to do, and what the fix would change."""
    if failed is None:
        return ""
    sentence = t(f"error.{failed.code}", lang, **failed.values)
    return (
        f'<div class="et-failure" role="alert" data-code="{escape(failed.code)}">'
        f"<b>{escape(t('monitor.failed_title', lang))}</b><p>{escape(sentence)}</p>"
        f"{_changes(failed, config, lang)}</div>"
    )


def result(story: Story, folder: str, run_id: str, lang: str) -> str:
    """Return where the adapter is, to copy, download, talk to, evaluate or export.

    `folder` is empty when there is none.
    """
    if not folder or story.state in ACTIVE:
        return ""
    path, run = escape(folder, quote=True), escape(run_id, quote=True)
    download = escape(f"download/{quote(run_id)}", quote=True)
    return (
        f'<div class="et-result"><b>{escape(t("monitor.adapter", lang))}</b>'
        f'<code id="et-adapter-path">{path}</code><span class="et-buttons">'
        f'<button type="button" class="et-mini" data-et-copy="{path}">'
        f"{escape(t('app.copy', lang))}</button>"
        f'<a class="et-mini" id="et-download" href="{download}" download>'
        f"{escape(t('monitor.download', lang))}</a>"
        f'<button type="button" class="et-mini" id="et-chat-with" data-et-chat-with="{run}">'
        f"{escape(t('chat.with_model', lang))}</button>"
        f'<button type="button" class="et-mini" id="et-evaluate-run" data-et-evaluate="{run}">'
        f"{escape(t('evaluate.this', lang))}</button>"
        f'<button type="button" class="et-mini" id="et-export-run" data-et-export="{run}">'
        f"{escape(t('export.this', lang))}</button></span></div>"
    )


def log(lines: list[str], state: str, lang: str) -> dict[str, Any]:
    """Return the end of the log; it lies open when the run failed."""
    return {
        "title": t("monitor.log", lang, lines=LOG_LINES),
        "lines": lines,
        "open": state in FAILURES,
    }


def _doing(story: Story, lang: str) -> str:
    if story.state == "queued" and story.queue_position:
        return t("monitor.queue_place", lang, place=story.queue_position)
    if story.state == "stopping":
        return t(f"monitor.stop_stage.{story.stop_stage or 'asked'}", lang)
    if story.state in ("starting", "running") and story.phase:
        return t(f"monitor.phase.{story.phase}", lang)
    if story.state == "stopped" and story.started_at is None:
        return t("monitor.never_began", lang)
    return ""


def _progress(story: Story, lang: str) -> str:
    share = min(1.0, story.step / story.total_steps) if story.total_steps else 0.0
    waiting = " et-waiting" if story.state == "starting" else ""
    return (
        f'<div class="et-progress{waiting}" role="progressbar" aria-valuemin="0"'
        f' aria-valuemax="100" aria-valuenow="{share * 100:.0f}">'
        f'<i style="width:{share * 100:.1f}%"></i></div>'
        f'<div class="et-under"><span>{escape(_steps(story, lang))}</span>'
        f"<span>{escape(_times(story, lang))}</span></div>"
    )


def _steps(story: Story, lang: str) -> str:
    if not story.total_steps:
        return ""
    facts = {"step": story.step, "total": story.total_steps, "first": story.first_step}
    return t("monitor.step_since" if story.first_step else "monitor.step_of", lang, **facts)


def _times(story: Story, lang: str) -> str:
    parts = []
    if story.started_at is not None:
        end = story.ended_at or datetime.now(UTC)
        elapsed = quantities.duration((end - story.started_at).total_seconds(), lang)
        parts.append(t("monitor.elapsed", lang, duration=elapsed))
    if story.state == "running" and story.seconds_left is not None:
        left = quantities.duration(story.seconds_left, lang)
        parts.append(t("monitor.time_left", lang, duration=left))
    return " · ".join(parts)


def _tile(fact: Fact) -> str:
    tone = f' data-tone="{fact.tone}"' if fact.tone else ""
    return (
        f'<div class="et-tile" id="et-tile-{fact.name}"{tone}><span>{escape(fact.label)}</span>'
        f"<b>{escape(fact.value)}</b><small>{escape(fact.note)}</small></div>"
    )


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _where_best(story: Story, lang: str) -> str:
    """Return the lowest held-out loss beside that of the model as it was before."""
    if story.best is None:
        return ""
    step, loss = story.best
    told = t("monitor.where_best", lang, step=step, loss=_loss(loss))
    first, before = story.held_out[0]
    return told if first else f"{told} · {t('monitor.before', lang, loss=_loss(before))}"


def _changes(failed: Failed, config: TrainConfig, lang: str) -> str:
    fixed = remedies.remedy(failed.code, config, failed.values)
    if fixed is None:
        return ""
    name, value = language.option_name, language.option_value
    rows = "".join(
        f"<li>{escape(name(path, lang))}: {escape(value(path, old, lang))} → "
        f"<b>{escape(value(path, new, lang))}</b></li>"
        for path, old, new in remedies.changes(config, fixed)
    )
    title = escape(t("monitor.changes_title", lang))
    return f'<div class="et-changes">{title}<ul>{rows}</ul></div>'


def _percent(name: str, value: float, history: list[float], lang: str) -> dict[str, Any]:
    text = t("monitor.percent", lang, percent=round(value))
    return _gauge(name, text, history, 100.0, lang)


def _amount(
    name: str, used: float, total: float, history: list[float], lang: str
) -> dict[str, Any]:
    text = t("monitor.gigabytes", lang, used=f"{used:.1f}", total=f"{total:.0f}")
    return _gauge(name, text, history, total, lang)


def _gauge(name: str, text: str, history: list[float], top: float, lang: str) -> dict[str, Any]:
    label = t(f"monitor.gauge.{name}", lang)
    past = [round(value, 2) for value in history]
    return {"name": name, "label": label, "text": text, "history": past, "top": top}
