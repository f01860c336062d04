"""What the page says about an evaluation that goes on: pure functions from its story to markup.

Every text that comes from an evaluation, a file or a person is escaped here.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from easytune import quantities
from easytune.events import Failed, Notice
from easytune.i18n import has, t
from easytune.services.evaluation_story import ASKING_MORE, EvaluationStory
from easytune.services.evaluations import EvaluationSummary
from easytune.webui.run_view import ACTIVE, state_chip

MOST_LISTED = 4
_ASKING = "answering"
_NAMED = 3


def nothing_yet(lang: str) -> str:
    """Return what the page says before the first evaluation: what to do next."""
    return f'<div class="et-empty" id="evaluate-empty">{escape(t("evaluate.empty", lang))}</div>'


def status(story: EvaluationStory, lang: str) -> str:
    """Return the state, how far it is, and how long the rest takes."""
    return (
        f'<div class="et-status" id="evaluate-state" data-state="{escape(story.state)}">'
        f'<div class="et-head">{state_chip(story.state, lang)}'
        f'<b class="et-name">{escape(story.name)}</b>'
        f'<span class="et-quiet" id="evaluate-phase">{escape(doing(story, lang))}</span></div>'
        f"{_progress(story, lang)}</div>"
    )


def doing(story: EvaluationStory, lang: str) -> str:
    """Return what it does now, or what it waits for."""
    match story.state:
        case "queued" if story.queue_position:
            return t("monitor.queue_place", lang, place=story.queue_position)
        case "stopping":
            return t(f"evaluate.stop_stage.{story.stop_stage or 'asked'}", lang)
        case "starting" | "running" if story.phase:
            return _phase(story, lang)
        case "stopped" if story.started_at is None:
            return t("evaluate.never_began", lang)
        case _:
            return ""


def notices(found: Sequence[Notice], lang: str) -> str:
    """Return what the user should know though it stops nothing."""
    if not found:
        return ""
    texts = dict.fromkeys(t(f"notice.{one.code}", lang, **one.values) for one in found)
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    title = escape(t("monitor.notices", lang))
    return f'<div class="et-notices"><b>{title}</b><ul>{items}</ul></div>'


def failure(failed: Failed | None, lang: str) -> str:
    """Return why it failed and what to do, with the end of its log to open."""
    if failed is None:
        return ""
    told = escape(t(f"error.{failed.code}", lang, **failed.values))
    title = escape(t("evaluate.failed_title", lang))
    return (
        f'<div class="et-failure" role="alert" data-code="{escape(failed.code, quote=True)}">'
        f"<b>{title}</b><p>{told}</p>{_detail(failed, lang)}</div>"
    )


def asked(counts: Sequence[int | str | None], models: int, lang: str) -> str:
    """Return how many answers there will be: per test set its rows, None where nobody has counted
    them yet, or why it cannot be asked.
    """
    rows = sum(count for count in counts if isinstance(count, int))
    said = [count for count in counts if isinstance(count, str)]
    values = {"rows": f"{rows:,}", "models": models, "answers": f"{rows * models:,}"}
    if None in counts:
        said.insert(0, t("evaluate.asked_more", lang, **values))
    elif rows:
        said.insert(0, t("evaluate.asked", lang, **values))
    return "".join(f'<p class="et-fact">{escape(one)}</p>' for one in said)


def links(evaluations: Sequence[EvaluationSummary], lang: str) -> str:
    """Return the newest of some evaluations, each a button that opens it."""
    if not evaluations:
        return ""
    newest = sorted(evaluations, key=lambda one: one.created, reverse=True)
    buttons = " ".join(_link(one, lang) for one in newest[:MOST_LISTED])
    told = t("evaluate.earlier", lang, count=len(newest))
    return f'<p class="et-fact evaluate-earlier">{escape(told)} {buttons}</p>'


def choice(evaluation: EvaluationSummary, lang: str) -> str:
    """Return how an evaluation is called in a list: name, time, state."""
    when = evaluation.created.astimezone().strftime("%m-%d %H:%M:%S")
    return f"{evaluation.name} · {when} · {t(f'monitor.state.{evaluation.state}', lang)}"


def _link(evaluation: EvaluationSummary, lang: str) -> str:
    when = quantities.minute(evaluation.created)
    said = f"{evaluation.name} · {when}"
    if evaluation.state != "finished":
        said += f" · {t(f'monitor.state.{evaluation.state}', lang)}"
    name = escape(evaluation.id, quote=True)
    return (
        f'<button type="button" class="et-mini" data-et-evaluation="{name}">{escape(said)}</button>'
    )


def _phase(story: EvaluationStory, lang: str) -> str:
    """Return the phase; while models are asked, which of them."""
    if story.phase == _ASKING and story.asked:
        known, asked = len(story.order.candidates), [one.title for one in story.asked]
        more = f" +{len(asked) - _NAMED}" if len(asked) > _NAMED else ""
        key = "asking" if len(asked) == known else "asking_some"
        names = ", ".join(asked[:_NAMED]) + more
        return t(f"evaluate.{key}", lang, models=names, count=len(asked), of=known)
    key = f"evaluate.phase.{story.phase}"
    return t(key, lang) if has(key) else t(f"monitor.phase.{story.phase}", lang)


def _progress(story: EvaluationStory, lang: str) -> str:
    share = min(1.0, story.done / story.total) if story.total else 0.0
    # After the last answer it scores and probes, for a time that nobody knows.
    waits = story.state == "starting" or (story.state in ACTIVE and share == 1.0)
    waiting = " et-waiting" if waits else ""
    bar = (
        f'<div class="et-progress{waiting}" role="progressbar" aria-valuemin="0"'
        f' aria-valuemax="100" aria-valuenow="{share * 100:.0f}">'
        f'<i style="width:{share * 100:.1f}%"></i></div>'
    )
    # What ended before its rows were read has no way behind it.
    bar = bar if story.total or story.state in ACTIVE else ""
    return (
        f'{bar}<div class="et-under"><span id="evaluate-done">{escape(_so_far(story, lang))}</span>'
        f"<span>{escape(_times(story, lang))}</span></div>"
    )


def _so_far(story: EvaluationStory, lang: str) -> str:
    if not story.total:
        return ""
    done, total = f"{story.done:,}", f"{story.total:,}"
    of = "done_of" if story.phase in ASKING_MORE else "answers_of"
    parts = [t(f"evaluate.{of}", lang, done=done, total=total)]
    if story.rows_per_second and story.state in ACTIVE and story.done < story.total:
        pace = quantities.pace(story.rows_per_second)
        parts.append(t("evaluate.pace", lang, rows=pace))
    if story.batch_size and story.state in ACTIVE:
        parts.append(t("evaluate.batch", lang, size=story.batch_size))
    return " · ".join(parts)


def _times(story: EvaluationStory, lang: str) -> str:
    parts = []
    if story.started_at is not None:
        end = story.ended_at or datetime.now(UTC)
        elapsed = quantities.duration((end - story.started_at).total_seconds(), lang)
        parts.append(t("monitor.elapsed", lang, duration=elapsed))
    if story.state == "running" and story.seconds_left and story.done < story.total:
        left = quantities.duration(story.seconds_left, lang)
        parts.append(t("evaluate.time_left", lang, duration=left))
    return " · ".join(parts)


def _detail(failed: Failed, lang: str) -> str:
    if not failed.detail.strip():
        return ""
    title = escape(t("evaluate.detail", lang))
    lines = escape(failed.detail.strip())
    return (
        f'<div class="et-log"><details><summary>{title}</summary><pre>{lines}</pre></details></div>'
    )
