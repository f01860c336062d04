"""The evaluation that is shown: which one, how far it is, and what can be done with it now."""

import json
import time
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.evaluation_errors import EvaluationMissing
from easytune.services.evaluation_story import EvaluationStory
from easytune.services.evaluations import EvaluationSummary
from easytune.services.evidence import ENDED
from easytune.webui import evaluate_progress_view
from easytune.webui.context import Context
from easytune.webui.language import label
from easytune.webui.run_view import ACTIVE
from easytune.webui.spoken import spoken

TICK_SECONDS = 1.0
# Elapsed time and evidence of life go on while an evaluation reports nothing.
HEARTBEAT_SECONDS = 3.0
PARTS = ("picker", "status", "failure", "notices", "stop", "stop_now", "resume")
_CAN_RESUME = ("stopped", "failed", "crashed", "lost")
Shown = dict[str, Any]
Update = dict[str, Any]


class ProgressPanel:
    """The components, top to bottom.

    `ended` changes to the id of an evaluation that has come to its end, or was opened at its end.
    """

    def __init__(self) -> None:
        """Build the panel here in the layout."""
        self.shown = gr.JSON(None, visible="hidden", elem_id="evaluate-shown")
        self.ended = gr.Textbox("", visible="hidden", elem_id="evaluate-ended")
        self.timer = gr.Timer(TICK_SECONDS, active=False)
        with gr.Column(elem_id="evaluate-live", elem_classes=["et-live"]):
            self.parts: dict[str, Any] = {
                **self._bar(),
                "status": gr.HTML("", elem_id="evaluate-status", apply_default_css=False),
                "failure": gr.HTML("", elem_id="evaluate-failure", apply_default_css=False),
                "notices": gr.HTML(
                    "", elem_id="evaluate-progress-notices", apply_default_css=False
                ),
            }

    def _bar(self) -> dict[str, Any]:
        button: dict[str, Any] = {"visible": False, "scale": 0, "min_width": 90, "size": "md"}
        with gr.Row(elem_classes="et-livebar"):
            picker = gr.Dropdown(
                [], label=label("evaluate.evaluation"), elem_id="evaluate-picker", visible=False,
                filterable=False, interactive=True, scale=5, min_width=120,
            )  # fmt: skip
            resume = gr.Button(
                label("evaluate.resume"), variant="primary", elem_id="evaluate-resume", **button
            )
            stop = gr.Button(
                label("evaluate.stop"), variant="stop", elem_id="evaluate-stop", **button
            )
            stop_now = gr.Button(
                label("monitor.stop_now"), variant="stop", elem_id="evaluate-stop-now", **button
            )
        return {"picker": picker, "resume": resume, "stop": stop, "stop_now": stop_now}

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `ProgressHandlers.look` updates, after the evaluation's id."""
        return [self.shown, self.ended, *(self.parts[name] for name in PARTS)]


@dataclass(frozen=True)
class _Seen:
    """What there is to show."""

    story: EvaluationStory | None
    evaluations: list[EvaluationSummary]
    lang: str


class ProgressHandlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        """Follow the evaluations of a home."""
        self._context = context
        self._evaluations = context.evaluations

    def wire(self, panel: ProgressPanel, evaluation: gr.Textbox) -> dict[str, Any]:
        """Connect the panel to the hidden id of the evaluation; return the event that draws it."""
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        now: dict[str, Any] = {"queue": False, **told}
        look: dict[str, Any] = {
            "fn": self.look, "inputs": [evaluation, panel.shown],
            "outputs": [evaluation, *panel.outputs], **now,
        }  # fmt: skip
        part = panel.parts
        # One event for all, so that an older answer cannot come last.
        gr.on([panel.timer.tick, evaluation.change], **look, trigger_mode="always_last")
        part["picker"].input(lambda chosen: chosen, part["picker"], evaluation, **now)
        part["stop"].click(self.stop, evaluation, **told).then(**look)
        part["stop_now"].click(self.stop_now, evaluation, **told).then(**look)
        part["resume"].click(self.resume, evaluation, evaluation, **told)
        return look

    def look(self, request: gr.Request, evaluation: str, shown: Shown | None) -> Any:
        """Return what changed since the page last asked: the latest where none is chosen."""
        before, lang = shown or {}, self._context.language_of(request)
        found = self._evaluations.list()
        chosen = self._existing(evaluation, found)
        stamp = self._stamp(chosen, found, lang)
        if before.get("stamp") == stamp:
            return gr.skip()
        seen = _Seen(self._story(chosen), found, lang)
        parts = _parts(seen)
        digests = {name: _digest(update) for name, update in parts.items()}
        known = before.get("parts", {})
        fresh = [
            gr.update(**parts[name]) if known.get(name) != digests[name] else gr.skip()
            for name in PARTS
        ]
        has_ended = seen.story is not None and seen.story.state in ENDED
        remembered = {"stamp": stamp, "parts": digests}
        return [
            gr.skip() if chosen == evaluation else chosen,
            remembered,
            chosen if has_ended else "",
            *fresh,
        ]

    def stop(self, request: gr.Request, evaluation: str) -> None:
        """Ask the evaluation to finish its batch, score what there is and keep it."""
        self._try(lambda: self._evaluations.stop(evaluation), request)

    def stop_now(self, request: gr.Request, evaluation: str) -> None:
        """End the evaluation without waiting for its batch."""
        self._try(lambda: self._evaluations.stop(evaluation, now=True), request)

    def resume(self, request: gr.Request, evaluation: str) -> str:
        """Go on with what is missing; return the new evaluation."""
        return self._try(lambda: self._evaluations.resume(evaluation), request)

    def _existing(self, evaluation: str, found: list[EvaluationSummary]) -> str:
        if any(one.id == evaluation for one in found):
            return evaluation
        return self._evaluations.latest() or ""

    def _story(self, evaluation: str) -> EvaluationStory | None:
        try:
            return self._evaluations.story(evaluation) if evaluation else None
        except EvaluationMissing:  # deleted since it was listed
            return None

    def _stamp(self, evaluation: str, found: list[EvaluationSummary], lang: str) -> str:
        listed = [(one.id, one.name, one.state) for one in found]
        try:
            version = self._evaluations.version(evaluation) if evaluation else ""
        except EvaluationMissing:
            version = ""
        is_active = any(one.id == evaluation and one.state in ACTIVE for one in found)
        beat = int(time.time() / HEARTBEAT_SECONDS) if is_active else 0
        return _digest([evaluation, version, lang, beat, listed])

    def _try(self, act: Any, request: gr.Request) -> Any:
        """Return what `act` returns, or say in the visitor's language why it failed."""
        try:
            return act()
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error


def _parts(seen: _Seen) -> dict[str, Update]:
    story, lang = seen.story, seen.lang
    if story is None:
        empty = {"value": evaluate_progress_view.nothing_yet(lang)}
        quiet: dict[str, Update] = {name: {"value": ""} for name in ("failure", "notices")}
        picker: Update = {"choices": [], "value": None, "visible": False}
        return {"picker": picker, "status": empty, **quiet, **_offers(None)}
    choices = [(evaluate_progress_view.choice(one, lang), one.id) for one in seen.evaluations]
    return {
        "picker": {"choices": choices, "value": story.id, "visible": True},
        "status": {"value": evaluate_progress_view.status(story, lang)},
        "failure": {"value": evaluate_progress_view.failure(story.failure, lang)},
        "notices": {"value": evaluate_progress_view.notices(story.notices, lang)},
        **_offers(story.state),
    }


def _offers(state: str | None) -> dict[str, Update]:
    """Return which buttons are of use now."""
    leave = "monitor.leave_queue" if state == "queued" else "evaluate.stop"
    return {
        "stop": _button(leave, state in ("queued", "starting", "running")),
        "stop_now": _button("monitor.stop_now", state == "stopping"),
        "resume": _button("evaluate.resume", state in _CAN_RESUME),
    }


def _button(key: str, visible: bool) -> Update:
    # With its text, and that as a string: see `language.button_update`.
    return {"visible": visible, "value": str(label(key))}


def _digest(content: object) -> str:
    return f"{crc32(json.dumps(content, sort_keys=True, default=str).encode()):08x}"
