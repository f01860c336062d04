"""The results of an evaluation: verdict, figures, charts, rows that changed, what was forgotten.

`build` lays all of it out, with the list of all evaluations below. Whoever wants to show an
evaluation sets `ResultsPanel.evaluation`.
"""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import gradio as gr

from easytune import quantities
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services.evaluation_story import EvaluationStory
from easytune.webui import (
    data_figures,
    results_charts,
    results_downloads,
    results_more_view,
    results_view,
)
from easytune.webui.context import Context
from easytune.webui.results_flips import FlipsHandlers, FlipsPanel
from easytune.webui.results_history import HistoryHandlers, HistoryPanel
from easytune.webui.results_names import Shown
from easytune.webui.results_safety import SafetyHandlers, SafetyPanel
from easytune.webui.run_view import state_chip
from easytune.webui.spoken import sentence

TICK_SECONDS = 2.0
_DRAW = "easytune.mount('results-charts', element, props, watch);"
_ASK = "() => String(performance.now())"
_SLOT = '<div class="et-slot"></div>'


@dataclass(frozen=True)
class ResultsPanel:
    """What other parts of the page need of the results."""

    evaluation: gr.Textbox
    """Id of the evaluation to show; set it to open one. Empty: none."""
    timer: gr.Timer
    """Ticks while the evaluation that is shown goes on; it begins by itself."""
    look: dict[str, Any]
    """Keyword arguments of the event that draws again what has changed: `event.then(**look)`."""
    listed: dict[str, Any]
    """The same for the list of all evaluations."""


def build(context: Context) -> ResultsPanel:
    """Lay out the results inside the current column, and keep them up to date."""
    layout = _Layout()
    look, listed = _wire(context, layout)
    return ResultsPanel(layout.evaluation, layout.timer, look, listed)


# --- layout -----------------------------------------------------------------


