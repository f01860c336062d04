"""Tasks on datasets as the page draws them: pure functions from stories to HTML."""

from html import escape
from pathlib import Path
from typing import Any

from easytune import quantities
from easytune.data.stored import Reference
from easytune.data.tasks import Task
from easytune.i18n import has, t
from easytune.services.data_tasks import TaskStory

_STATES = {
    "waiting": "queued", "running": "running", "finished": "finished", "failed": "failed",
    "cancelled": "stopped", "lost": "crashed",
}  # fmt: skip
"""Which state of a run has the colours of a state of a task."""


def cards(stories: list[TaskStory], lang: str) -> str:
    """Return a card per task, the newest first."""
    drawn = "".join(_card(story, lang) for story in stories)
    return f'<div class="data-jobs">{drawn}</div>' if drawn else ""


def named(task: Task) -> str:
    """Return what a task is about, in the user's own words: a title, a file, a version."""
    match task.kind:
        case "import":
            files = [Path(path).name for path in task.paths[:1]]
            return task.title or task.dataset or task.hub or next(iter(files), "")
        case "measure":
            return ", ".join(_short(name) for name in task.config.data.datasets)
        case "leaks":
            return f"{_short(task.a)} · {_short(task.b)}"
        case _:
            return _short(task.reference)


def amount(count: int, unit: str, lang: str) -> str:
    """Return a number of bytes, rows or files as people read it."""
    if unit != "bytes":
        return t(f"datasets.unit.{unit}", lang, count=f"{count:,}")
    return quantities.size(count)


def _short(name: str) -> str:
    reference = Reference.parse(name)
    return name if reference is None else str(reference).removeprefix("dataset:")


def _card(story: TaskStory, lang: str) -> str:
    task = story.task
    title = t(f"datasets.job.kind.{task.kind}", lang, name=named(task))
    chip = (
        f'<span class="et-chip et-state-{_STATES[story.state]}">'
        f"{escape(t(f'datasets.job.state.{story.state}', lang))}</span>"
    )
    body = _progress(story, lang) if story.is_active else _end(story, lang)
    return (
        f'<div class="data-job data-job-{story.state}" data-id="{escape(story.id)}"'
        f' data-kind="{task.kind}" role="status"><div class="et-head">'
        f'<span class="et-name et-grow">{escape(title)}</span>{chip}{_buttons(story, lang)}</div>'
        f"{body}</div>"
    )


def _buttons(story: TaskStory, lang: str) -> str:
    if story.is_active:
        return "" if story.cancelling else _button("cancel", story, t("datasets.job.cancel", lang))
    return _button("dismiss", story, "×", t("datasets.job.dismiss", lang))


def _button(act: str, story: TaskStory, text: str, name: str = "") -> str:
    spoken = f' aria-label="{escape(name)}" title="{escape(name)}"' if name else ""
    return (
        f'<button type="button" class="et-mini" data-act="{act}" data-task="{escape(story.id)}"'
        f"{spoken}>{escape(text)}</button>"
    )


def _progress(story: TaskStory, lang: str) -> str:
    share = min(1.0, story.done / story.total) if story.total else None
    key = f"data_task.phase.{story.phase}"
    phase = t(key, lang) if story.phase and has(key) else ""
    facts = [phase] if story.state == "running" else [t("datasets.job.waits", lang)]
    if story.cancelling:
        facts = [t("datasets.job.cancelling", lang)]
    if story.done and story.state == "running":
        facts.append(_so_far(story, lang))
    left = story.seconds_left
    if left is not None and share is not None and story.state == "running":
        facts.append(t("datasets.job.left", lang, time=quantities.duration(left, lang)))
    bar = "" if share is not None else " et-waiting"
    width = f"{(share if share is not None else 0.3):.1%}"
    said = "".join(f"<span>{escape(fact)}</span>" for fact in facts if fact)
    return (
        f'<div class="et-progress{bar}" role="progressbar" aria-valuemin="0" aria-valuemax="100"'
        f'{_now(share)}><i style="width:{width}"></i></div><div class="et-under">{said}</div>'
    )


def _now(share: float | None) -> str:
    return "" if share is None else f' aria-valuenow="{share * 100:.0f}"'


def _so_far(story: TaskStory, lang: str) -> str:
    done = amount(story.done, story.unit, lang)
    if not story.total:
        return done
    return t(
        "datasets.job.of", lang, done=done, total=amount(story.total, story.unit, lang),
        share=f"{min(1.0, story.done / story.total):.0%}",
    )  # fmt: skip


def _end(story: TaskStory, lang: str) -> str:
    match story.state:
        case "finished":
            return _made(story, lang)
        case "failed":
            said = failure(story, lang)
        case _:
            said = t(f"datasets.job.end.{story.state}", lang)
    return f'<p class="data-said">{escape(said)}</p>'


def failure(story: TaskStory, lang: str) -> str:
    """Return why a task failed, and what to do about it."""
    error = story.error
    if error is None:
        return t("datasets.job.end.lost", lang)
    return t(f"error.{error.code}", lang, **error.values)


def _made(story: TaskStory, lang: str) -> str:
    result = story.result or {}
    made = result.get("made", [result] if "title" in result else [])
    lines = "".join(_line(entry, lang) for entry in made)
    notices = "".join(
        f"<li>{escape(t(f'notice.{code}', lang, **values))}</li>"
        for code, values in result.get("notices", [])
    )
    listed = f'<ul class="et-list">{notices}</ul>' if notices else ""
    return lines + listed


def _line(entry: dict[str, Any], lang: str) -> str:
    title, problems = str(entry["title"]), int(entry["problems"])
    said = t("datasets.job.rows", lang, title=title, rows=f"{entry['rows']:,}")
    trouble = t("datasets.job.problems", lang, rows=f"{problems:,}") if problems else ""
    name = escape(str(entry["dataset"]), quote=True)
    buttons = "".join(
        f'<button type="button" class="et-mini{look}" data-act="{act}" data-dataset="{name}">'
        f"{escape(t(f'datasets.{act}', lang))}</button>"
        for act, look in (("open", ""), ("train_on", " data-main"))
    )
    return (
        f'<div class="data-made"><span class="et-grow">{escape(said)}'
        f"{f' <em>{escape(trouble)}</em>' if trouble else ''}</span>"
        f'<span class="et-buttons">{buttons}</span></div>'
    )
