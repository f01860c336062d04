"""The Deploy view: serve a model at an address of its own, and look after what is served."""

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from easytune import paths
from easytune.deployment import DeployConfig, options
from easytune.deployment_errors import DeploymentMissing
from easytune.deployment_files import DeploymentFolder
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services import deployment_checks
from easytune.services.deployment_checks import CheckStory
from easytune.services.deployments import DeploymentStory
from easytune.webui import clicks, deploy_view, model_picker
from easytune.webui.chat_models import CLICKS
from easytune.webui.context import Context
from easytune.webui.form import Form, toast
from easytune.webui.language import label
from easytune.webui.spoken import spoken

TICK_SECONDS = 1.5
PREFIX = "deploy-"
_MODEL = "deploy.model"


VIEW = "deploy"
"""What the tab calls this view."""


class DeployPanel:
    """The components of the view; `timer` ticks only while it is in sight."""

    handlers: "_Handlers"

    def __init__(self) -> None:
        """Build the view here in the layout."""
        self.form: Form[DeployConfig] = Form(DeployConfig(), prefix=PREFIX)
        with gr.Row(elem_classes=["et-columns"]):
            with gr.Column(scale=2, min_width=320):
                self._setup()
            with gr.Column(scale=3, min_width=320):
                self._served()
        self.chosen = gr.Textbox("", visible="hidden", elem_id="deploy-chosen")
        self.doomed = gr.Textbox("", visible="hidden", elem_id="deploy-doomed")
        self.timer = gr.Timer(TICK_SECONDS, active=False)

    def _setup(self) -> None:
        with gr.Column(elem_classes=["et-card"], elem_id="deploy-setup"):
            self.model = model_picker.build("deploy-model")
            with gr.Row(elem_classes=["et-form-grid"]):
                self.form.place(*_paths("essential"))
            self.form.accordion("serving", *_paths("advanced"))
            self.start = gr.Button(label("deploy.start"), variant="primary", elem_id="deploy-start")
        self.secret = gr.HTML("", elem_id="deploy-secret", apply_default_css=False)

    def _served(self) -> None:
        self.listed = gr.HTML("", elem_id="deploy-list", js_on_load=CLICKS, apply_default_css=False)
        with gr.Group(visible=False, elem_id="deploy-delete-box") as self.box:
            self.question = gr.HTML(elem_id="deploy-delete-question", padding=True)
            with gr.Row(elem_classes="et-row"):
                self.keep = gr.Button(label("monitor.keep"), elem_id="deploy-keep")
                self.delete = gr.Button(
                    label("monitor.delete"), variant="stop", elem_id="deploy-delete"
                )
        self.details = gr.HTML("", elem_id="deploy-details", apply_default_css=False)

    @property
    def shown(self) -> list[Any]:
        """Return the components that tell of what is served."""
        return [self.listed, self.details]


def _paths(level: str) -> list[str]:
    return [option.path for option in options() if option.knob.level == level]


def build(context: Context) -> DeployPanel:
    """Lay out the view, which is empty until `follow` is told when somebody comes to see it."""
    panel = DeployPanel()
    panel.handlers = _Handlers(context, panel.form)
    _wire(panel, panel.handlers)
    return panel


def look(panel: DeployPanel, view: gr.Radio) -> dict[str, Any]:
    """Return the event that shows what is served, if `view` names this view.

    The timer ticks from then on; whoever shows another tab stops it.
    """
    return {
        "fn": panel.handlers.opened, "inputs": [view, panel.model, panel.chosen],
        "outputs": [panel.timer, panel.model, panel.secret, panel.box, *panel.shown],
        "queue": False, "show_progress": "hidden", "api_visibility": "private", **clicks.EACH,
    }  # fmt: skip


