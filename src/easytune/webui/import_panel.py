"""Bringing in an adapter or a model from elsewhere: files, base, check, findings, decision.

Mounted in the Models tab: `panel = ImportPanel(context)` in the layout, then `panel.wire(…)` with
the events by which the tab opens.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services.inspection_story import InspectionStory
from easytune.webui import import_view, model_picker
from easytune.webui.context import Context
from easytune.webui.language import button_update, label
from easytune.webui.spoken import spoken

_MOST_LISTED = 30
_BUTTONS = ("accept", "accept_warned", "convert", "discard", "stop")
Updates = list[Any]


class ImportPanel:
    """The components, and their wiring."""

    def __init__(self, context: Context) -> None:
        """Build the panel here in the layout."""
        self._on = _Handlers(context)
        with gr.Column(elem_id="import-panel"):
            gr.Markdown(label("inspection.form.title"), elem_id="import-title")
            gr.Markdown(label("inspection.form.intro"))
            with gr.Row(elem_classes=["et-columns"]):
                with gr.Column(scale=4, min_width=300):
                    self._asking()
                with gr.Column(scale=6, min_width=300):
                    self._found()
        self.shown = gr.Textbox("", visible="hidden", elem_id="import-id")
        self.version = gr.Textbox("", visible="hidden", elem_id="import-version")
        self.timer = gr.Timer(1.0, active=False)

    def _asking(self) -> None:
        self.files = gr.File(
            label=label("inspection.form.files"), file_count="multiple", elem_id="import-files"
        )
        self.path = gr.Textbox(
            "", label=label("inspection.form.path"), max_lines=1, elem_id="import-path"
        )
        self.base = model_picker.build(
            "import-base", label=label("inspection.form.base"),
            info=label("inspection.form.base_help"),
        )  # fmt: skip
        self.name = gr.Textbox(
            "", label=label("inspection.form.name"), info=label("inspection.form.name_help"),
            max_lines=1, elem_id="import-name",
        )  # fmt: skip
        self.start = gr.Button(
            label("inspection.form.start"), variant="primary", elem_id="import-start"
        )
        self.earlier = gr.Dropdown(
            [], label=label("inspection.form.choose"), interactive=True, elem_id="import-earlier"
        )

    def _found(self) -> None:
        self.report = gr.HTML("", apply_default_css=False, elem_id="import-report")
        with gr.Row(elem_classes=["et-row"]):
            self.buttons = {
                name: gr.Button(
                    label(f"inspection.form.{name}"), visible=False,
                    elem_id=f"import-{name.replace('_', '-')}",
                    variant="primary" if name.startswith("accept") else "secondary",
                )
                for name in _BUTTONS
            }  # fmt: skip

    @property
    def drawn(self) -> list[Any]:
        """Return what showing a check updates."""
        return [self.report, self.version, self.timer, *self.buttons.values()]

    def wire(self, opens: Sequence[Callable[..., Any]]) -> None:
        """Connect everything; `opens` are the events by which the tab is opened."""
        on = self._on
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        look: dict[str, Any] = {
            "fn": on.look, "inputs": [self.shown, self.version], "outputs": self.drawn,
            "queue": False, **told,
        }  # fmt: skip
        anew: dict[str, Any] = {"fn": on.anew, "inputs": self.shown, "outputs": self.drawn, **told}
        listed = [self.base, self.earlier]
        gr.on(opens, on.opened, None, listed, **told).then(**anew)
        self.timer.tick(**look)
        self.shown.change(**anew)
        self.earlier.input(lambda chosen: chosen, self.earlier, self.shown, **told)
        asked = [self.files, self.path, self.base, self.name]
        checked = self.start.click(on.checked, asked, self.shown, api_visibility="private")
        checked.success(on.opened, None, listed, **told)
        for name, work in on.decisions().items():
            self.buttons[name].click(work, self.shown, self.shown, **told).success(**anew)


class _Handlers:
    """From values to updates; what is decided is the service's work."""

    def __init__(self, context: Context) -> None:
        self._context, self._inspections = context, context.inspections

    def opened(self, request: gr.Request) -> Updates:
        """Return the bases to choose from, and the earlier checks."""
        lang = self._context.language_of(request)
        wholes = [
            one
            for one in self._context.chat.catalogue.list()
            if not one.is_adapter and one.problem is None
        ]
        earlier = [
            (f"{one.name} · {one.created.astimezone():%Y-%m-%d %H:%M}", one.id)
            for one in self._inspections.list()[:_MOST_LISTED]
        ]
        base = gr.update(choices=model_picker.choices(wholes, lang))
        return [base, gr.update(choices=earlier)]

    def checked(
        self, files: list[str] | None, path: str, base: str | None, name: str, request: gr.Request
    ) -> str:
        """Begin a check, and return its id."""
        lang = self._context.language_of(request)
        sources = [Path(one) for one in files or ()]
        if not sources and path.strip():
            sources = [Path(path.strip()).expanduser()]
        if not sources:
            raise gr.Error(t("inspection.nothing_chosen", lang), print_exception=False)
        try:
            return self._inspections.submit(
                sources, base or None, name=name, author=request.username or ""
            )
        except EasyTuneError as problem:
            raise spoken(problem, lang) from problem

    def look(self, shown: str, version: str, request: gr.Request) -> Updates:
        """Return what is new of a check; nothing where nothing is."""
        if not shown:
            return [gr.skip()] * (3 + len(_BUTTONS))
        try:
            if self._inspections.version(shown) == version:
                return [gr.skip()] * (3 + len(_BUTTONS))
        except EasyTuneError:
            return self.anew("", request)
        return self.anew(shown, request)

    def anew(self, shown: str, request: gr.Request) -> Updates:
        """Return a check as it is now."""
        lang = self._context.language_of(request)
        try:
            version = self._inspections.version(shown) if shown else ""
            story = self._inspections.story(shown) if shown else None
        except EasyTuneError:
            version, story = "", None
        if story is None:
            empty = f"<p>{t('inspection.empty', lang)}</p>"
            hidden = [button_update(f"inspection.form.{name}", False) for name in _BUTTONS]
            return [empty, "", gr.Timer(active=False), *hidden]
        may = _possible(story)
        buttons = [button_update(f"inspection.form.{name}", name in may) for name in _BUTTONS]
        timer = gr.Timer(active=not story.has_ended)
        return [import_view.report(story, lang), version, timer, *buttons]

    def decisions(self) -> dict[str, Callable[..., str]]:
        """Return what each button does; each returns the id of the check to show then."""
        inspections = self._inspections

        def accept(shown: str, who: str) -> None:
            inspections.accept(shown, who=who)

        def accept_warned(shown: str, who: str) -> None:
            inspections.accept(shown, warnings=True, who=who)

        def discard(shown: str, who: str) -> None:
            inspections.discard(shown)

        def stop(shown: str, who: str) -> None:
            inspections.stop(shown)

        def convert(shown: str, who: str) -> str:
            return inspections.convert(shown)

        works: dict[str, Callable[[str, str], str | None]] = {
            "accept": accept, "accept_warned": accept_warned, "convert": convert,
            "discard": discard, "stop": stop,
        }  # fmt: skip
        return {name: self._decision(work) for name, work in works.items()}

    def _decision(self, work: Callable[[str, str], str | None]) -> Callable[..., str]:
        def decide(shown: str, request: gr.Request) -> str:
            try:
                return work(shown, request.username or "") or shown
            except EasyTuneError as problem:
                raise spoken(problem, self._context.language_of(request)) from problem

        return decide


def _possible(story: InspectionStory) -> set[str]:
    """Return what somebody may decide about a check now."""
    if not story.has_ended:
        return {"stop"}
    possible = set() if story.decision else {"discard"}
    if story.can_convert:
        possible.add("convert")
    if story.can_import:
        possible.add("accept" if story.verdict == "passed" else "accept_warned")
    return possible
