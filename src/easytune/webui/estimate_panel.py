"""What a run will take, beside Start: the estimate while the form is edited, and the launch check.

The page keeps in a hidden JSON what it shows, so that nothing is remembered here: a reload, a
second browser or a restarted server ask with an empty hand and get everything.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any
from zlib import crc32

import gradio as gr

from easytune.config import TrainConfig
from easytune.i18n import t
from easytune.webui import check_panel, estimate_view
from easytune.webui.check_panel import CheckPanel
from easytune.webui.context import Context
from easytune.webui.form import Form
from easytune.webui.language import label

BUSY_SECONDS, IDLE_SECONDS = 1.0, 10.0
"""How often the page asks while something is being measured, and how often what is free now."""
TYPED = ("data", "lora", "schedule")
"""Sections whose numbers are followed key by key."""
CLICKS = "easytune.dataClicks(element, trigger);"
_ASK = "() => String(performance.now())"
Shown = dict[str, Any]
Update = dict[str, Any]


@dataclass(frozen=True)
class CostsPanel:
    """What the Train tab needs of the panel."""

    refresh: dict[str, Any]
    """The event that brings the panel up to date: after edits, and after the form was filled."""
    wire: Callable[[Callable[[Any], None]], None]
    """Connect the panel's own controls; takes what is to happen after it has filled the form."""


def build(context: Context, form: Form[TrainConfig]) -> CostsPanel:
    """Lay out the panel here: directly above Start, once all controls of the form are placed."""
    layout = _Layout()
    on = _Handlers(context, form)
    refresh: dict[str, Any] = {
        "fn": None, "outputs": layout.ask, "js": _ASK, "queue": False, "show_progress": "hidden",
        "api_visibility": "private", "trigger_mode": "always_last",
    }  # fmt: skip
    return CostsPanel(refresh, lambda refreshed: _wire(layout, on, form, refresh, refreshed))


class _Layout:
    """The components, top to bottom."""

    def __init__(self) -> None:
        with gr.Accordion(label("costs.title"), open=True, elem_id="section-costs"):
            self.estimate = gr.HTML(
                "", elem_id="costs-estimate", js_on_load=CLICKS, apply_default_css=False,
                padding=False,
            )  # fmt: skip
            self.check: CheckPanel = check_panel.build()
        self.line = gr.HTML("", elem_id="costs-line", apply_default_css=False, padding=False)
        self.ask = gr.Textbox("", visible="hidden", elem_id="costs-ask")
        self.shown = gr.JSON(None, visible="hidden", elem_id="costs-shown")
        self.timer = gr.Timer(BUSY_SECONDS)

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `look` updates."""
        return [self.line, self.estimate, *self.check.outputs, self.timer, self.shown]


class _Handlers:
    """Values in, a call to a service, updates out."""

    def __init__(self, context: Context, form: Form[TrainConfig]) -> None:
        self._context = context
        self._form = form
        self._advice = context.advice
        self.check = check_panel.Handlers(context, form)

    def look(self, request: gr.Request, shown: Shown | None, *values: Any) -> Any:
        """Return what changed since the page last asked."""
        lang, before = self._context.language_of(request), shown or {}
        config = self._form.lenient(*values)
        wrong = [*self._form.validate(*values, lang=lang)]
        parts, is_measuring, device = self._estimated(config, wrong, lang)
        told = self.check.told(config, lang)
        parts |= told.parts
        pace = BUSY_SECONDS if is_measuring or told.is_active else IDLE_SECONDS
        parts["timer"] = gr.Timer(value=pace)
        now = {name: _digest(update) for name, update in parts.items()}
        now |= {"timer": str(pace), "device": device or before.get("device", "")}
        if now == before:
            return gr.skip()
        fresh = [gr.skip() if before.get(n) == now[n] else parts[n] for n in parts]
        return [*fresh, now]

    def taken(self, request: gr.Request, event: gr.EventData, *values: Any) -> list[Update]:
        """Put the options of the button that was pressed into the form."""
        return take(self._form, event, values, self._context.language_of(request))

    def _estimated(
        self, config: TrainConfig, wrong: list[str], lang: str
    ) -> tuple[dict[str, Any], bool, str]:
        if wrong:
            # The figures before stay, until there is a value to count with.
            line = estimate_view.waiting(wrong, lang)
            return {"line": line, "estimate": gr.skip()}, False, ""
        advised = self._advice.about(config)
        drawn = {
            "line": estimate_view.line(advised, lang),
            "estimate": estimate_view.card(advised, lang),
        }
        return drawn, advised.is_measuring, advised.machine.device


def take(
    form: Form[TrainConfig], event: gr.EventData, values: tuple[Any, ...], lang: str
) -> list[Update]:
    """Return updates of the form's controls that give them what a pressed button offers.

    Only what differs is touched: other controls may hold what cannot be used yet.
    """
    offered = json.loads(str(event._data.get("options", "{}")))
    wanted = {path.replace(".", "__"): value for path, value in offered.items()}
    content = form.lenient(*values).changed(**wanted).model_dump()
    said = escape(estimate_view.named(offered, lang), quote=False)
    gr.Info(t("costs.taken", lang, changes=said), title="")
    return [
        gr.update(value=form.control(path).show(_value(content, path))) if path in offered
        else gr.skip()
        for path in form.placed
    ]  # fmt: skip


def _value(content: dict[str, dict[str, Any]], path: str) -> Any:
    section, _, name = path.partition(".")
    return content[section][name]


def _digest(content: object) -> str:
    return f"{crc32(json.dumps(content, sort_keys=True, default=str).encode()):08x}"


def _typed(form: Form[TrainConfig]) -> list[Any]:
    """Return the triggers that tell of every key in a number that the estimate goes by."""
    paths = [path for path in form.placed if path.partition(".")[0] in TYPED]
    numbers = [p for p in paths if form.control(p).kind in ("number", "maybe_number")]
    return [form.component(path).input for path in numbers]


def _wire(
    page: _Layout,
    on: _Handlers,
    form: Form[TrainConfig],
    refresh: dict[str, Any],
    refreshed: Callable[[Any], None],
) -> None:
    told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    check = page.check
    # All that asks goes through one event, so that there is one answer under way at most: of two,
    # the older could come last, and what the page shows would not be what it believes to show.
    page.ask.change(
        on.look, [page.shown, *form.inputs], page.outputs, queue=False,
        trigger_mode="always_last", **told,
    )  # fmt: skip
    page.timer.tick(**refresh)
    gr.on(_typed(form), **refresh)
    refreshed(page.estimate.click(on.taken, form.inputs, form.inputs, **told))
    refreshed(check.story.click(on.taken, form.inputs, form.inputs, **told))
    check.start.click(on.check.started, [page.shown, *check.wishes, *form.inputs], **told).then(
        **refresh
    )
    check.cancel.click(on.check.cancelled, **told).then(**refresh)
