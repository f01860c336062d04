"""A small form that keeps what was said or judged in the app as rows of a dataset."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import gradio as gr

from easytune.data.versions.library import Library
from easytune.data.versions.manifest import VersionFacts
from easytune.dataset_errors import NothingToCollect
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.inference_errors import MessageMissing
from easytune.services.conversation import Conversation
from easytune.webui.context import Context
from easytune.webui.language import button_update, label
from easytune.webui.results_conversations import answer_of, asked_of, conversations_of
from easytune.webui.spoken import spoken

Asked = Mapping[str, Any]
"""What to keep: `{"conversation": id}`, with `message` one answer of it, or `{"votes": id}`.

Or `{"evaluation": id, "rows": [...], "candidate": place}`: test rows with their references; a row
without one is kept with what the candidate has answered.
"""


class Target(Protocol):
    """Keeps rows in a dataset that there is, or in a new one called `title`."""

    def __call__(self, *, dataset: str | None, title: str) -> VersionFacts:
        """Return the new version."""
        ...


class CollectPanel:
    """The form. It is not seen until something was asked to be kept."""

    def __init__(self, name: str) -> None:
        """Build the form here in the layout; `name` begins the ids of its parts."""
        self.asked = gr.JSON(None, visible="hidden", elem_id=f"{name}-asked")
        with gr.Group(visible=False, elem_id=name, elem_classes=["et-collect"]) as self.box:
            self.answer = gr.Textbox(
                "", label=label("data.collect.answer"), info=label("data.collect.correct"),
                lines=3, max_lines=12, max_length=1_000_000, visible=False, interactive=True,
                elem_id=f"{name}-answer",
            )  # fmt: skip
            self.dataset = gr.Dropdown(
                [], value=None, label=label("data.collect.dataset"), allow_custom_value=True,
                info=label("data.collect.dataset_help"), interactive=True,
                elem_id=f"{name}-dataset",
            )  # fmt: skip
            with gr.Row(elem_classes=["et-row"]):
                self.leave = gr.Button(label("data.collect.leave"), size="sm")
                self.keep = gr.Button(
                    label("data.collect.keep"), variant="primary", size="sm",
                    elem_id=f"{name}-keep",
                )  # fmt: skip

    @property
    def opened(self) -> list[Any]:
        """Return the components that `CollectHandlers.opened` updates."""
        return [self.asked, self.box, self.answer, self.dataset, self.leave, self.keep]


class CollectHandlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._datasets = context.datasets

    def wire(self, panel: CollectPanel) -> None:
        """Connect the buttons of the form."""
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        panel.keep.click(
            self.kept, [panel.asked, panel.answer, panel.dataset], panel.box,
            trigger_mode="once", **told,
        )  # fmt: skip
        panel.leave.click(lambda: gr.update(visible=False), None, panel.box, queue=False, **told)

    def opened(self, request: gr.Request, asked: Asked) -> list[Any]:
        """Open the form for something to keep. Raises the message of what stands in the way."""
        try:
            answer = self._answer(asked)
            found = self._datasets.library.list()
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error
        choices = [(one.title, one.id) for one in found]
        return [
            dict(asked),
            gr.update(visible=True),
            gr.update(value=answer or "", visible=answer is not None),
            gr.update(choices=choices, value=choices[0][1] if choices else None),
            button_update("data.collect.leave", True),
            button_update("data.collect.keep", True),
        ]

    def kept(
        self, request: gr.Request, asked: Asked | None, answer: str, dataset: str | None
    ) -> dict[str, Any]:
        """Keep it, say where, and close the form."""
        lang, name = self._context.language_of(request), (dataset or "").strip()
        if not asked:
            return gr.update(visible=False)
        if not name:
            gr.Warning(t("data.collect.name", lang), title="")
            return gr.skip()
        try:
            known, title = _chosen(name, self._datasets.library)
            made = self._target(asked, answer)(dataset=known, title=title)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        values = {"number": made.number, "rows": f"{made.rows:,}"}
        said = t("data.collect.kept", lang, title=made.title or made.dataset, **values)
        gr.Info(said.replace("&", "&amp;").replace("<", "&lt;"), title="", duration=6)
        return gr.update(visible=False)

    def _answer(self, asked: Asked) -> str | None:
        """Return the answer that can be corrected; None where it is not about one."""
        if "evaluation" in asked:
            rows = self._test_rows(asked)
            return answer_of(rows[0]) if len(rows) == 1 else None
        if "message" not in asked:
            return None
        messages = _up_to(self._conversation(asked), asked["message"])
        return str(messages[-1]["content"])

    def _target(self, asked: Asked, answer: str) -> Target:
        datasets, context = self._datasets, self._context
        if "votes" in asked:
            return _with(datasets.from_votes, context.votes, str(asked["votes"]))
        if "evaluation" in asked:
            rows = self._test_rows(asked)
            corrected = [[*asked_of(rows[0]), {"role": "assistant", "content": answer}]]
            return _with(datasets.from_corrections, corrected if len(rows) == 1 else rows)
        if "message" not in asked:
            ids = [str(asked["conversation"])]
            return _with(datasets.from_conversations, context.conversations, ids)
        messages = _up_to(self._conversation(asked), asked["message"])
        return _with(datasets.from_correction, [*messages[:-1], messages[-1] | {"content": answer}])

    def _test_rows(self, asked: Asked) -> list[list[dict[str, str]]]:
        """Return the rows of an evaluation that have an answer. Raises NothingToCollect."""
        evaluations, evaluation = self._context.evaluations, str(asked["evaluation"])
        places = [int(row) for row in asked["rows"]]
        found = conversations_of(evaluations, evaluation, places, int(asked["candidate"]))
        if not found:
            raise NothingToCollect("@results.flips.rows_wanted")
        return found

    def _conversation(self, asked: Asked) -> Conversation:
        return self._context.conversations.get(str(asked["conversation"]))


def _with(keep: Callable[..., VersionFacts], *what: Any) -> Target:
    def target(*, dataset: str | None, title: str) -> VersionFacts:
        return keep(*what, dataset=dataset, title=title)

    return target


def _up_to(conversation: Conversation, message: Any) -> list[dict[str, Any]]:
    """Return the turns up to one answer, with the system prompt. Raises MessageMissing."""
    places = [place for place, one in enumerate(conversation.messages) if one.id == message]
    if not places:
        raise MessageMissing(conversation.id)
    turns = [{"role": "system", "content": conversation.system}] if conversation.system else []
    said = conversation.messages[: places[0] + 1]
    # An answer that failed says nothing.
    return turns + [{"role": one.role, "content": one.content} for one in said if one.content]


def _chosen(name: str, library: Library) -> tuple[str | None, str]:
    """Return the id of the dataset that is meant, or None and the title of a new one."""
    known = library.list()
    found = next((one for one in known if one.id == name), None)
    found = found or next((one for one in known if one.title == name), None)
    return (found.id, "") if found else (None, name)
