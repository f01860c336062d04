"""The table of rows: what was fixed, what was broken, and what can be done with such rows."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services.evaluation_pairs import Pairs
from easytune.webui import clicks
from easytune.webui import data_figures as figures
from easytune.webui.collecting import CollectHandlers, CollectPanel
from easytune.webui.context import Context
from easytune.webui.language import label
from easytune.webui.results_comparison import MOST_ENTRIES, comparison_of
from easytune.webui.results_flips_view import KINDS, table
from easytune.webui.results_names import Shown, difference_sentence, metric_name
from easytune.webui.results_rows import Choice, lines_of
from easytune.webui.spoken import sentence, spoken

SORTS = ("row", "worst", "best", "lowest", "highest")
_OPEN = "(id) => { if (id) easytune.compareOpen(id); return []; }"
Drawn = list[Any]


class FlipsPanel:
    """The components of the table."""

    def __init__(self) -> None:
        """Build the panel here in the layout."""
        self.place = gr.Textbox("0", visible="hidden", elem_id="results-place")
        self.compared = gr.Textbox("", visible="hidden", elem_id="results-compared")
        with gr.Column(elem_id="results-flips"):
            gr.Markdown(label("results.flips.title"), elem_classes=["results-title"])
            with gr.Row(elem_classes=["results-controls"]):
                self.set, self.metric = _choice("set"), _choice("metric")
                self.first, self.second = _choice("first"), _choice("second")
            with gr.Row(elem_classes=["results-controls"]):
                self._filters()
            self.told = gr.HTML("", apply_default_css=False, elem_id="results-flips-told")
            with gr.Row(elem_classes=["results-buttons"]):
                self._buttons()
            self.collect = CollectPanel("results-collect")
            self.table = gr.HTML(
                "", apply_default_css=False, elem_id="results-flips-table",
                js_on_load=figures.CLICKS,
            )  # fmt: skip

    def _filters(self) -> None:
        kinds = [(label(f"results.flips.show.{name}"), name) for name in ("all", *KINDS)]
        self.kind = gr.Dropdown(
            kinds, value="all", label=label("results.flips.show_name"), interactive=True,
            filterable=False, min_width=130, elem_id="results-kind",
        )  # fmt: skip
        self.search = gr.Textbox(
            "", label=label("results.flips.search"), max_lines=1, interactive=True, min_width=160,
            elem_id="results-search",
        )  # fmt: skip
        sorts = [(label(f"results.flips.sort.{name}"), name) for name in SORTS]
        self.sort = gr.Dropdown(
            sorts, value="row", label=label("results.flips.sort_name"), interactive=True,
            filterable=False, min_width=150, elem_id="results-sort",
        )  # fmt: skip

    def _buttons(self) -> None:
        self.keep = gr.Button(
            label("results.flips.keep_all"), size="sm", scale=0, min_width=200,
            elem_id="results-keep", elem_classes=["et-outlined"],
        )  # fmt: skip
        self.open = gr.Button(
            label("results.flips.compare_all"), size="sm", scale=0, min_width=160,
            elem_id="results-compare", elem_classes=["et-outlined"],
        )  # fmt: skip

    @property
    def choices(self) -> list[Any]:
        """Return the components that `offered` updates."""
        return [self.set, self.metric, self.first, self.second]

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `FlipsHandlers.drawn` updates."""
        return [self.place, self.told, self.table]

    @property
    def inputs(self) -> list[Any]:
        """Return what says which rows are wanted, in what order."""
        return [*self.choices, self.kind, self.search, self.sort]


class _Choice(gr.Dropdown):
    """A list whose value the handlers judge.

    Gradio refuses a value that the choices it sent last lack. Until they have arrived, the page
    holds one of the evaluation before, and what it asks for meanwhile would come to nothing.
    """

    is_template = True  # For the browser it is a Dropdown.

    def preprocess(self, payload: Any) -> Any:
        """Return what the page holds."""
        return payload


