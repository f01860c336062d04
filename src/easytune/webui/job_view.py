"""What the page says about a job of any kind: pure functions from its story to markup.

Every text that comes from a job, a file or a person is escaped here. `name` is the kind's section
of the locales, and the beginning of its ids.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from easytune import quantities
from easytune.events import Failed, Notice
from easytune.i18n import t
from easytune.services.job_following import JobStory
from easytune.webui.run_view import ACTIVE, state_chip


def nothing_yet(name: str, lang: str) -> str:
    """Return what the page says before the first job: what to do next."""
    return f'<div class="et-empty" id="{name}-empty">{escape(t(f"{name}.empty", lang))}</div>'


def status(name: str, story: JobStory, doing: str, progress: str, lang: str) -> str:
    """Return the state, what it does in words, and markup that says how far it is."""
    return (
        f'<div class="et-status" id="{name}-state" data-state="{escape(story.state)}">'
        f'<div class="et-head">{state_chip(story.state, lang)}'
        f'<b class="et-name">{escape(story.name)}</b>'
        f'<span class="et-quiet" id="{name}-phase">{escape(doing)}</span></div>'
        f"{progress}</div>"
    )


def waiting(name: str, story: JobStory, lang: str) -> str | None:
    """Return what a job waits for or how it is stopped; None where it works, or has ended."""
    match story.state:
        case "queued" if story.queue_position:
            return t("monitor.queue_place", lang, place=story.queue_position)
        case "stopping":
            return t(f"{name}.stop_stage.{story.stop_stage or 'asked'}", lang)
        case "stopped" if story.started_at is None:
            return t(f"{name}.never_began", lang)
        case _:
            return None


def bar(share: float, story: JobStory, *, is_known: bool) -> str:
    """Return a bar; it moves by itself while nobody knows how long the rest takes."""
    waits = story.state == "starting" or (
        story.state in ACTIVE and (share == 1.0 or not is_known)
    )  # fmt: skip
    if not is_known and story.state not in ACTIVE:
        return ""
    return (
        f'<div class="et-progress{" et-waiting" if waits else ""}" role="progressbar"'
        f' aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share * 100:.0f}">'
        f'<i style="width:{share * 100:.1f}%"></i></div>'
    )


def under(name: str, so_far: str, times: str) -> str:
    """Return the line below the bar."""
    return (
        f'<div class="et-under"><span id="{name}-done">{escape(so_far)}</span>'
        f"<span>{escape(times)}</span></div>"
    )


def times(name: str, story: JobStory, seconds_left: float | None, lang: str) -> str:
    """Return how long it took so far, and how long the rest takes where that is known."""
    parts = []
    if story.started_at is not None:
        end = story.ended_at or datetime.now(UTC)
        elapsed = quantities.duration((end - story.started_at).total_seconds(), lang)
        parts.append(t("monitor.elapsed", lang, duration=elapsed))
    if story.state == "running" and seconds_left:
        left = quantities.duration(seconds_left, lang)
        parts.append(t(f"{name}.time_left", lang, duration=left))
    return " · ".join(parts)


def notices(found: Sequence[Notice], lang: str) -> str:
    """Return what the user should know though it stops nothing."""
    if not found:
        return ""
    texts = dict.fromkeys(t(f"notice.{one.code}", lang, **one.values) for one in found)
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    title = escape(t("monitor.notices", lang))
    return f'<div class="et-notices"><b>{title}</b><ul>{items}</ul></div>'


def failure(name: str, failed: Failed | None, lang: str) -> str:
    """Return why it failed and what to do, with the end of its log to open."""
    if failed is None:
        return ""
    told = escape(t(f"error.{failed.code}", lang, **failed.values))
    title = escape(t(f"{name}.failed_title", lang))
    return (
        f'<div class="et-failure" role="alert" data-code="{escape(failed.code, quote=True)}">'
        f"<b>{title}</b><p>{told}</p>{_detail(failed, lang)}</div>"
    )


def choice(job: Any, lang: str) -> str:
    """Return how a job is called in a list: name, time, state."""
    when = job.created.astimezone().strftime("%m-%d %H:%M:%S")
    return f"{job.name} · {when} · {t(f'monitor.state.{job.state}', lang)}"


def link(attribute: str, job: Any, lang: str) -> str:
    """Return a button that opens a job; its id is in `attribute`."""
    said = f"{job.name} · {quantities.minute(job.created)}"
    if job.state != "finished":
        said += f" · {t(f'monitor.state.{job.state}', lang)}"
    name = escape(job.id, quote=True)
    return f'<button type="button" class="et-mini" {attribute}="{name}">{escape(said)}</button>'


def _detail(failed: Failed, lang: str) -> str:
    if not failed.detail.strip():
        return ""
    title = escape(t("evaluate.detail", lang))
    lines = escape(failed.detail.strip())
    return (
        f'<div class="et-log"><details><summary>{title}</summary><pre>{lines}</pre></details></div>'
    )
