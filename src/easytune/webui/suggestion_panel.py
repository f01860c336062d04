"""What the intent has set, under its control; and under every other control, why it is so."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from easytune.config import TrainConfig
from easytune.webui import guide_view
from easytune.webui.suggestions import Held, Suggested, value

ALL = "*"
_MARK = "easytune.mountMarks(element, props, watch, trigger)"
_CLICKS = "easytune.sendClicks(element, trigger, 'back')"
_PACE_SECONDS = 1.0


@dataclass(frozen=True)
class SuggestionPanel:
    """The components, and what the page remembers of the last suggestion."""

    strip: gr.HTML
    marks: gr.HTML
    """Draws the reasons under the controls; a click asks for a value to be as suggested."""
    held: gr.JSON
    timer: gr.Timer
    """Runs while the data are being measured."""

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `shown` updates."""
        return [self.strip, self.marks, self.held, self.timer]


def build() -> SuggestionPanel:
    """Build the panel here in the layout, under the control of the intent."""
    strip = gr.HTML("", elem_id="train-suggestion", apply_default_css=False, js_on_load=_CLICKS)
    marks = gr.HTML(
        None, html_template='<div class="et-slot"></div>', js_on_load=_MARK,
        apply_default_css=False, elem_id="train-marks",
    )  # fmt: skip
    held = gr.JSON(None, visible="hidden", elem_id="train-held")
    return SuggestionPanel(strip, marks, held, gr.Timer(_PACE_SECONDS, active=False))


def shown(suggested: Suggested, lang: str, is_held: bool = True) -> list[Any]:
    """Return updates of `outputs`; without `is_held` the page goes on to hold what it holds."""
    return [
        guide_view.strip(suggested, lang),
        guide_view.marks(suggested, lang) or None,
        suggested.held if is_held else gr.skip(),
        gr.Timer(active=suggested.advised.is_measuring),
    ]


def kept(held: Held | None, before: TrainConfig, after: TrainConfig) -> Held | None:
    """Return what the page goes on to hold once the form shows another config.

    Nothing, unless every suggested value is the one that was there: then only the data or the
    model are others, and values go on to follow.
    """
    if held is None or before.goal.intent != after.goal.intent:
        return None
    is_same = all(value(before, path) == value(after, path) for path in held["values"])
    return held if is_same else None


def wanted(event: gr.EventData, suggested: Suggested) -> list[str]:
    """Return the options that a click wants as suggested: one, or all that differ."""
    path = str(event._data.get("back", ""))
    return [one for one in suggested.changed if path in (one, ALL)]
