"""The live run: picker, state, curves, answers, and what can be done with the run now."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from easytune import remedies
from easytune.config import TrainConfig
from easytune.errors import CheckpointInvalid, EasyTuneError, RunMissing
from easytune.i18n import t
from easytune.services.story import step_of
from easytune.webui import clicks
from easytune.webui.context import Context
from easytune.webui.job_monitor import PARTS, Monitor
from easytune.webui.language import label
from easytune.webui.spoken import spoken

TICK_SECONDS = 1.0
CONTINUE, LONGER, NEW, OVER = "continue", "longer", "new", "over"
TO_THE_FORM = (NEW, OVER)
_DRAW = "easytune.mount('{kind}', element, props, watch)"
_SINCE = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-et-since]');
  if (button) trigger('click', { since: button.dataset.etSince });
});
"""
_REMEDY = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-et-remedy]');
  if (button) trigger('click', { remedy: button.dataset.etRemedy });
});
"""
_CHAT = "(model) => { if (model) easytune.chatWith(model); return []; }"
_COPY = "(text) => { if (text) easytune.copy(text); return []; }"


@dataclass(frozen=True)
class RunPanel:
    """What other parts of the page need of the live run."""

    run_id: gr.Textbox
    """Id of the run to show; set it to open a run. Empty: the latest."""
    state: gr.Textbox
    """State of the run that is shown."""
    proposal: gr.JSON
    """A config the form should take over; None otherwise."""
    data: gr.HTML
    """What the run learned from; a click on it asks what has changed since."""
    compared: gr.Textbox
    """Two versions to compare, "house-style@3 house-style@5", once that was asked for."""


def build(context: Context) -> RunPanel:
    """Lay out the live run inside the current column, and keep it up to date."""
    layout = _Layout()
    _Handlers(context).wire(layout)
    parts = layout.parts
    return RunPanel(layout.run_id, parts["state"], layout.proposal, parts["data"], layout.compared)


class _Layout:
    """The components, top to bottom. `parts` are the ones the monitor updates, by name."""

    def __init__(self) -> None:
        self.run_id = gr.Textbox("", visible="hidden", elem_id="et-run-id")
        self.shown = gr.JSON(None, visible="hidden", elem_id="et-shown")
        self.proposal = gr.JSON(None, visible="hidden", elem_id="et-proposal")
        self.halved = gr.Textbox("", visible="hidden", elem_id="et-halved")
        self.compared = gr.Textbox("", visible="hidden", elem_id="et-compared")
        self.report_text = gr.Textbox("", visible="hidden", elem_id="et-report-text")
        self.timer = gr.Timer(TICK_SECONDS)
        self.parts: dict[str, Any] = {
            "state": gr.Textbox("", visible="hidden", elem_id="et-state"),
            **self._bar(),
            "status": gr.HTML(elem_id="et-status-part", apply_default_css=False),
            **self._failure(),
            "chart": self._drawn("chart"),
            "forgetting": self._drawn("forgetting", _REMEDY),
            "resources": self._drawn("resources"),
            "samples": self._drawn("samples"),
            "result": gr.HTML(elem_id="et-result-part", apply_default_css=False),
            "evaluated": gr.HTML("", elem_id="et-evaluated-part", apply_default_css=False),
            "data": gr.HTML("", elem_id="et-data-part", apply_default_css=False, js_on_load=_SINCE),
            **self._resume(),
            "notices": gr.HTML(elem_id="et-notices-part", apply_default_css=False),
            "log": self._drawn("log"),
        }

    def _bar(self) -> dict[str, Any]:
        with gr.Row(elem_classes="et-livebar"):
            picker = gr.Dropdown(
                choices=[],
                label=label("monitor.run"),
                elem_id="et-picker",
                filterable=False,
                visible=False,
                scale=5,
                min_width=120,
            )
            button = {"visible": False, "scale": 0, "min_width": 90, "size": "md"}
            stop = gr.Button(label("monitor.stop"), elem_id="et-stop", variant="stop", **button)
            stop_now = gr.Button(
                label("monitor.stop_now"), elem_id="et-stop-now", variant="stop", **button
            )
        return {"picker": picker, "stop": stop, "stop_now": stop_now}

    def _failure(self) -> dict[str, Any]:
        failure = gr.HTML(elem_id="et-failure-part", apply_default_css=False)
        with gr.Row(visible=False, elem_classes="et-row", elem_id="et-fix-row") as row:
            small = {"size": "sm", "scale": 0, "min_width": 120}
            apply = gr.Button(
                label("monitor.apply_and_start"),
                variant="primary",
                visible=False,
                elem_id="et-apply",
                **small,
            )
            fill = gr.Button(label("monitor.fill_form"), visible=False, elem_id="et-fill", **small)
            self.report = gr.Button(label("monitor.copy_report"), elem_id="et-report", **small)
        return {"failure": failure, "fix_row": row, "apply": apply, "fill_form": fill}

    def _resume(self) -> dict[str, Any]:
        with gr.Accordion(
            label("monitor.go_on"), open=False, visible=False, elem_id="et-resume-box"
        ) as box:
            self.how = gr.Radio(
                [], label=label("monitor.resume_how"), elem_id="et-resume-how", visible=False
            )
            with gr.Row(elem_classes="et-row"):
                self.checkpoint = gr.Dropdown(
                    [],
                    label=label("monitor.checkpoint"),
                    elem_id="et-checkpoint",
                    filterable=False,
                    visible=False,
                )
                self.more = gr.Number(
                    1,
                    label=label("monitor.epochs_more"),
                    info=label("monitor.epochs_more_help"),
                    minimum=0.5,
                    step=0.5,
                    elem_id="et-more",
                    visible=False,
                )
            self.nothing = gr.HTML(elem_id="et-resume-nothing", apply_default_css=False)
            self.resume = gr.Button(
                label("monitor.resume"), variant="primary", elem_id="et-resume", visible=False
            )
        return {"resume": box}

    @staticmethod
    def _drawn(kind: str, more_js: str = "") -> gr.HTML:
        return gr.HTML(
            None,
            html_template='<div class="et-slot"></div>',
            js_on_load=_DRAW.format(kind=kind) + more_js,
            apply_default_css=False,
            elem_id=f"et-{kind}",
        )


class _Handlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._runs = context.runs
        self._monitor = Monitor(context.runs, context.datasets.library, context.evaluations)

    def wire(self, page: _Layout) -> None:
        """Connect everything. `queue=False`: an answer at once, and no lasting connection.

        What may raise or tell something is queued: past the queue Gradio shows no toast.
        """
        telling: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        now: dict[str, Any] = {"queue": False, **telling}
        look = {"inputs": [page.run_id, page.shown], **now}
        look["outputs"] = [page.run_id, page.shown, *(page.parts[name] for name in PARTS)]
        part, run = page.parts, [page.run_id]
        choices = [page.how, page.checkpoint, page.more, page.resume, page.nothing]

        page.timer.tick(self.look, **look)
        page.run_id.change(self.look, **look)
        part["picker"].input(lambda chosen: chosen, part["picker"], page.run_id, **now)
        part["stop"].click(self.stop, run, **telling).then(self.look, **look)
        part["stop_now"].click(self.stop_now, run, **telling).then(self.look, **look)
        part["apply"].click(self.apply, run, page.run_id, **telling)
        part["fill_form"].click(_nothing, None, page.proposal, **now).then(
            self.fill, run, page.proposal, **telling
        )
        part["forgetting"].click(_nothing, None, page.proposal, **now)
        part["forgetting"].click(self.remedied, run, page.proposal, **(telling | clicks.EACH))
        # Emptied first, so that the same model twice in a row is opened twice.
        part["forgetting"].click(_nothing, None, page.halved, **now)
        part["forgetting"].click(self.halve, run, page.halved, **telling).then(
            None, page.halved, js=_CHAT
        )
        page.report.click(self.report, run, page.report_text, **telling).then(
            None, page.report_text, js=_COPY
        )
        part["resume"].expand(self.choices, run, choices, **telling)
        page.how.input(_shown_for, page.how, [page.checkpoint, page.more], **now)
        page.resume.click(_nothing, None, page.proposal, **now).then(
            self.resume,
            [page.run_id, page.how, page.checkpoint, page.more],
            [page.run_id, page.proposal],
            **telling,
        )

    def look(self, run_id: str, shown: dict[str, Any] | None, request: gr.Request) -> Any:
        """Answer the timer: what changed since the page last asked."""
        found = self._monitor.changes(run_id, shown, self._context.language_of(request))
        if found is None:
            return gr.skip()
        current, remembered, fresh = found
        updates = [gr.update(**fresh[name]) if name in fresh else gr.skip() for name in PARTS]
        return [gr.skip() if current == run_id else current, remembered, *updates]

    def stop(self, run_id: str, request: gr.Request) -> None:
        """Ask the run to finish its step and keep what it has."""
        self._try(lambda: self._runs.stop(run_id), request)

    def stop_now(self, run_id: str, request: gr.Request) -> None:
        """End the run without waiting for its step."""
        self._try(lambda: self._runs.stop(run_id, now=True), request)

    def apply(self, run_id: str, request: gr.Request) -> str:
        """Start the failed run again with the fix applied; return the new run."""
        started = self._try(lambda: self._runs.submit(self._mended(run_id)), request)
        lang = self._context.language_of(request)
        gr.Info(t("monitor.started_again", lang, run=started), title="")
        return started

    def fill(self, run_id: str, request: gr.Request) -> dict[str, Any]:
        """Return the failed run's config with the fix applied, for the form."""
        return self._try(lambda: self._mended(run_id).model_dump(mode="json"), request)

    def remedied(
        self, event: gr.EventData, run_id: str, request: gr.Request
    ) -> dict[str, Any] | None:
        """Return the run's config with a remedy against forgetting, for the form."""
        wanted = str(event._data.get("remedy", ""))
        if wanted not in remedies.AGAINST_FORGETTING:
            return None
        config: TrainConfig = self._try(lambda: self._runs.start_over(run_id), request)
        changed = remedies.against_forgetting(config).get(wanted, config)
        return changed.model_dump(mode="json")

    def halve(self, event: gr.EventData, run_id: str, request: gr.Request) -> str | None:
        """Return the adapter of the run at half strength, for the Chat tab."""
        if event._data.get("remedy") != "half":
            return None
        return self._try(lambda: self._runs.halve(run_id), request)

    def report(self, run_id: str, request: gr.Request) -> str:
        """Return the report and say that it was copied."""
        text = self._try(lambda: self._runs.report(run_id), request)
        gr.Info(t("app.copied", self._context.language_of(request)), title="", duration=3)
        return text

    def choices(self, run_id: str, request: gr.Request) -> list[Any]:
        """Return the ways to go on from this run, with its valid checkpoints."""
        lang = self._context.language_of(request)
        found = self._try(lambda: self._runs.resume_choices(run_id), request)
        ways = self._ways(run_id, bool(found), lang)
        steps = [
            (t("monitor.checkpoint_at", lang, step=step_of(path)), str(path)) for path in found
        ]
        first = ways[0][1]
        nothing = "" if found else t("monitor.nothing_to_resume", lang)
        return [
            gr.update(choices=ways, value=first, visible=True),
            gr.update(
                choices=steps,
                value=steps[0][1] if steps else None,
                visible=first not in TO_THE_FORM,
            ),
            gr.update(visible=first == LONGER),
            gr.update(visible=True),
            f'<div class="et-quiet">{nothing}</div>' if nothing else "",
        ]

    def resume(
        self, run_id: str, how: str, checkpoint: str | None, more: float, request: gr.Request
    ) -> list[Any]:
        """Go on as chosen: return the new run, or the config of one for the form."""
        if how in TO_THE_FORM:
            make = self._runs.continue_from if how == NEW else self._runs.start_over
            config = self._try(lambda: make(run_id), request)
            return [gr.skip(), config.model_dump(mode="json")]
        return [self._try(lambda: self._go_on(run_id, how, checkpoint, more), request), None]

    def _go_on(self, run_id: str, how: str, checkpoint: str | None, more: float) -> str:
        if not checkpoint:
            raise CheckpointInvalid("", "")
        longer = None
        if how == LONGER:
            longer = {"epochs": self._runs.config(run_id).schedule.epochs + (more or 0)}
        return self._runs.resume(run_id, Path(checkpoint), longer)

    def _ways(self, run_id: str, has_checkpoint: bool, lang: str) -> list[tuple[str, str]]:
        ways = []
        story = self._runs.story(run_id)
        if has_checkpoint and story.state != "finished":
            ways.append((t("monitor.resume_continue", lang), CONTINUE))
        if has_checkpoint:
            ways.append((t("monitor.resume_longer", lang), LONGER))
        if any(self._runs.folder(run_id).adapter.glob("*.safetensors*")):
            ways.append((t("monitor.new_run", lang), NEW))
        return [*ways, (t("monitor.start_over", lang), OVER)]

    def _mended(self, run_id: str) -> TrainConfig:
        config, failed = self._runs.config(run_id), self._runs.story(run_id).failure
        mended = remedies.remedy(failed.code, config, failed.values) if failed else None
        if mended is None:
            raise RunMissing(run_id)
        return mended

    def _try(self, act: Any, request: gr.Request) -> Any:
        """Return what `act` returns, or say in the visitor's language why it failed."""
        try:
            return act()
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error


def _shown_for(how: str) -> list[Any]:
    return [gr.update(visible=how not in TO_THE_FORM), gr.update(visible=how == LONGER)]


def _nothing() -> None:
    """Empty the proposal first, so that the same one twice in a row is still a change."""
