"""Four short steps for newcomers, above the form that they fill: data, want, model, start.

Which step is open, and whether the guide is shown at all, is the browser's: see `assets/guide.js`.
"""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from easytune import wishes
from easytune.i18n import t
from easytune.intents import Intents
from easytune.webui import guide_view
from easytune.webui.language import label
from easytune.webui.suggestions import Suggested

STEPS = ("data", "want", "model", "start")
_CLICKS = "easytune.sendClicks(element, trigger, 'intent')"


@dataclass(frozen=True)
class Guide:
    """The components of the guide. `datasets` and `model` mirror the controls of the form."""

    datasets: gr.Dropdown
    data_facts: gr.HTML
    cards: gr.HTML
    wish: gr.Textbox
    propose: gr.Button
    proposal: gr.HTML
    model: gr.Dropdown
    model_facts: gr.HTML
    summary: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `shown` updates."""
        return [self.datasets, self.data_facts, self.cards, self.model, self.summary]


def build() -> Guide:
    """Build the guide here in the layout, and the link that brings it back."""
    small: dict[str, Any] = {"size": "sm", "min_width": 60, "scale": 0}
    gr.Button(label("guide.show"), elem_id="guide-show", elem_classes=["guide-link"], **small)
    with gr.Column(elem_id="train-guide", elem_classes=["et-card"]):
        with gr.Row(elem_id="guide-top"):
            gr.Markdown(label("guide.title"), elem_id="guide-title")
            gr.Button(label("guide.leave"), elem_id="guide-leave", elem_classes=["guide-link"],
                      **small)  # fmt: skip
            gr.Button(label("guide.never"), elem_id="guide-never", elem_classes=["guide-link"],
                      **small)  # fmt: skip
        with gr.Row(elem_id="guide-steps"):
            for number, step in enumerate(STEPS, 1):
                gr.Button(
                    label(f"guide.go.{step}"), elem_id=f"guide-go-{number}", size="sm", min_width=60
                )
        guide = _panels()
        with gr.Row(elem_id="guide-turn"):
            gr.Button(label("guide.previous"), elem_id="guide-previous", **small)
            gr.Button(label("guide.next"), elem_id="guide-next", variant="primary", **small)
    return guide


def _panels() -> Guide:
    quiet: dict[str, Any] = {"elem_classes": ["et-quiet"]}
    plain: dict[str, Any] = {"apply_default_css": False}
    with gr.Column(elem_id="guide-step-1"):
        gr.Markdown(label("guide.data_intro"), **quiet)
        datasets = gr.Dropdown(
            [], multiselect=True, allow_custom_value=True, label=label("guide.data_label"),
            elem_id="guide-datasets", interactive=True,
        )  # fmt: skip
        gr.Button(label("guide.upload"), elem_id="guide-upload", size="sm",
                  elem_classes=["et-outlined"])  # fmt: skip
        data_facts = gr.HTML("", elem_id="guide-data-facts", **plain)
    with gr.Column(elem_id="guide-step-2"):
        cards = gr.HTML("", elem_id="guide-intents", js_on_load=_CLICKS, **plain)
        with gr.Row(elem_id="guide-wish-row"):
            wish = gr.Textbox(
                "", label=label("guide.wish"), info=label("guide.wish_help"), max_lines=1,
                placeholder=label("guide.wish_example"), elem_id="guide-wish", scale=5,
            )  # fmt: skip
            propose = gr.Button(
                label("guide.propose"), elem_id="guide-propose", size="md", min_width=90,
                elem_classes=["et-outlined"],
            )  # fmt: skip
        proposal = gr.HTML("", elem_id="guide-proposal", js_on_load=_CLICKS, **plain)
    with gr.Column(elem_id="guide-step-3"):
        gr.Markdown(label("guide.model_intro"), **quiet)
        model = gr.Dropdown(
            [], allow_custom_value=True, label=label("guide.model_label"), elem_id="guide-model",
            interactive=True,
        )  # fmt: skip
        model_facts = gr.HTML("", elem_id="guide-model-facts", **plain)
    with gr.Column(elem_id="guide-step-4"):
        summary = gr.HTML("", elem_id="guide-summary", **plain)
        gr.Markdown(label("guide.start_intro"), **quiet)
        with gr.Row(elem_id="guide-acts"):
            gr.Button(
                label("guide.check"), elem_id="guide-check", size="md", elem_classes=["et-outlined"]
            )
            gr.Button(label("guide.start"), elem_id="guide-start", size="md", variant="primary")
    return Guide(datasets, data_facts, cards, wish, propose, proposal, model, model_facts, summary)


def shown(suggested: Suggested, lang: str) -> list[Any]:
    """Return updates of `outputs` for what the form holds."""
    config = suggested.config
    return [
        gr.update(value=list(config.data.datasets)),
        guide_view.data_facts(suggested.advised, lang),
        guide_view.cards(suggested.intents, config.goal.intent, None, lang),
        gr.update(value=config.model.base_model),
        guide_view.summary(suggested, lang),
    ]


def proposed(known: Intents, chosen: str, wish: str, lang: str) -> list[Any]:
    """Return updates of `proposal` and `cards` for a wish in plain words."""
    own = {intent.id: intent.wishes for intent in known.found.values()}
    found = wishes.propose(wish, own) if wish.strip() else None
    is_here = found is not None and found.intent in known.found
    return [
        guide_view.proposal(found, known, wish, lang),
        guide_view.cards(known, chosen, found.intent if found and is_here else None, lang),
    ]


def choices(known: Intents, lang: str) -> list[tuple[str, str]]:
    """Return what the control of the intent offers: a title and an id each, "expert" first."""
    offered = [(intent.title_in(lang), intent.id) for intent in known.found.values()]
    return [(t("guide.expert", lang), "expert"), *offered]
