"""The Chat tab: conversations on the left, the chosen one in the middle, the model on the right."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from easytune.webui import chat_settings, clicks
from easytune.webui.chat_events import Handlers
from easytune.webui.chat_settings import SettingsPanel
from easytune.webui.collecting import CollectHandlers, CollectPanel
from easytune.webui.context import Context
from easytune.webui.language import label

TICK_SECONDS = 1.0
ANSWERS_AT_ONCE = 40
_DRAW = "easytune.chat.mount('{kind}', element, props, watch, trigger)"
_ENTERING = "(...held) => easytune.chat.entering(held)"
# A base was chosen for one adapter only.
_OWN_BASE = "() => ''"
_REMEMBER = "(id) => easytune.chat.remember(id)"
_SAVE = "(file) => { if (file) easytune.saveFile(file.name, file.text); return []; }"


@dataclass(frozen=True)
class ChatTab:
    """What the page needs of the tab."""

    timer: gr.Timer


def build(context: Context, tab: gr.Tab) -> ChatTab:
    """Build the tab in the Blocks that are open."""
    page = _Page()
    _wire(page, Handlers(context, page.settings), tab)
    _wire_collecting(page, CollectHandlers(context))
    return ChatTab(page.timer)


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the tab."""

    def __init__(self) -> None:
        hidden: dict[str, Any] = {"visible": "hidden"}
        self.conversation = gr.Textbox("", elem_id="chat-conversation", **hidden)
        self.wanted = gr.Textbox("", elem_id="chat-wanted", **hidden)
        self.kind = gr.Textbox("", elem_id="chat-kind", **hidden)
        self.shown = gr.JSON(None, elem_id="chat-shown", **hidden)
        self.file = gr.JSON(None, elem_id="chat-file", **hidden)
        self.timer = gr.Timer(TICK_SECONDS, active=False)
        with gr.Row(elem_classes=["et-chat"], elem_id="chat"):
            with gr.Column(scale=0, min_width=0, elem_id="chat-side"):
                self._side()
            with gr.Column(scale=1, min_width=0, elem_id="chat-main"):
                self._main()
            with gr.Column(scale=0, min_width=0, elem_id="chat-right"):
                self.settings: SettingsPanel = chat_settings.build()

    def _side(self) -> None:
        import_text: Any = label("chat.import")
        self.new = gr.Button(label("chat.new"), elem_id="chat-new", elem_classes=["et-outlined"])
        self.search = gr.Textbox(
            "", placeholder=label("chat.search"), show_label=False, container=False,
            elem_id="chat-search",
        )  # fmt: skip
        self.list = self._drawn("list", "chat-list")
        self.upload = gr.UploadButton(
            import_text, size="sm", elem_id="chat-import", elem_classes=["et-outlined"],
            file_types=[".json", ".jsonl"],
        )  # fmt: skip

    def _main(self) -> None:
        self.bar = self._drawn("bar", "chat-bar")
        with gr.Column(elem_id="chat-scroll"):
            self.messages = self._drawn("messages", "chat-messages")
            self.live = self._drawn("live", "chat-live")
        self.collecting = CollectPanel("chat-collect")
        self.use = gr.HTML("", elem_id="chat-use", apply_default_css=False)
        with gr.Row(elem_id="chat-composer"):
            self.text = gr.Textbox(
                "", placeholder=label("chat.composer"), show_label=False, container=False, lines=1,
                max_lines=10, max_length=1_000_000, elem_id="chat-text", scale=1,
            )  # fmt: skip
            self.send = gr.Button(
                label("chat.send"), variant="primary", elem_id="chat-send", scale=0, min_width=90
            )
            self.stop = gr.Button(
                label("chat.stop"), variant="stop", elem_id="chat-stop", scale=0, min_width=90
            )

    @staticmethod
    def _drawn(kind: str, elem_id: str) -> gr.HTML:
        return gr.HTML(
            None, html_template='<div class="et-slot"></div>', js_on_load=_DRAW.format(kind=kind),
            apply_default_css=False, elem_id=elem_id,
        )  # fmt: skip


# --- wiring -----------------------------------------------------------------