class _Handlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context, form: Form[DeployConfig]) -> None:
        self._context, self._form = context, form
        self._deployments = context.deployments

    def opened(self, request: gr.Request, view: str, model: str | None, chosen: str) -> list[Any]:
        """Show what can be served and what is; a key that was shown before is gone."""
        if view != VIEW:
            return [gr.Timer(active=False), *[gr.skip()] * 5]
        lang = self._context.language_of(request)
        models = [one for one in self._context.chat.catalogue.list() if one.problem is None]
        first = model_picker.suggested(models) or next(iter(models), None)
        value = model or (first.id if first else None)
        picker = gr.update(choices=model_picker.choices(models, lang), value=value)
        hidden = gr.update(visible=False)
        return [gr.Timer(active=True), picker, "", hidden, *self._drawn(chosen, lang)]

    def looked(self, request: gr.Request, chosen: str, listed: str, details: str) -> list[Any]:
        """Answer the timer: what changed since the page last asked."""
        now = self._drawn(chosen, self._context.language_of(request))
        shown = (listed, details)
        return [gr.skip() if one == old else one for one, old in zip(now, shown, strict=True)]

    def edited(self, request: gr.Request, *values: Any) -> list[Any]:
        """Show under each control what is wrong with it."""
        problems = self._form.validate(*values, lang=self._context.language_of(request))
        return self._form.paint(values, problems)

    def started(self, request: gr.Request, model: str | None, *values: Any) -> list[Any]:
        """Begin to serve what was chosen, or say what stands in the way."""
        lang = self._context.language_of(request)
        if problems := self._form.validate(*values, lang=lang):
            said = escape(toast(problems, lang), quote=False)
            gr.Warning(said, title=t("deploy.not_started", lang), duration=12)
            return [gr.skip(), gr.skip(), gr.skip(), gr.skip()]
        models = self._context.chat.catalogue.list()
        meant = model_picker.meant(models, (model or "").strip(), lang)
        try:
            config = self._form.parse(*values).changed(deploy__model=meant or "demo")
            deployment, key = self._deployments.create(config)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return [self._secret(key, lang), deployment, *self._drawn(deployment, lang)]

    def clicked(self, event: gr.EventData, request: gr.Request, chosen: str) -> list[Any]:
        """Do what a card's button says. Deleting is asked about first."""
        lang = self._context.language_of(request)
        action, deployment = (str(event._data.get(name, "")) for name in ("action", "id"))
        secret: Any = gr.skip()
        try:
            match action:
                case "show":
                    chosen = "" if chosen == deployment else deployment
                case "stop":
                    self._deployments.stop(deployment)
                case "check":
                    deployment_checks.start(self._deployments, deployment)
                case "restart" | "again":
                    secret = self._secret(self._deployments.restart(deployment), lang)
                case "delete":
                    return self._asked(deployment, chosen, lang)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        hidden = gr.update(visible=False)
        return [secret, chosen, hidden, "", "", *self._drawn(chosen, lang)]

    def deleted(self, request: gr.Request, doomed: str, chosen: str) -> list[Any]:
        """Delete the deployment that was asked about."""
        lang = self._context.language_of(request)
        try:
            self._deployments.delete(doomed)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return [gr.update(visible=False), *self._drawn("" if chosen == doomed else chosen, lang)]

    def _asked(self, deployment: str, chosen: str, lang: str) -> list[Any]:
        name = self._deployments.story(deployment).order.name
        question = escape(t("deploy.really", lang, name=name))
        box = gr.update(visible=True)
        return [gr.skip(), chosen, box, question, deployment, *self._drawn(chosen, lang)]

    def _drawn(self, chosen: str, lang: str) -> list[str]:
        """Return the cards, and the details of the chosen deployment."""
        stories = self._deployments.list()
        story = next((one for one in stories if one.id == chosen), None)
        details = deploy_view.details(story, self._log(story), lang) if story else ""
        return [deploy_view.listed(stories, self._checks(stories), chosen, lang), details]

    def _checks(self, stories: Sequence[DeploymentStory]) -> dict[str, CheckStory]:
        found: dict[str, CheckStory] = {}
        for story in stories:
            folder = DeploymentFolder(paths.deployments(self._context.home) / story.id)
            if (check := deployment_checks.latest(folder)) is not None:
                found[story.id] = check
        return found

    def _log(self, story: DeploymentStory) -> list[str]:
        try:
            return self._deployments.log(story.id, deploy_view.LOG_LINES)
        except DeploymentMissing:  # deleted since it was listed
            return []

    def _secret(self, key: str, lang: str) -> str:
        return deploy_view.secret(key, lang) if key else ""


def _wire(panel: DeployPanel, on: _Handlers) -> None:
    # What may raise or tell something is queued: past the queue Gradio shows no toast.
    told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    now: dict[str, Any] = {"queue": False, **told}
    form = panel.form
    panel.timer.tick(on.looked, [panel.chosen, *panel.shown], panel.shown, **now)
    gr.on(form.edits(), on.edited, form.inputs, form.outputs, **now)
    panel.start.click(
        on.started, [panel.model, *form.inputs], [panel.secret, panel.chosen, *panel.shown],
        **told, **clicks.ONE_BY_ONE,
    )  # fmt: skip
    panel.listed.click(
        on.clicked, panel.chosen,
        [panel.secret, panel.chosen, panel.box, panel.question, panel.doomed, *panel.shown],
        concurrency_limit=8, **told, **clicks.EACH,
    )  # fmt: skip
    panel.keep.click(lambda: gr.update(visible=False), None, panel.box, **now)
    panel.delete.click(on.deleted, [panel.doomed, panel.chosen], [panel.box, *panel.shown], **told)