def _choice(name: str) -> gr.Dropdown:
    return _Choice(
        [], value=None, label=label(f"results.flips.{name}"), interactive=True, filterable=False,
        min_width=150, elem_id=f"results-{name}",
    )  # fmt: skip


Offer = tuple[list[tuple[str, Any]], Any]
"""The choices of a dropdown, and which of them is chosen."""


def offered(shown: Shown, scored: Sequence[str], *chosen: Any) -> list[Offer]:
    """Return what `FlipsPanel.choices` offer; what was chosen stays while there is such."""
    sets = [(one.title, place) for place, one in enumerate(shown.result.sets)]
    metrics = [(metric_name(n, shown.lang), n) for n in shown.metrics() if n in scored]
    models = [(shown.candidate(place), place) for place in range(len(shown.candidates))]
    last = len(models) - 1
    wanted = zip((sets, metrics, models, models), chosen, (0, 0, 0, min(1, last)), strict=True)
    return [_offer(choices, value, place) for choices, value, place in wanted]


def _offer(choices: Sequence[tuple[str, Any]], chosen: Any, place: int) -> Offer:
    known = [value for _, value in choices]
    value = chosen if chosen in known else known[place] if place < len(known) else None
    return list(choices), value


class FlipsHandlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._evaluations = context.evaluations
        self._pairs = Pairs(context.evaluations)
        self._collecting = CollectHandlers(context)

    def wire(self, panel: FlipsPanel, evaluation: gr.Textbox) -> None:
        """Connect the panel."""
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        now: dict[str, Any] = {"queue": False, **told}
        asked = [evaluation, *panel.inputs, panel.place]
        outputs = panel.outputs
        changes = [*(one.select for one in (*panel.choices, panel.kind, panel.sort))]
        gr.on(
            [*changes, panel.search.input], fn=self.again, inputs=asked, outputs=outputs, **now,
            trigger_mode="always_last",
        )  # fmt: skip
        # Queued: only then does Gradio show what an error says.
        panel.table.click(
            self.clicked, asked, [*outputs, panel.compared, *panel.collect.opened],
            **(told | clicks.EACH),
        )  # fmt: skip
        panel.keep.click(self.kept_all, asked, panel.collect.opened, trigger_mode="once", **told)
        panel.open.click(self.opened_all, asked, panel.compared, trigger_mode="once", **told)
        panel.compared.change(None, panel.compared, None, js=_OPEN)
        self._collecting.wire(panel.collect)

    def offered(
        self, request: gr.Request, shown: Shown, scored: Sequence[str], *values: Any
    ) -> Drawn:
        """Return updates of the choices, and the table that they ask for."""
        offers = offered(shown, scored, *values[:4])
        chosen = [value for _, value in offers]
        updates = [gr.update(choices=choices, value=value) for choices, value in offers]
        return [*updates, *self.drawn(request, shown.id, *chosen, *values[4:])]

    def nothing(self) -> Drawn:
        """Return updates for when there is nothing to choose from."""
        return [*(gr.update(choices=[], value=None) for _ in range(4)), "0", "", ""]

    def again(self, request: gr.Request, evaluation: str, *values: Any) -> Drawn:
        """Draw the table from its first page on, for other rows are wanted."""
        return self.drawn(request, evaluation, *values[:-1], "0")

    def drawn(self, request: gr.Request, evaluation: str, *values: Any) -> Drawn:
        """Return the page of rows that was asked for, and how many of each kind there are."""
        lang, choice = self._context.language_of(request), Choice.of(values[:-1])
        if not evaluation:
            return ["0", "", ""]
        if choice is None:
            return ["0", "", figures.empty(t("results.flips.no_scores", lang))]
        try:
            order = self._evaluations.story(evaluation).order
            found = lines_of(self._evaluations, evaluation, choice)
            differs = self._difference(evaluation, choice, lang)
        except EasyTuneError as error:
            return ["0", figures.notice(sentence(error, lang), "bad"), ""]
        if max(choice.first, choice.second) >= len(order.candidates):
            # Of the evaluation that was shown before; what this one offers is on its way.
            return ["0", "", ""]
        pair = dict.fromkeys((choice.first, choice.second))
        names = [order.candidates[place].title for place in pair]
        place = _within(values[-1], len(found.lines))
        said = "counts" if len(names) > 1 else "one_model"
        metric = metric_name(choice.metric, lang)
        told = t(f"results.flips.{said}", lang, metric=metric, model=names[0], **found.counts)
        if differs:
            said = t("results.flips.pair", lang, second=names[1], first=names[0], differs=differs)
            told = f"{told} {said}"
        drawn = table(found.lines, choice.metric, names, place, lang)
        return [str(place), figures.notice(told), drawn]

    def _difference(self, evaluation: str, choice: Choice, lang: str) -> str:
        """Return in words whether the difference between the two models could be luck."""
        if choice.first == choice.second:
            return ""
        asked = (choice.set, choice.metric, choice.first, choice.second)
        found = self._pairs.difference(evaluation, *asked)
        return difference_sentence(choice.metric, found, lang) if found is not None else ""

    def clicked(
        self, request: gr.Request, event: gr.EventData, evaluation: str, *values: Any
    ) -> Drawn:
        """Turn the page, or do with one row what was asked."""
        told = dict(event._data)
        nothing = [gr.skip() for _ in range(1 + len(self._untouched()))]
        match str(told.get("work", "")):
            case "page":
                turned = self.drawn(request, evaluation, *values[:-1], str(told.get("first", "0")))
                return [*turned, *nothing]
            case "keep":
                collected = self._collect(request, evaluation, [_number(told.get("row"))], values)
                return [gr.skip(), gr.skip(), gr.skip(), gr.skip(), *collected]
            case "compare":
                made = self._opened(request, evaluation, [_number(told.get("row"))])
                return [gr.skip(), gr.skip(), gr.skip(), made, *nothing[1:]]
        return [gr.skip(), gr.skip(), gr.skip(), *nothing]

    def kept_all(self, request: gr.Request, evaluation: str, *values: Any) -> Drawn:
        """Ask where all rows that the table holds shall be kept."""
        rows = self._rows(request, evaluation, values)
        return self._collect(request, evaluation, rows, values)

    def opened_all(self, request: gr.Request, evaluation: str, *values: Any) -> str:
        """Make a comparison of the rows that the table holds, and return its id."""
        return self._opened(request, evaluation, self._rows(request, evaluation, values))

    def _rows(self, request: gr.Request, evaluation: str, values: Sequence[Any]) -> list[int]:
        lang, choice = self._context.language_of(request), Choice.of(values[:-1])
        if not evaluation or choice is None:
            return []
        try:
            return [line.row for line in lines_of(self._evaluations, evaluation, choice).lines]
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def _collect(
        self, request: gr.Request, evaluation: str, rows: list[int], values: Sequence[Any]
    ) -> Drawn:
        choice = Choice.of(values[:-1])
        second = choice.second if choice is not None else 0
        gr.Info(t("results.flips.no_test", self._context.language_of(request)), title="")
        asked = {"evaluation": evaluation, "rows": rows, "candidate": second}
        return self._collecting.opened(request, asked)

    def _opened(self, request: gr.Request, evaluation: str, rows: list[int]) -> str:
        lang = self._context.language_of(request)
        if len(rows) > MOST_ENTRIES:
            gr.Info(t("results.flips.first_only", lang, rows=MOST_ENTRIES), title="", duration=6)
        try:
            made = comparison_of(self._evaluations, evaluation, rows[:MOST_ENTRIES])
            return self._context.comparisons.keep(made).id
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def _untouched(self) -> range:
        return range(6)


def _within(place: Any, count: int) -> int:
    """Return where the page begins, which is where there are rows."""
    first = _number(place)
    return first if first < count else 0


def _number(value: Any) -> int:
    text = str(value)
    return int(text) if text.isdigit() else 0
