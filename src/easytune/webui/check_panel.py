"""The launch check in the page: start it, follow it, cancel it. What it found survives a reload."""

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from easytune.config import TrainConfig
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.job import CheckWishes
from easytune.services import data_links, submission
from easytune.services.checks import CheckStory
from easytune.webui import check_view, language
from easytune.webui.context import Context
from easytune.webui.form import Form, toast
from easytune.webui.language import label
from easytune.webui.spoken import spoken

CLICKS = "easytune.dataClicks(element, trigger);"


@dataclass(frozen=True)
class CheckPanel:
    """The components of the check."""

    start: gr.Button
    cancel: gr.Button
    steady: gr.Checkbox
    range_test: gr.Checkbox
    story: gr.HTML

    @property
    def wishes(self) -> list[Any]:
        """Return the components that say what shall be checked."""
        return [self.steady, self.range_test]

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `Told.parts` updates."""
        return [self.story, self.start, self.cancel]


@dataclass(frozen=True)
class Told:
    """Updates of a panel's `outputs`, and whether a check is going on."""

    parts: dict[str, Any]
    is_active: bool


def build() -> CheckPanel:
    """Build the check here in the layout."""
    with gr.Row(elem_classes=["costs-check-row"]):
        start = gr.Button(
            label("costs.check.start"), size="sm", min_width=130, scale=0, elem_id="check-start",
            elem_classes=["et-outlined"],
        )  # fmt: skip
        cancel = gr.Button(
            label("costs.check.cancel"), size="sm", min_width=130, scale=0, variant="stop",
            visible=False, elem_id="check-cancel",
        )  # fmt: skip
        option: dict[str, Any] = {"container": False, "min_width": 160}
        steady = gr.Checkbox(
            False, label=label("costs.check.steady"), elem_id="check-steady", **option
        )
        range_test = gr.Checkbox(
            False, label=label("costs.check.range_test"), elem_id="check-range", **option
        )
    story = gr.HTML(
        "", elem_id="check-story", js_on_load=CLICKS, apply_default_css=False, padding=False
    )
    return CheckPanel(start, cancel, steady, range_test, story)


class Handlers:
    """Values in, one call to the service, updates out."""

    def __init__(self, context: Context, form: Form[TrainConfig]) -> None:
        self._context = context
        self._checks = context.checks
        self._form = form

    def told(self, config: TrainConfig, lang: str) -> Told:
        """Return what the latest check says to somebody whose form holds `config`."""
        story = self._latest()
        is_active = story is not None and not story.has_ended
        drawn = "" if story is None else check_view.story(story, self._as_checked(config), lang)
        return Told(
            {
                "story": drawn,
                "start": language.button_update("costs.check.start", not is_active),
                "cancel": language.button_update("costs.check.cancel", is_active),
            },
            is_active,
        )

    def started(
        self,
        request: gr.Request,
        shown: dict[str, Any] | None,
        steady: bool,
        range_test: bool,
        *values: Any,
    ) -> None:
        """Begin a check of what the form holds, or say what stands in the way.

        `shown` names the device that the estimate beside it was made for.
        """
        lang = self._context.language_of(request)
        if problems := self._form.validate(*values, lang=lang):
            said = escape(toast(problems, lang), quote=False)
            gr.Warning(said, title=t("costs.check.not_started", lang), duration=12)
            return
        device = (shown or {}).get("device") or None
        wishes = CheckWishes(steady=steady, range_test=range_test, device=device)
        try:
            self._checks.start(self._form.parse(*values), wishes)
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def cancelled(self, request: gr.Request) -> None:
        """End the check that is going on."""
        try:
            if check := self._checks.latest():
                self._checks.stop(check)
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error

    def _as_checked(self, config: TrainConfig) -> TrainConfig:
        """Return a config the way a check keeps it: versions of datasets and whole paths named."""
        try:
            named = data_links.pinned(config, self._context.datasets.library)
        except EasyTuneError:  # a dataset that is no longer there; the form says so
            named = config
        return submission.with_absolute_paths(named)

    def _latest(self) -> CheckStory | None:
        check = self._checks.latest()
        try:
            return self._checks.story(check) if check else None
        except EasyTuneError:  # cleared away since it was listed
            return None
