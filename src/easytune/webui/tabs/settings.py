"""The Settings tab: models in memory, keys of the API, and how programs call it."""

from html import escape
from typing import Any

import gradio as gr

from easytune import settings
from easytune.api.examples import CURL, PYTHON
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services.keys import Key
from easytune.settings import Settings
from easytune.webui.chat_models import CLICKS, ModelStates
from easytune.webui.context import Context
from easytune.webui.form import Form, toast
from easytune.webui.language import label
from easytune.webui.spoken import sentence, spoken

REFRESH_SECONDS = 2.0
LONGEST_KEY_NAME = 60
Update = dict[str, Any]


def build(context: Context, tab: gr.Tab) -> gr.Timer:
    """Lay out the tab. Returns the timer that keeps it fresh, which rests while it is closed."""
    page = _Page()
    _wire(page, _Handlers(context, page.form), tab)
    return page.timer


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the tab."""

    def __init__(self) -> None:
        self.form = Form(Settings(), prefix="settings-")
        with gr.Row(elem_classes=["et-columns"]):
            with gr.Column(scale=1, min_width=320):
                self._models()
            with gr.Column(scale=1, min_width=320):
                self._keys()
                self.how = gr.HTML("", elem_id="settings-how", apply_default_css=False)
        self.timer = gr.Timer(REFRESH_SECONDS, active=False)

    def _models(self) -> None:
        with gr.Column(elem_classes=["et-card"], elem_id="settings-models"):
            _heading("settings.models", "settings.models_help")
            with gr.Row(elem_classes=["et-form-grid"]):
                self.form.place(*self.form.declared)
            self.save = gr.Button(
                label("settings.save"), variant="primary", elem_id="settings-save"
            )
        with gr.Column(elem_classes=["et-card"], elem_id="settings-memory"):
            _heading("settings.memory")
            self.held = gr.HTML(
                "", elem_id="settings-held", js_on_load=CLICKS, apply_default_css=False
            )

    def _keys(self) -> None:
        with gr.Column(elem_classes=["et-card"], elem_id="settings-api"):
            _heading("settings.keys", "settings.keys_help")
            with gr.Row(elem_classes=["et-livebar"]):
                self.name = gr.Textbox(
                    "", label=label("settings.key_name"), placeholder=label("settings.key_example"),
                    max_length=LONGEST_KEY_NAME, elem_id="settings-key-name", scale=3,
                )  # fmt: skip
                self.create = gr.Button(
                    label("settings.create"), elem_id="settings-create", min_width=120
                )
            self.secret = gr.HTML("", elem_id="settings-secret", apply_default_css=False)
            self.keys = gr.HTML(
                "", elem_id="settings-keys", js_on_load=CLICKS, apply_default_css=False
            )
            with gr.Group(visible=False, elem_id="settings-delete-box") as self.box:
                self.question = gr.HTML(elem_id="settings-delete-question", padding=True)
                with gr.Row(elem_classes="et-row"):
                    self.keep = gr.Button(label("monitor.keep"), elem_id="settings-keep")
                    self.delete = gr.Button(
                        label("monitor.delete"), variant="stop", elem_id="settings-delete"
                    )
            self.doomed = gr.Textbox("", visible="hidden", elem_id="settings-doomed")


def _heading(*keys: str) -> None:
    title, *more = keys
    gr.Markdown(label(title), elem_classes=["et-settings-title"])
    for key in more:
        gr.Markdown(label(key), elem_classes=["et-quiet"])


# --- handlers ---------------------------------------------------------------


class _Handlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context, form: Form[Settings]) -> None:
        self._context = context
        self._form = form
        self._states = ModelStates(context.chat, context.runs, context.evaluations)

    def opened(self, request: gr.Request) -> list[Any]:
        """Show everything as it is now; a secret that was shown before is gone."""
        lang = self._lang(request)
        try:
            filled: list[Any] = self._form.fill(settings.load(self._context.home))
        except EasyTuneError as error:
            gr.Warning(escape(sentence(error, lang), quote=False), title="", duration=12)
            filled = self._form.fill(Settings())
        return [*filled, self._how(request), "", self._keys(lang), self._held(lang),
                gr.update(visible=False)]  # fmt: skip

    def looked(self, keys: str, held: str, request: gr.Request) -> list[Any]:
        """Answer the timer: what changed since the page last asked."""
        lang = self._lang(request)
        now = [self._keys(lang), self._held(lang)]
        return [
            gr.skip() if one == shown else one for one, shown in zip(now, (keys, held), strict=True)
        ]

    def edited(self, request: gr.Request, *values: Any) -> list[Update]:
        """Show under each control what is wrong with it."""
        return self._form.paint(values, self._form.validate(*values, lang=self._lang(request)))

    def saved(self, request: gr.Request, *values: Any) -> list[Update]:
        """Save the settings, or say which cannot be used."""
        lang = self._lang(request)
        problems = self._form.validate(*values, lang=lang)
        if problems:
            told = escape(toast(problems, lang), quote=False)
            gr.Warning(told, title=t("settings.unsaved", lang))
            return self._form.paint(values, problems)
        try:
            settings.save(self._context.home, self._form.parse(*values))
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        except OSError as error:
            told = escape(t("settings.unwritable", lang, reason=error.strerror or str(error)))
            title = t("settings.unsaved", lang)
            raise gr.Error(told, title=title, print_exception=False) from error
        gr.Info(t("settings.saved", lang), title="", duration=4)
        return self._form.paint(values, {})

    def created(self, name: Any, request: gr.Request) -> list[Any]:
        """Make a key and show its secret, this once."""
        lang = self._lang(request)
        text = " ".join(name.split())[:LONGEST_KEY_NAME] if isinstance(name, str) else ""
        if not text:
            gr.Warning(t("settings.name_needed", lang), title="")
            return [gr.skip(), gr.skip(), gr.skip()]
        try:
            _, secret = self._context.keys.create(text)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return ["", _secret(secret, lang), self._keys(lang)]

    def asked(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Ask whether to delete the key that was clicked."""
        lang, key_id = self._lang(request), str(event._data.get("id", ""))
        key = next((key for key in self._known() if key.id == key_id), None)
        if key is None:
            return [gr.update(visible=False), "", ""]
        return [gr.update(visible=True), escape(t("settings.really", lang, name=key.name)), key.id]

    def deleted(self, key_id: Any, request: gr.Request) -> list[Any]:
        """Delete the key that was asked about."""
        lang = self._lang(request)
        try:
            self._context.keys.delete(str(key_id))
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        gr.Info(t("settings.deleted", lang), title="", duration=4)
        return [gr.update(visible=False), self._keys(lang)]

    def clicked(self, event: gr.EventData, request: gr.Request) -> str:
        """Unload the model whose button was clicked."""
        if event._data.get("action") == "unload":
            try:
                self._context.chat.unload(str(event._data.get("id", "")))
            except EasyTuneError as error:
                raise spoken(error, self._lang(request)) from error
        return self._held(self._lang(request))

    def _held(self, lang: str) -> str:
        told = self._states.told("", "", lang)
        empty = f'<p class="et-quiet">{escape(t("settings.nothing_held", lang))}</p>'
        return told if self._context.chat.held() else empty + told

    def _known(self) -> list[Key]:
        try:
            return self._context.keys.list()
        except EasyTuneError:
            return []

    def _keys(self, lang: str) -> str:
        try:
            known = self._context.keys.list()
        except EasyTuneError as error:
            return f'<p class="et-bad" role="alert">{escape(sentence(error, lang))}</p>'
        if not known:
            return f'<p class="et-quiet">{escape(t("settings.no_keys", lang))}</p>'
        columns = ("name", "secret", "made", "used")
        heads = "".join(f"<th>{escape(t(f'settings.column.{c}', lang))}</th>" for c in columns)
        rows = "".join(_row(key, lang) for key in known)
        return (
            '<div class="et-table-wrap"><table class="et-table"><thead>'
            f"<tr>{heads}<th></th></tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def _how(self, request: gr.Request) -> str:
        assert request.request is not None
        return _instructions(str(request.request.base_url).rstrip("/"), self._lang(request))

    def _lang(self, request: gr.Request) -> str:
        return self._context.language_of(request)


# --- drawing ----------------------------------------------------------------


def _row(key: Key, lang: str) -> str:
    used = f"{key.last_used.astimezone():%Y-%m-%d %H:%M}" if key.last_used else None
    cells = (
        escape(key.name),
        f"<code>{escape(key.hint)}</code>",
        f"{key.created.astimezone():%Y-%m-%d}",
        used or escape(t("settings.never", lang)),
        f'<span class="et-buttons">{_delete(key.id, lang)}</span>',
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _delete(key_id: str, lang: str) -> str:
    return (
        '<button type="button" class="et-mini" data-action="delete"'
        f' data-id="{escape(key_id, quote=True)}">{escape(t("monitor.delete", lang))}</button>'
    )


def _secret(secret: str, lang: str) -> str:
    return (
        f'<div class="et-result" role="status"><span>{escape(t("settings.once", lang))}</span>'
        f'<code id="settings-secret-text">{escape(secret)}</code>{_copy(secret, lang)}</div>'
    )


def _instructions(server: str, lang: str) -> str:
    """Return how a program calls the API of this server."""
    examples = "".join(
        f'<div class="et-example"><div><b>{name}</b>{_copy(text, lang)}</div>'
        f"<pre>{escape(text)}</pre></div>"
        for name, text in (
            ("Python", PYTHON.format(server=server)),
            ("curl", CURL.format(server=server)),
        )
    )
    return (
        f'<div class="et-card et-how"><h3>{escape(t("settings.how", lang))}</h3>'
        f"<p>{escape(t('settings.how_text', lang))}</p>"
        f'<p class="et-base"><span>base_url</span><code>{escape(server)}/v1</code>'
        f"{_copy(f'{server}/v1', lang)}</p>{examples}"
        f'<p><a href="/api" target="_blank">{escape(t("settings.reference", lang))}</a></p></div>'
    )


def _copy(text: str, lang: str) -> str:
    return (
        f'<button type="button" class="et-mini" data-et-copy="{escape(text, quote=True)}">'
        f"{escape(t('app.copy', lang))}</button>"
    )


# --- wiring -----------------------------------------------------------------


def _wire(page: _Page, on: _Handlers, tab: gr.Tab) -> None:
    # What goes past the queue cannot raise a toast, unless it fails.
    told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    now: dict[str, Any] = {"queue": False, **told}
    form = page.form
    shown = [page.keys, page.held]
    tab.select(
        on.opened, None,
        [*form.outputs, page.how, page.secret, page.keys, page.held, page.box], **told,
    )  # fmt: skip
    page.timer.tick(on.looked, shown, shown, **now)
    gr.on(form.edits(), on.edited, form.inputs, form.outputs, **now)
    page.save.click(on.saved, form.inputs, form.outputs, **told)
    made = {"inputs": page.name, "outputs": [page.name, page.secret, page.keys], **told}
    page.create.click(on.created, **made)
    page.name.submit(on.created, **made)
    page.keys.click(on.asked, None, [page.box, page.question, page.doomed], **now)
    page.keep.click(lambda: gr.update(visible=False), None, page.box, **now)
    page.delete.click(on.deleted, page.doomed, [page.box, page.keys], **told)
    page.held.click(on.clicked, None, page.held, **now)
