"""What the Chat tab does when it is asked: values in, one call to a service, updates out."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from zlib import crc32

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.generation import GenerationConfig
from easytune.i18n import t
from easytune.inference_errors import ConversationMissing
from easytune.services.answer import Answer
from easytune.services.conversations import Conversation, Form
from easytune.webui import chat_settings, chat_view, model_picker
from easytune.webui.chat_models import ModelStates
from easytune.webui.chat_settings import SettingsPanel
from easytune.webui.chat_turn import Choice, Kind, Turns, Wish, planned
from easytune.webui.context import Context
from easytune.webui.spoken import spoken

Shown = dict[str, Any]
BEGUN = ("conversation", "messages", "live", "composer", "kind")
"""What a handler that begins a turn updates."""
ENDINGS = {"markdown": "md", "json": "json", "jsonl": "jsonl"}


class Handlers:
    """The handlers. What a page shows is in its own hidden components, never here."""

    def __init__(self, context: Context, panel: SettingsPanel) -> None:
        self._context = context
        self._panel = panel
        self._kept = context.conversations
        self._turns = Turns(context.chat, context.conversations)
        self._states = ModelStates(context.chat, context.runs, context.evaluations)

    # --- the conversation ---------------------------------------------------

    def sent(
        self, request: gr.Request, conversation: str, text: str, model: str, system: str,
        *values: Any,
    ) -> list[Any]:  # fmt: skip
        """Keep the question that was written, and show that it is being answered."""
        return self._begun(request, conversation, Wish("ask", text or ""), model, system, values)

    def acted(
        self, request: gr.Request, event: gr.EventData, conversation: str, model: str, system: str,
        *values: Any,
    ) -> list[Any]:  # fmt: skip
        """Begin to ask again, to go on, or to ask what was edited or proposed."""
        kind, number = event._data.get("action"), event._data.get("message")
        if kind not in get_args(Kind):
            return _skips(len(BEGUN))
        wish = Wish(kind, str(event._data.get("text") or ""), number if type(number) is int else 0)
        return self._begun(request, conversation, wish, model, system, values)

    def answered(
        self, request: gr.Request, conversation: str, kind: Any, base: str | None, *values: Any
    ) -> Iterator[Any]:
        """Yield the answer as it grows."""
        lang, live, answer = self._lang(request), None, Answer()
        config = self._panel.form.lenient(*values)
        try:
            for answer, is_new in self._turns.answers(
                conversation, kind, config, str(request.session_hash), base or ""
            ):
                live = live or chat_view.Live(lang, self._before(conversation, kind))
                yield live.drawn(answer) if is_new else gr.skip()
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        if answer.reason == "failed" and kind in ("again", "continue"):
            # A good answer may stand where the sentence would be.
            self._warn(chat_view.failure(answer.code, answer.values, lang))

    def ended(self, request: gr.Request, conversation: str) -> list[Any]:
        """Show the conversation as it is kept, once nothing is written any more."""
        if self._turns.is_busy(conversation):
            return _skips(3)
        return self._drawn(self._found(conversation), self._lang(request))

    def stopped(self, conversation: str) -> None:
        """End the answer of this conversation."""
        self._turns.stop(conversation)

    def undone(self, request: gr.Request, conversation: str) -> list[Any]:
        """Take back the last question, and put it into the composer."""
        lang = self._lang(request)
        try:
            found, question = self._turns.undone(conversation)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return [self._messages(found, None, lang), None, question]

    def _begun(
        self, request: gr.Request, conversation: str, wish: Wish, model: str, system: str,
        values: tuple[Any, ...],
    ) -> list[Any]:  # fmt: skip
        """Return updates of what `BEGUN` names."""
        lang = self._lang(request)
        try:
            choice = Choice(model or "", system or "", self._panel.form.parse(*values))
            found = self._turns.begin(conversation, wish, choice, str(request.session_hash))
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        plan = planned(found, wish.kind)
        # An answer that is gone on with is drawn where it grows.
        keep = plan.keep - 1 if plan.continued else plan.keep
        drawn = self._messages(found, keep, lang, is_busy=True)
        before = plan.continued.content if plan.continued else ""
        live = chat_view.Live(lang, before).drawn(Answer())
        return [found.id, drawn, live, "" if wish.kind == "ask" else gr.skip(), wish.kind]

    def _before(self, conversation: str, kind: Any) -> str:
        """Return the answer that is gone on with."""
        found = self._found(conversation) if kind == "continue" else None
        return found.messages[-1].content if found and found.messages else ""

    def _context_use(self, found: Conversation | None, lang: str) -> str:
        length = self._states.context_length(found.model) if found else None
        return chat_view.context_use(found, length, lang)

    # --- conversations ------------------------------------------------------

    def entered(
        self, request: gr.Request, conversation: str, wanted: str, model: str | None, system: str,
        *values: Any,
    ) -> list[Any]:  # fmt: skip
        """Show the tab as this page left it; `wanted` is a model to begin a conversation with."""
        lang = self._lang(request)
        models = self._context.chat.catalogue.list()
        choices = model_picker.choices(models, lang)
        lists = [gr.update(choices=chat_settings.names(self._context.presets)),
                 gr.update(choices=model_picker.bases(models, lang))]  # fmt: skip
        if wanted:
            picked = self._picked(wanted, values)
            return ["", "", *self._drawn(None, lang), gr.update(choices=choices, value=wanted),
                    *picked, *lists]  # fmt: skip
        found = self._found(conversation)
        if found is None:
            chosen = gr.update(choices=choices, value=model or model_picker.DEMO)
            rest = _skips(len(self._panel.outputs) - 1)
            return ["", "", *self._drawn(None, lang), chosen, *rest, *lists]
        chosen = gr.update(choices=choices, value=found.model)
        return [found.id, "", *self._drawn(found, lang), *self._settings(found, chosen, values),
                *lists]  # fmt: skip

    def selected(self, request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
        """Show a conversation with the settings it was left with."""
        lang = self._lang(request)
        try:
            found = self._kept.get(str(event._data.get("id", "")))
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        chosen = gr.update(value=found.model)
        return [found.id, *self._drawn(found, lang), *self._settings(found, chosen, values)]

    def begun(self, request: gr.Request) -> list[Any]:
        """Show an empty conversation; it is kept once something is asked."""
        return ["", *self._drawn(None, self._lang(request))]

    def managed(self, request: gr.Request, event: gr.EventData, conversation: str) -> list[Any]:
        """Rename, delete or export a conversation of the list."""
        lang = self._lang(request)
        id, action = str(event._data.get("id", "")), str(event._data.get("action", ""))
        try:
            if action == "rename":
                self._kept.change(id, title=str(event._data.get("title", "")).strip())
            elif action == "delete":
                with self._turns.alone(id):
                    self._kept.delete(id)
                if id == conversation:
                    return ["", *self._drawn(None, lang), gr.skip()]
            elif action in ENDINGS:
                return [*_skips(4), self._file(id, action, lang)]
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return _skips(5)

    def imported(self, request: gr.Request, file: str | None) -> None:
        """Add the conversations of a file."""
        lang = self._lang(request)
        if not file:
            return
        try:
            added = self._kept.import_file(Path(file))
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        gr.Info(t("chat.imported", lang, count=len(added)), title="", duration=4)

    def listed(self, request: gr.Request, search: str, conversation: str) -> Any:
        """Return the list of conversations."""
        lang = self._lang(request)
        try:
            found = self._kept.list(search or "")
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return chat_view.summaries(found, conversation, search or "", lang)

    def _file(self, id: str, form: Any, lang: str) -> dict[str, str]:
        chosen: Form = form
        text = self._kept.export([id], chosen, lang)
        title = self._kept.get(id).title or id
        name = "".join(c if c.isalnum() else "-" for c in title)[:60].strip("-") or id
        # The time makes a second export of the same a change, which the page acts on.
        return {"name": f"{name}.{ENDINGS[form]}", "text": text, "at": f"{time.time()}"}

    def _drawn(self, found: Conversation | None, lang: str) -> list[Any]:
        """Return the messages, no live answer, and the warning."""
        return [self._messages(found, None, lang), None, self._context_use(found, lang)]

    def _messages(
        self, found: Conversation | None, keep: int | None, lang: str, is_busy: bool = False
    ) -> Shown:
        return chat_view.messages(found, keep, lang, self._states.names(lang), is_busy)

    def _found(self, conversation: str) -> Conversation | None:
        try:
            return self._kept.get(conversation) if conversation else None
        except ConversationMissing:
            return None

    # --- the model and how it answers ---------------------------------------

    def chosen(self, request: gr.Request, model: str | None, *values: Any) -> list[Any]:
        """Set what the files of a newly chosen model ask for; find what was typed."""
        models = self._context.chat.catalogue.list()
        found = model_picker.meant(models, str(model or "").strip(), self._lang(request))
        return [found or None, *self._picked(found, values)]

    def based(self, request: gr.Request, base: str | None) -> str:
        """Find the base that was typed."""
        models = self._context.chat.catalogue.list()
        return model_picker.meant(models, str(base or "").strip(), self._lang(request))

    def clicked(
        self, request: gr.Request, event: gr.EventData, model: str, base: str | None, *values: Any
    ) -> Any:
        """Load or unload a model."""
        lang, id = self._lang(request), str(event._data.get("id", ""))
        try:
            if event._data.get("action") == "load":
                loading = self._panel.form.lenient(*values).loading
                self._context.chat.load(id, loading, base or None)
            elif event._data.get("action") == "unload":
                self._context.chat.unload(id)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return self._states.told(model or "", base or "", lang)

    def preset_chosen(self, request: gr.Request, name: str | None, *values: Any) -> list[Any]:
        """Set what a preset holds; a new name sets nothing until it is saved."""
        if name not in chat_settings.names(self._context.presets):
            return _skips(len(self._panel.outputs) - 1)
        try:
            preset = self._context.presets.get(str(name))
        except EasyTuneError as error:
            raise spoken(error, self._lang(request)) from error
        config = chat_settings.sampled(self._panel.form.lenient(*values), preset.sampling)
        return [preset.system, *self._panel.form.fill(config)]

    def preset_saved(self, request: gr.Request, name: str | None, system: str, *values: Any) -> Any:
        """Keep what is set under a name."""
        lang = self._lang(request)
        try:
            config = self._panel.form.parse(*values)
            self._context.presets.save(chat_settings.preset_of(name or "", system or "", config))
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        gr.Info(t("chat.preset_saved", lang, name=name), title="", duration=4)
        return gr.update(choices=chat_settings.names(self._context.presets), value=name)

    def preset_deleted(self, request: gr.Request, name: str | None) -> Any:
        """Delete the chosen preset."""
        lang = self._lang(request)
        try:
            self._context.presets.delete(name or "")
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        gr.Info(t("chat.preset_deleted", lang, name=name), title="", duration=4)
        return gr.update(choices=chat_settings.names(self._context.presets), value=None)

    def _picked(self, model: str, values: tuple[Any, ...]) -> list[Any]:
        """Return updates of the system prompt and the form for a newly chosen model."""
        try:
            sampling = self._context.chat.catalogue.defaults(model)
        except EasyTuneError:
            # The state below the picker says what is wrong with it.
            return _skips(len(self._panel.outputs) - 1)
        config = chat_settings.sampled(self._panel.form.lenient(*values), sampling)
        return [gr.skip(), *self._panel.form.fill(config)]

    def _settings(
        self, found: Conversation, chosen: dict[str, Any], values: tuple[Any, ...]
    ) -> list[Any]:
        config: GenerationConfig = self._panel.form.lenient(*values)
        config = chat_settings.sampled(config, found.sampling)
        return chat_settings.shown(self._panel, chosen, found.system, config)

    # --- what changed elsewhere ---------------------------------------------

    def ticked(
        self, request: gr.Request, shown: Shown | None, conversation: str, search: str,
        model: str | None, base: str | None,
    ) -> Any:  # fmt: skip
        """Answer the timer: the models, the list, and what other pages did here."""
        lang, before = self._lang(request), shown or {}
        now: Shown = {}
        found, told = (
            self.listed(request, search, conversation),
            self._states.told(model or "", base or "", lang),
        )
        updates = [
            found if _is_new("list", found, before, now) else gr.skip(),
            told if _is_new("models", told, before, now) else gr.skip(),
            *self._elsewhere(str(request.session_hash), conversation, before, now, lang),
        ]
        return gr.skip() if now == before else [now, *updates]

    def _elsewhere(
        self, page: str, conversation: str, before: Shown, now: Shown, lang: str
    ) -> list[Any]:
        """Return updates of the messages, the live answer and the warning."""
        taken_by = self._turns.taken_by(conversation)
        if taken_by == page:
            # This page is given the answer by the generator it began.
            now["messages"] = now["use"] = "own"
            return _skips(3)
        found = self._found(conversation)
        told = self._context_use(found, lang)
        use = told if _is_new("use", told, before, now) else gr.skip()
        stamp = [found.id, found.updated, taken_by] if found else []
        if not _is_new("messages", [lang, *stamp], before, now):
            return [gr.skip(), gr.skip(), use]
        live = chat_view.elsewhere(lang) if taken_by is not None else None
        return [self._messages(found, None, lang, is_busy=live is not None), live, use]

    # --- words --------------------------------------------------------------

    def _lang(self, request: gr.Request) -> str:
        return self._context.language_of(request)

    def _warn(self, text: str) -> None:
        gr.Warning(text.replace("&", "&amp;").replace("<", "&lt;"), title="", duration=8)


def _is_new(name: str, content: Any, before: Shown, now: Shown) -> bool:
    """Tell whether the page does not show this yet, and note that it will."""
    now[name] = f"{crc32(repr(content).encode()):08x}"
    return before.get(name) != now[name]


def _skips(count: int) -> list[Any]:
    return [gr.skip() for _ in range(count)]