class _Layout:
    """The components, top to bottom."""

    def __init__(self) -> None:
        self.evaluation = gr.Textbox("", visible="hidden", elem_id="results-evaluation")
        self.stamp = gr.Textbox("", visible="hidden", elem_id="results-stamp")
        self.asked = gr.Textbox("", visible="hidden", elem_id="results-asked")
        self.timer = gr.Timer(TICK_SECONDS, active=False)
        with gr.Column(elem_id="results"):
            self.head = _part("head")
            self.findings = _part("findings")
            self.verdict = _part("verdict")
            self.figures = _part("figures")
            self.charts = gr.HTML(
                None, html_template=_SLOT, js_on_load=_DRAW, apply_default_css=False,
                elem_id="results-charts",
            )  # fmt: skip
            self.flips = FlipsPanel()
            self.forgetting = _part("forgetting")
            self.safety = SafetyPanel()
            self.benchmarks = _part("benchmarks")
            self.repeating = _part("repeating")
        self.history = HistoryPanel()

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `_Handlers.look` updates."""
        return [
            self.stamp, self.timer, self.head, self.findings, self.verdict, self.figures,
            self.charts, self.forgetting, self.benchmarks, self.repeating, *self.safety.outputs,
            *self.flips.choices, *self.flips.outputs,
        ]  # fmt: skip


def _part(name: str) -> gr.HTML:
    return gr.HTML("", apply_default_css=False, elem_id=f"results-{name}")


# --- handlers ---------------------------------------------------------------


class _Handlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context, safety: SafetyHandlers, flips: FlipsHandlers) -> None:
        self._context = context
        self._evaluations = context.evaluations
        self._safety, self._flips = safety, flips

    def look(self, request: gr.Request, stamp: str, evaluation: str, *chosen: Any) -> Any:
        """Return what changed since the page last asked: nothing, or all parts."""
        lang = self._context.language_of(request)
        if not evaluation:
            nothing = results_view.refusal(t("results.none_chosen", lang))
            return gr.skip() if stamp == lang else [lang, *self._nothing(nothing)]
        try:
            story = self._evaluations.story(evaluation)
            now = _stamp(lang, evaluation, self._evaluations.version(evaluation), story)
            return gr.skip() if stamp == now else [now, *self._drawn(request, story, chosen)]
        except EasyTuneError as error:
            told = results_view.refusal(sentence(error, lang))
            return ["", *self._nothing(told)]

    def _drawn(
        self, request: gr.Request, story: EvaluationStory, chosen: tuple[Any, ...]
    ) -> list[Any]:
        lang = self._context.language_of(request)
        going = gr.Timer(active=not story.has_ended)
        if story.result is None:
            return [going, *self._nothing(_unfinished(story, lang))[1:]]
        shown = Shown(story.id, story.order, story.result, lang)
        rows, scores = self._evaluations.rows(story.id), self._evaluations.scores(story.id)
        answers = len(self._evaluations.answers(story.id))
        return [
            going,
            _head(story, lang),
            _partial(story, answers, lang)
            + results_view.findings(shown)
            + results_view.overlaps(shown, rows),
            results_view.verdict(shown),
            results_view.table(shown),
            results_charts.charts(shown, scores, rows, self._last_steps(story)),
            results_more_view.forgetting_table(shown),
            results_more_view.benchmarks(shown),
            results_view.repeating(shown),
            *self._safety.drawn(shown),
            *self._flips.offered(request, shown, list(scores), *chosen),
        ]

    def _nothing(self, told: str) -> list[Any]:
        parts = [told, "", "", "", None, "", "", "", "", "", gr.skip()]
        return [gr.Timer(active=False), *parts, *self._flips.nothing()]

    def _last_steps(self, story: EvaluationStory) -> dict[str, int]:
        """Return the step at which each run of the evaluation ended, of those that are here."""
        runs = {one.run for one in story.order.candidates if one.run is not None}
        known = {one.id for one in self._context.runs.list()}
        return {run: self._context.runs.story(run).step for run in runs & known}


def _unfinished(story: EvaluationStory, lang: str) -> str:
    ended = "unreadable" if story.state == "finished" else "nothing_scored"
    kind = ended if story.has_ended else "not_yet"
    return results_view.refusal(t(f"results.{kind}", lang, name=story.name))


def _head(story: EvaluationStory, lang: str) -> str:
    created = quantities.minute(story.order.created)
    seconds = story.result.seconds if story.result is not None else None
    links = results_downloads.links(story.id, lang)
    return results_view.head(
        story.name, state_chip(story.state, lang), created, seconds, links, lang
    )


def _partial(story: EvaluationStory, answers: int, lang: str) -> str:
    """Return that an evaluation was stopped, or ended before all answers were there."""
    if story.state == "finished" or not story.has_ended:
        return ""
    return data_figures.notice(t("results.partial", lang, answers=f"{answers:,}"), "warn")


def _stamp(lang: str, evaluation: str, version: str, story: EvaluationStory) -> str:
    seen = (lang, evaluation, story.name, version, story.state, story.result is None)
    return f"{crc32(repr(seen).encode()):08x}"


# --- wiring -----------------------------------------------------------------


def _wire(context: Context, layout: _Layout) -> tuple[dict[str, Any], dict[str, Any]]:
    safety = SafetyHandlers(context)
    flips = FlipsHandlers(context)
    on = _Handlers(context, safety, flips)
    now: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    safety.wire(layout.safety, layout.evaluation)
    flips.wire(layout.flips, layout.evaluation)
    listed = HistoryHandlers(context).wire(layout.history, layout.evaluation)

    # One event for all: an older answer cannot come last, and nothing is drawn twice.
    gr.on(
        [layout.evaluation.change, layout.timer.tick, layout.asked.change], on.look,
        [layout.stamp, layout.evaluation, *layout.flips.inputs, layout.flips.place],
        layout.outputs, trigger_mode="always_last", **now,
    )  # fmt: skip
    layout.stamp.change(**listed, trigger_mode="always_last")
    return {"fn": None, "inputs": None, "outputs": layout.asked, "js": _ASK}, listed
