"""The rows of a dataset: search, filters, pages, one row in full, and changes until they are saved.

Changes wait in the page, by version, until they become a version of their own together.
"""

from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from easytune.data.stored import StoredRow
from easytune.data.versions.edits import Drop, Replace
from easytune.data.versions.search import Filter
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.webui import data_looked, data_problems, data_row, data_table_view
from easytune.webui.context import Context
from easytune.webui.data_looked import Looked
from easytune.webui.data_table_view import PAGE, Edit
from easytune.webui.language import label
from easytune.webui.spoken import sentence, spoken

SHOWN = ("all", "usable", "any", "train", "held_out", "duplicates")
ROLES = ("system", "user", "assistant", "tool")
LANGUAGES = {
    "en": "English", "zh": "中文", "ja": "日本語", "ko": "한국어", "ru": "Русский", "de": "Deutsch",
    "fr": "Français", "es": "Español", "pt": "Português", "it": "Italiano", "ar": "العربية",
}  # fmt: skip
Pending = dict[str, dict[str, Edit]]
"""Changes that are not saved: version -> position -> change."""
_CLICKS = "easytune.dataClicks(element, trigger);"
_ROW = "easytune.dataRow(element, props, watch, trigger);"


class RowsPanel:
    """The components, and their wiring."""

    def __init__(self, context: Context, chosen: gr.Textbox, author: gr.Textbox) -> None:
        """Build the panel here; `chosen` names what is looked at: "house-style@3", "demo/style"."""
        self.chosen, self.author = chosen, author
        hidden: dict[str, Any] = {"visible": "hidden"}
        self.page = gr.Textbox("1", elem_id="data-page", **hidden)
        self.place = gr.Textbox("", elem_id="data-place", **hidden)
        self.problem = gr.Textbox("", elem_id="data-problem", **hidden)
        self.pending = gr.JSON({}, elem_id="data-pending", **hidden)
        self.problems = self._html("data-problems", _CLICKS)
        with gr.Row(elem_id="data-filters"):
            self._filters()
        more = gr.Accordion(label("datasets.filter.more"), open=False, elem_id="data-more-filters")
        with more, gr.Row(elem_classes=["et-form-grid"]):
            self._more_filters()
        with gr.Row(elem_id="data-body"):
            with gr.Column(elem_id="data-table-side", min_width=0):
                self.table = self._html("data-table", _CLICKS)
                self.pager = self._html("data-pager", _CLICKS)
            self.row = gr.HTML(
                None, html_template='<div class="et-slot"></div>', js_on_load=_ROW,
                apply_default_css=False, elem_id="data-row",
            )  # fmt: skip
        with gr.Row(elem_id="data-save", elem_classes=["data-hidden"]) as self.bar:
            self._saving()
        self._on = _Handlers(context)

    @staticmethod
    def _html(elem_id: str, script: str) -> gr.HTML:
        return gr.HTML("", elem_id=elem_id, js_on_load=script, apply_default_css=False)

    def _filters(self) -> None:
        bare: dict[str, Any] = {"show_label": False, "container": False, "min_width": 120}
        self.search = gr.Textbox(
            "", label=label("datasets.filter.search"), placeholder=label("datasets.filter.search"),
            scale=3, elem_id="data-search", **bare,
        )  # fmt: skip
        shown: list[Any] = [(label(f"datasets.filter.show.{name}"), name) for name in SHOWN]
        self.show = gr.Dropdown(
            shown, value="all", label=label("datasets.filter.which"), filterable=False, scale=1,
            elem_id="data-show", **bare,
        )  # fmt: skip

    def _more_filters(self) -> None:
        anything: list[Any] = [(label("datasets.filter.any"), "")]
        roles: list[Any] = [(label(f"datasets.role.{role}"), role) for role in ROLES]
        languages: list[Any] = [(name, code) for code, name in LANGUAGES.items()]
        self.role = gr.Dropdown(
            anything + roles, value="", label=label("datasets.filter.role"), filterable=False,
            elem_id="data-role",
        )  # fmt: skip
        self.language = gr.Dropdown(
            anything + languages, value="", label=label("datasets.filter.language"),
            filterable=False, elem_id="data-language",
        )  # fmt: skip
        # Not gr.Number: an empty one becomes 0 when it is drawn.
        self.shortest, self.longest = (
            gr.Textbox("", label=label(f"datasets.filter.{name}"), elem_id=f"data-{name}")
            for name in ("shortest", "longest")
        )
        self.regex = gr.Checkbox(
            False, label=label("datasets.filter.regex"), info=label("datasets.filter.regex_help"),
            elem_id="data-regex",
        )  # fmt: skip

    def _saving(self) -> None:
        small: dict[str, Any] = {"scale": 0, "min_width": 110}
        self.summary = gr.HTML("", elem_id="data-save-summary", apply_default_css=False)
        self.note = gr.Textbox(
            "", placeholder=label("datasets.save.note"), label=label("datasets.save.note"),
            show_label=False, container=False, max_lines=1, elem_id="data-save-note", scale=1,
            min_width=140,
        )  # fmt: skip
        self.discard = gr.Button(
            label("datasets.save.discard"), elem_id="data-save-discard", **small
        )
        self.save = gr.Button(
            label("datasets.save.save"), variant="primary", elem_id="data-save-now", **small
        )

    @property
    def filters(self) -> list[Any]:
        """Return what narrows the rows, in the order of the fields of `_Wanted`."""
        return [
            self.search, self.regex, self.show, self.role, self.language, self.shortest,
            self.longest, self.problem,
        ]  # fmt: skip

    @property
    def _drawn(self) -> list[Any]:
        return [
            self.problems, self.table, self.pager, self.page, self.row, self.bar, self.summary,
        ]  # fmt: skip

    def wire(self, refreshing: list[Any]) -> dict[str, Any]:
        """Connect everything; after `refreshing` events all is drawn again.

        Returns the event that draws it.
        """
        on = self._on
        # Queued: only then does Gradio show what an error says.
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        last: dict[str, Any] = {**told, "trigger_mode": "always_last"}
        state = [self.chosen, self.page, self.place, self.pending, *self.filters]
        look: dict[str, Any] = {
            "fn": on.look, "inputs": state, "outputs": self._drawn, "queue": False, **last,
        }  # fmt: skip
        moved = [self.page, self.place]
        gr.on(
            [field.change for field in self.filters], lambda: ["1", ""], None, moved,
            queue=False, **last,
        ).then(**look)  # fmt: skip
        gr.on(refreshing, **look)
        acted: dict[str, Any] = {
            "inputs": [*state, self.author], "queue": True, **told,
            "outputs": [self.chosen, self.page, self.place, self.pending, self.problem],
        }  # fmt: skip
        for part in (self.problems, self.table, self.pager, self.row):
            part.click(on.acted, **acted).then(**look)
        self.save.click(
            on.saved, [self.chosen, self.pending, self.author, self.note],
            [self.chosen, self.pending, self.place, self.note], **told,
        ).then(**look)  # fmt: skip
        self.discard.click(
            on.discarded, [self.chosen, self.pending], self.pending, queue=False, **told
        ).then(**look)
        return look


