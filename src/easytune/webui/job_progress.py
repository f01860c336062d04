"""The job that is shown, of any kind: which one, how far it is, what can be done with it now."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zlib import crc32

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.services.evidence import ENDED
from easytune.services.job_following import JobStory
from easytune.services.job_shelf import JobShelf
from easytune.webui import job_view
from easytune.webui.context import Context
from easytune.webui.language import label
from easytune.webui.run_view import ACTIVE
from easytune.webui.spoken import spoken

TICK_SECONDS = 1.0
# Elapsed time and evidence of life go on while a job reports nothing.
HEARTBEAT_SECONDS = 3.0
PARTS = ("picker", "status", "failure", "notices", "stop", "stop_now", "resume")
_CAN_RESUME = ("stopped", "failed", "crashed", "lost")
Shown = dict[str, Any]
Update = dict[str, Any]


class View(Protocol):
    """How one kind of job is shown; `name` is its section of the locales."""

    name: str
    more: tuple[str, ...]
    """Parts of the panel that only this kind of job has, each a `gr.HTML`."""
    clicks: str
    """JavaScript of these parts, which turns clicks into events; see `gr.HTML`."""

    def status(self, story: Any, lang: str) -> str:
        """Return the state and how far it is."""
        ...

    def further(self, story: Any, lang: str) -> dict[str, str]:
        """Return what the parts in `more` show."""
        ...


class ProgressPanel:
    """The components, top to bottom; ids begin with the name of the view.

    `ended` changes to the id of a job that has come to its end, or was opened at its end.
    """

    def __init__(self, view: View) -> None:
        """Build the panel here in the layout."""
        self.view, prefix = view, view.name
        self.shown = gr.JSON(None, visible="hidden", elem_id=f"{prefix}-shown")
        self.ended = gr.Textbox("", visible="hidden", elem_id=f"{prefix}-ended")
        self.timer = gr.Timer(TICK_SECONDS, active=False)
        with gr.Column(elem_id=f"{prefix}-live", elem_classes=["et-live"]):
            self.parts: dict[str, Any] = self._bar(prefix)
            for name in ("status", "failure", *view.more, "notices"):
                elem_id = f"{prefix}-{'progress-notices' if name == 'notices' else name}"
                clicks: dict[str, Any] = {"js_on_load": view.clicks} if name in view.more else {}
                self.parts[name] = gr.HTML("", elem_id=elem_id, apply_default_css=False, **clicks)

    def _bar(self, prefix: str) -> dict[str, Any]:
        button: dict[str, Any] = {"visible": False, "scale": 0, "min_width": 90, "size": "md"}
        with gr.Row(elem_classes="et-livebar"):
            picker = gr.Dropdown(
                [], label=label(f"{prefix}.one"), elem_id=f"{prefix}-picker", visible=False,
                filterable=False, interactive=True, scale=5, min_width=120,
            )  # fmt: skip
            resume = gr.Button(
                label(f"{prefix}.resume"), variant="primary", elem_id=f"{prefix}-resume", **button
            )
            stop = gr.Button(
                label(f"{prefix}.stop"), variant="stop", elem_id=f"{prefix}-stop", **button
            )
            stop_now = gr.Button(
                label("monitor.stop_now"), variant="stop", elem_id=f"{prefix}-stop-now", **button
            )
        return {"picker": picker, "resume": resume, "stop": stop, "stop_now": stop_now}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the parts in the order in which they are updated."""
        return (*PARTS, *self.view.more)

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `ProgressHandlers.look` updates, after the job's id."""
        return [self.shown, self.ended, *(self.parts[name] for name in self.names)]


@dataclass(frozen=True)
class _Seen:
    """What there is to show."""

    story: JobStory | None
    jobs: Sequence[Any]
    lang: str