def _wire_collecting(page: _Page, collect: CollectHandlers) -> None:
    """Let an answer, or a whole conversation, be kept as rows of a dataset."""
    told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def answer(request: gr.Request, event: gr.EventData, conversation: str) -> list[Any]:
        message = event._data.get("message")
        return collect.opened(request, {"conversation": conversation, "message": message})

    def whole(request: gr.Request, event: gr.EventData) -> list[Any]:
        return collect.opened(request, {"conversation": str(event._data.get("id", ""))})

    page.messages.like(answer, page.conversation, page.collecting.opened, **told)
    page.list.submit(whole, None, page.collecting.opened, **told)
    collect.wire(page.collecting)


def _wire(page: _Page, on: Handlers, tab: gr.Tab) -> None:
    side, form = page.settings, page.settings.form
    # What goes past the queue is quicker, but what it raises or tells is not shown.
    told: dict[str, Any] = {
        "show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last",
        "concurrency_limit": ANSWERS_AT_ONCE,
    }  # fmt: skip
    now: dict[str, Any] = {**told, "queue": False}
    once: dict[str, Any] = {**told, "trigger_mode": "once"}
    drawn = [page.messages, page.live, page.use]
    listed: dict[str, Any] = {
        "fn": on.listed, "inputs": [page.search, page.conversation], "outputs": page.list, **now,
    }  # fmt: skip
    looked: dict[str, Any] = {
        "fn": on.ticked,
        "inputs": [page.shown, page.conversation, page.search, side.model, side.base],
        "outputs": [page.shown, page.list, side.state, *drawn], **now,
    }  # fmt: skip

    begun = [page.conversation, page.messages, page.live, page.text, page.kind]
    begins = [
        gr.on([page.text.submit, page.send.click], on.sent,
              [page.conversation, page.text, *side.inputs], begun, **once),
        page.messages.submit(on.acted, [page.conversation, *side.inputs], begun, **once),
    ]  # fmt: skip
    answers: list[Any] = [
        # One output: Gradio looks at every output of an event for each of its yields.
        begin.success(
            on.answered, [page.conversation, page.kind, side.base, *form.inputs], page.live,
            **{**once, "concurrency_id": "answers"},
        ) for begin in begins
    ]  # fmt: skip
    for answer in answers:
        answer.then(on.ended, page.conversation, drawn, **now).then(**looked)
    page.stop.click(on.stopped, page.conversation, **now)
    page.messages.input(on.undone, page.conversation, [page.messages, page.live, page.text], **told)
    page.conversation.change(None, page.conversation, js=_REMEMBER).then(**listed)

    page.list.select(
        on.selected,
        form.inputs,
        [page.conversation, *drawn, *side.outputs],
        cancels=answers,
        **(told | clicks.EACH),
    )
    page.new.click(on.begun, None, [page.conversation, *drawn], cancels=answers, **now)
    page.list.input(
        on.managed,
        page.conversation,
        [page.conversation, *drawn, page.file],
        **(told | clicks.EACH),
    ).then(**listed)
    page.file.change(None, page.file, js=_SAVE)
    page.upload.upload(on.imported, page.upload, None, **told).then(**listed)
    page.search.input(**listed)

    side.model.input(on.chosen, [side.model, *form.inputs], side.outputs, **now).then(**looked)
    side.model.change(None, None, side.base, js=_OWN_BASE, queue=False, api_visibility="private")
    side.base.input(on.based, side.base, side.base, **now).then(**looked)
    side.state.click(on.clicked, [side.model, side.base, *form.inputs], side.state, **told)
    side.preset.input(on.preset_chosen, [side.preset, *form.inputs], side.outputs[1:], **told)
    side.save.click(on.preset_saved, [side.preset, side.system, *form.inputs], side.preset, **told)
    side.delete.click(on.preset_deleted, side.preset, side.preset, **told)

    page.timer.tick(**looked)
    tab.select(
        on.entered, [page.conversation, page.wanted, side.model, side.system, *form.inputs],
        [page.conversation, page.wanted, *drawn, *side.outputs, side.preset, side.base],
        js=_ENTERING, **now,
    ).then(**looked)  # fmt: skip
