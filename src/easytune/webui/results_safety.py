"""The safety probe: what was refused, the answers on demand, and remedies to try in place."""

from typing import Any

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.evaluation_errors import EvaluationUnfinished
from easytune.i18n import t
from easytune.webui import clicks, results_remedies_view
from easytune.webui import data_figures as figures
from easytune.webui import results_more_view as view
from easytune.webui.context import Context
from easytune.webui.language import label
from easytune.webui.results_names import Shown
from easytune.webui.spoken import sentence, spoken

POLL_SECONDS = 2.0


class SafetyPanel:
    """The components of the probe."""

    def __init__(self) -> None:
        """Build the panel here in the layout."""
        self.attempt = gr.Textbox("", visible="hidden", elem_id="results-attempt")
        self.timer = gr.Timer(POLL_SECONDS, active=False)
        with gr.Column(elem_id="results-safety"):
            self.table = gr.HTML("", apply_default_css=False, elem_id="results-safety-table")
            self.remedies = gr.HTML(
                "", apply_default_css=False, elem_id="results-remedies", js_on_load=figures.CLICKS
            )
            self.unaligned = gr.Dropdown(
                [], value=None, label=label("results.remedies.unaligned"),
                info=label("results.remedies.unaligned_help"), interactive=True,
                elem_id="results-unaligned",
            )  # fmt: skip
            self.told = gr.HTML("", apply_default_css=False, elem_id="results-attempt-told")
            with gr.Row(elem_classes=["results-buttons"]):
                small: dict[str, Any] = {"size": "sm", "scale": 0, "min_width": 190}
                self.show = gr.Button(
                    label("results.safety.show"), elem_id="results-safety-show",
                    elem_classes=["et-outlined"], **small,
                )  # fmt: skip
                self.hide = gr.Button(
                    label("results.safety.hide"), elem_id="results-safety-hide",
                    elem_classes=["et-outlined"], **small,
                )  # fmt: skip
            self.transcripts = gr.HTML(
                "", apply_default_css=False, elem_id="results-transcripts",
                js_on_load=figures.CLICKS,
            )  # fmt: skip

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `SafetyHandlers.drawn` updates."""
        return [self.table, self.remedies, self.unaligned]


class SafetyHandlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._evaluations = context.evaluations
        self._remedies = context.remedies

    def wire(self, panel: SafetyPanel, evaluation: gr.Textbox) -> None:
        """Connect the buttons. Answers go to the page only when somebody asks for them.

        `evaluation` is given the id of the one that a remedy has begun.
        """
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        now: dict[str, Any] = {"queue": False, **told}
        followed = [panel.attempt, panel.told, panel.timer]
        panel.show.click(
            self.shown, evaluation, panel.transcripts, trigger_mode="always_last", **told
        )
        panel.transcripts.click(
            self.turned, evaluation, panel.transcripts, **(told | clicks.ONE_BY_ONE)
        )
        # In the browser: an answer that is late would take away what has been asked for since.
        panel.hide.click(None, None, panel.transcripts, js="() => ''", **now)
        cleared = [panel.transcripts, panel.told]
        evaluation.change(None, None, cleared, js="() => ['', '']", **now)
        # Queued: only then does Gradio show what an error says.
        panel.remedies.click(
            self.tried, [evaluation, panel.unaligned], [evaluation, *followed],
            **(told | clicks.ONE_BY_ONE),
        )  # fmt: skip
        panel.timer.tick(self.followed, panel.attempt, [evaluation, *followed], **now)

    def drawn(self, shown: Shown | None) -> list[Any]:
        """Return the figures of the probe, and what can be done or has been tried."""
        if shown is None or not shown.result.safety:
            return ["", "", gr.skip()]
        found = self._remedies.outcome(shown.id)
        fit = [
            place
            for place in range(len(shown.candidates))
            if self._remedies.can_be_tried(shown.id, place) is None
        ]
        part = (
            results_remedies_view.outcome(shown, found)
            if found is not None
            else results_remedies_view.offers(shown, fit)
        )
        models = self._context.chat.catalogue.list() if fit and found is None else []
        whole = [(one.title, one.id) for one in models if not one.is_adapter and not one.problem]
        return [view.safety_table(shown), part, gr.update(choices=whole)]

    def shown(self, request: gr.Request, evaluation: str) -> Any:
        """Return the first page of prompts and answers."""
        return self._page(request, evaluation, 0)

    def turned(self, request: gr.Request, event: gr.EventData, evaluation: str) -> Any:
        """Return another page of them."""
        first = str(event._data.get("first", ""))
        return self._page(request, evaluation, int(first)) if first.isdigit() else gr.skip()

    def tried(
        self, request: gr.Request, event: gr.EventData, evaluation: str, unaligned: str | None
    ) -> list[Any]:
        """Begin a remedy and show its evaluation, or keep what came of one."""
        lang, told = self._context.language_of(request), dict(event._data)
        action, place = str(told.get("work", "")), str(told.get("candidate", ""))
        if not place.isdigit():
            return [gr.skip() for _ in range(4)]
        try:
            match action:
                case "strength":
                    made = self._remedies.search_strength(evaluation, int(place))
                    return [made, "", "", gr.Timer(active=False)]
                case "project" if not unaligned:
                    gr.Warning(t("results.remedies.choose_unaligned", lang), title="")
                case "project":
                    attempt = self._remedies.project(evaluation, int(place), str(unaligned))
                    working = figures.notice(t("results.remedies.working", lang))
                    return [gr.skip(), attempt, working, gr.Timer(active=True)]
                case "keep":
                    model = self._remedies.keep(evaluation, int(place))
                    said = t("results.remedies.kept", lang, model=model)
                    return [gr.skip(), gr.skip(), figures.notice(said, "good"), gr.skip()]
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return [gr.skip() for _ in range(4)]

    def followed(self, request: gr.Request, attempt: str) -> list[Any]:
        """Look how far a projection is; show its evaluation once there is one."""
        lang, done = self._context.language_of(request), gr.Timer(active=False)
        if not attempt:
            return [gr.skip(), gr.skip(), gr.skip(), done]
        try:
            found = self._remedies.projection(attempt)
        except EasyTuneError as error:
            return [gr.skip(), "", figures.notice(sentence(error, lang), "bad"), done]
        if found.state == "working":
            return [gr.skip() for _ in range(4)]
        if found.state == "failed":
            said = t(f"error.{found.code}", lang, **(found.values or {}))
            return [gr.skip(), "", figures.notice(said, "bad"), done]
        return [found.evaluation or gr.skip(), "", "", done]

    def _page(self, request: gr.Request, evaluation: str, first: int) -> Any:
        lang = self._context.language_of(request)
        if not evaluation:
            return gr.skip()
        try:
            story = self._evaluations.story(evaluation)
            found = self._evaluations.transcripts(evaluation)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        if story.result is None:
            return figures.notice(sentence(EvaluationUnfinished(evaluation), lang))
        shown = Shown(evaluation, story.order, story.result, lang)
        return view.transcripts(found, first, shown)