class ProgressHandlers:
    """Values in, one service call, updates out."""

    def __init__(
        self, context: Context, jobs: JobShelf[Any, Any, Any], panel: ProgressPanel
    ) -> None:
        """Follow the jobs of one kind."""
        self._context, self._jobs, self._panel = context, jobs, panel
        self._view = panel.view

    def wire(self, job: gr.Textbox) -> dict[str, Any]:
        """Connect the panel to the hidden id of the job; return the event that draws it."""
        panel = self._panel
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        now: dict[str, Any] = {"queue": False, **told}
        look: dict[str, Any] = {
            "fn": self.look, "inputs": [job, panel.shown],
            "outputs": [job, *panel.outputs], **now,
        }  # fmt: skip
        part = panel.parts
        # One event for all, so that an older answer cannot come last.
        gr.on([panel.timer.tick, job.change], **look, trigger_mode="always_last")
        part["picker"].input(lambda chosen: chosen, part["picker"], job, **now)
        part["stop"].click(self.stop, job, **told).then(**look)
        part["stop_now"].click(self.stop_now, job, **told).then(**look)
        part["resume"].click(self.resume, job, job, **told)
        return look

    def look(self, request: gr.Request, job: str, shown: Shown | None) -> Any:
        """Return what changed since the page last asked: the latest where none is chosen."""
        before, lang = shown or {}, self._context.language_of(request)
        found = self._jobs.list()
        chosen = job if any(one.id == job for one in found) else self._jobs.latest() or ""
        stamp = self._stamp(chosen, found, lang)
        if before.get("stamp") == stamp:
            return gr.skip()
        seen = _Seen(self._story(chosen), found, lang)
        parts = self._parts(seen)
        digests = {name: _digest(update) for name, update in parts.items()}
        known = before.get("parts", {})
        fresh = [
            gr.update(**parts[name]) if known.get(name) != digests[name] else gr.skip()
            for name in self._panel.names
        ]
        has_ended = seen.story is not None and seen.story.state in ENDED
        remembered = {"stamp": stamp, "parts": digests}
        return [
            gr.skip() if chosen == job else chosen,
            remembered,
            chosen if has_ended else "",
            *fresh,
        ]

    def stop(self, request: gr.Request, job: str) -> None:
        """Ask the job to end and keep what it has."""
        self._try(lambda: self._jobs.stop(job), request)

    def stop_now(self, request: gr.Request, job: str) -> None:
        """End the job without waiting for anything."""
        self._try(lambda: self._jobs.stop(job, now=True), request)

    def resume(self, request: gr.Request, job: str) -> str:
        """Go on with what is missing; return the new job."""
        resumable: Any = self._jobs
        return self._try(lambda: resumable.resume(job), request)

    def _story(self, job: str) -> JobStory | None:
        try:
            return self._jobs.story(job) if job else None
        except EasyTuneError:  # deleted since it was listed
            return None

    def _stamp(self, job: str, found: Sequence[Any], lang: str) -> str:
        listed = [(one.id, one.name, one.state) for one in found]
        try:
            version = self._jobs.version(job) if job else ""
        except EasyTuneError:
            version = ""
        is_active = any(one.id == job and one.state in ACTIVE for one in found)
        beat = int(time.time() / HEARTBEAT_SECONDS) if is_active else 0
        return _digest([job, version, lang, beat, listed])

    def _try(self, act: Any, request: gr.Request) -> Any:
        """Return what `act` returns, or say in the visitor's language why it failed."""
        try:
            return act()
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error

    def _parts(self, seen: _Seen) -> dict[str, Update]:
        story, lang, view = seen.story, seen.lang, self._view
        if story is None:
            empty = {"value": job_view.nothing_yet(view.name, lang)}
            quiet: dict[str, Update] = {
                name: {"value": ""} for name in ("failure", "notices", *view.more)
            }
            picker: Update = {"choices": [], "value": None, "visible": False}
            return {"picker": picker, "status": empty, **quiet, **self._offers(None)}
        choices = [(job_view.choice(one, lang), one.id) for one in seen.jobs]
        return {
            "picker": {"choices": choices, "value": story.id, "visible": True},
            "status": {"value": view.status(story, lang)},
            "failure": {"value": job_view.failure(view.name, story.failure, lang)},
            "notices": {"value": job_view.notices(story.notices, lang)},
            **{name: {"value": value} for name, value in view.further(story, lang).items()},
            **self._offers(story.state),
        }

    def _offers(self, state: str | None) -> dict[str, Update]:
        """Return which buttons are of use now."""
        prefix = self._view.name
        leave = "monitor.leave_queue" if state == "queued" else f"{prefix}.stop"
        return {
            "stop": _button(leave, state in ("queued", "starting", "running")),
            "stop_now": _button("monitor.stop_now", state == "stopping"),
            "resume": _button(f"{prefix}.resume", state in _CAN_RESUME),
        }


def _button(key: str, visible: bool) -> Update:
    # With its text, and that as a string: see `language.button_update`.
    return {"visible": visible, "value": str(label(key))}


def _digest(content: object) -> str:
    return f"{crc32(json.dumps(content, sort_keys=True, default=str).encode()):08x}"