@dataclass(frozen=True)
class _Wanted:
    """What the filters hold."""

    search: str
    regex: bool
    show: str
    role: str
    language: str
    shortest: str
    longest: str
    problem: str

    def filter(self) -> Filter:
        """Return the filter; a length that is no number does not narrow."""
        problem = {"usable": "none", "any": "any"}.get(self.show)
        return Filter(
            text=self.search or "",
            regex=bool(self.regex),
            role=self.role or "",
            min_length=_length(self.shortest),
            max_length=_length(self.longest),
            language=self.language or "",
            problem=self.problem or problem,
            held_out={"train": False, "held_out": True}.get(self.show),
            duplicates=True if self.show == "duplicates" else None,
        )


class _Handlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._library = context.datasets.library

    def look(
        self, request: gr.Request, chosen: str, page: str, place: str, pending: Pending | None,
        *filters: Any,
    ) -> list[Any]:  # fmt: skip
        """Draw the page of rows, and the row that is open."""
        lang, wanted = self._context.language_of(request), _Wanted(*filters)
        edits = (pending or {}).get(chosen, {})
        try:
            looked = data_looked.look(self._library, chosen)
            if looked is None:
                return ["", "", "", "1", None, *_bar({}, lang)]
            if not looked.problems:
                # They are mended, and so is what the table was narrowed to.
                wanted = replace(wanted, problem="")
            parts = self._parts(looked, wanted, page, place, edits, lang)
            row = self._row(looked, wanted, place, edits, lang)
        except EasyTuneError as error:
            said = data_table_view.message(sentence(error, lang))
            return ["", said, "", "1", None, *_bar(edits, lang)]
        return [*parts, row, *_bar(edits, lang)]

    def _parts(
        self, looked: Looked, wanted: _Wanted, page: str, place: str, edits: dict[str, Edit],
        lang: str,
    ) -> list[Any]:  # fmt: skip
        number = max(1, _length(page) or 1)
        found = looked.find(wanted.filter(), (number - 1) * PAGE, PAGE)
        if not found.rows and found.total:
            number = data_table_view.pages(found.total)
            found = looked.find(wanted.filter(), (number - 1) * PAGE, PAGE)
        searched = "" if wanted.regex else wanted.search or ""
        first = (number - 1) * PAGE
        chosen = wanted.problem or ("any" if wanted.show == "any" else "")
        return [
            data_problems.draw(looked, chosen, lang),
            data_table_view.table(looked, found, first, searched, edits, place, lang),
            data_table_view.pager(found.total, looked.rows, number, lang),
            str(number),
        ]

    def _row(
        self, looked: Looked, wanted: _Wanted, place: str, edits: dict[str, Edit], lang: str
    ) -> Any:
        at = _length(place)
        if at is None:
            return None
        found = looked.find(wanted.filter(), at, 1)
        if not found.rows:
            return None
        row = found.rows[0]
        return data_row.draw(looked, row, at, found.total, edits.get(str(row.position)), lang)

    def acted(
        self, request: gr.Request, event: gr.EventData, chosen: str, page: str, place: str,
        pending: Pending | None, *values: Any,
    ) -> list[Any]:  # fmt: skip
        """Open, close, mend or drop a row; turn the page; act on all problems."""
        clicked = {str(name): value for name, value in event._data.items()}
        wanted, author = _Wanted(*values[:-1]), str(values[-1] or "")
        lang = self._context.language_of(request)
        same = [gr.skip() for _ in range(5)]
        try:
            match clicked.get("act"):
                case "page":
                    return [gr.skip(), str(clicked.get("page")), "", gr.skip(), gr.skip()]
                case "row":
                    at = _length(clicked.get("place"))
                    turned = page if at is None else str(at // PAGE + 1)
                    return [gr.skip(), turned, "" if at is None else str(at), *same[:2]]
                case "problem":
                    code = str(clicked.get("code", ""))
                    return [*same[:4], "" if code == wanted.problem else code]
                case "drop_problems":
                    return self._without_problems(chosen, author, lang)
                case "keep" | "drop" | "undo" as act:
                    edits = self._edited(chosen, act, clicked, pending or {})
                    return [*same[:3], edits, gr.skip()]
                case _:
                    return same
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def _edited(self, chosen: str, act: str, clicked: dict[str, Any], pending: Pending) -> Pending:
        position = _length(clicked.get("position"))
        looked = data_looked.look(self._library, chosen)
        if looked is None or looked.facts is None or position is None:
            return pending
        key, edits = str(position), dict(pending.get(chosen, {}))
        match act:
            case "drop":
                edits[key] = {"drop": True}
            case "undo":
                edits.pop(key, None)
            case _:
                row = self._stored(looked, position)
                text = data_row.apply(
                    data_table_view.changed(row, edits.get(key)),
                    clicked.get("changes"), clicked.get("raw"),
                )  # fmt: skip
                edits[key] = {"text": text}
                if text == row.text:
                    edits.pop(key)
        return {**pending, chosen: edits}

    def _stored(self, looked: Looked, position: int) -> StoredRow:
        assert looked.facts is not None
        return self._library.open(looked.facts.dataset, looked.facts.number).row(position)

    def _without_problems(self, chosen: str, author: str, lang: str) -> list[Any]:
        reference = data_looked.parse(chosen)
        if reference is None:
            return [gr.skip() for _ in range(5)]
        before = self._library.version(reference.id, reference.number)
        made = self._library.drop_problems(
            reference.id, reference.number, author,
            t("datasets.problems.drop_note", lang, rows=before.problems),
        )  # fmt: skip
        _tell(t("datasets.problems.dropped", lang, rows=f"{before.problems:,}", number=made.number,
                before=before.number))  # fmt: skip
        return [f"{made.dataset}@{made.number}", "1", "", gr.skip(), ""]

    def saved(
        self, request: gr.Request, chosen: str, pending: Pending | None, author: str, note: str
    ) -> list[Any]:
        """Make a version of the changes."""
        lang, pending = self._context.language_of(request), pending or {}
        reference, edits = data_looked.parse(chosen), pending.get(chosen, {})
        if reference is None or not edits:
            return [gr.skip() for _ in range(4)]
        asked = [
            Drop(int(position)) if edit.get("drop") else Replace(int(position), str(edit["text"]))
            for position, edit in edits.items()
        ]
        try:
            made = self._library.edit(
                reference.id, asked, reference.number, author or "", note or ""
            )
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        _tell(t("datasets.save.saved", lang, number=made.number, before=reference.number))
        left = {name: changes for name, changes in pending.items() if name != chosen}
        return [f"{made.dataset}@{made.number}", left, "", ""]

    def discarded(self, chosen: str, pending: Pending | None) -> Pending:
        """Forget the changes of what is looked at."""
        return {name: edits for name, edits in (pending or {}).items() if name != chosen}


def _bar(edits: dict[str, Edit], lang: str) -> list[Any]:
    """Return updates of the bar that saves: hidden while there is nothing to save."""
    dropped = sum(bool(edit.get("drop")) for edit in edits.values())
    said = [
        t(f"datasets.save.{name}", lang, count=count)
        for name, count in (("mended", len(edits) - dropped), ("dropped", dropped)) if count
    ]  # fmt: skip
    hidden = [] if edits else ["data-hidden"]
    summary = f"<b>{escape(t('datasets.save.title', lang))}</b> {escape(', '.join(said))}"
    return [gr.update(elem_classes=hidden), f"<span>{summary}</span>"]


def _length(text: Any) -> int | None:
    """Return a whole number from what a field holds, None when it holds none."""
    said = str(text if text is not None else "").strip().replace(",", "")
    return int(said) if said.isdecimal() and len(said) < 16 else None


def _tell(text: str) -> None:
    gr.Info(escape(text, quote=False), title="", duration=5)
