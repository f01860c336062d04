"""The leak check: rows of one set that another set has too, or nearly."""

from typing import Any

import gradio as gr

from easytune.data.stored import PREFIX, Reference
from easytune.data.tasks import Part
from easytune.data.versions.manifest import VersionFacts
from easytune.data.versions.rows import Rows
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services.data_tasks import TaskStory
from easytune.webui import clicks
from easytune.webui import data_figures as figures
from easytune.webui import data_leaks_view as view
from easytune.webui.context import Context
from easytune.webui.data_figures import reference_of
from easytune.webui.data_job import JobPanel
from easytune.webui.language import label
from easytune.webui.spoken import sentence, spoken

PARTS: tuple[Part, ...] = ("train", "held_out")
THRESHOLD = 0.8
Place = dict[str, Any]


def build(
    context: Context, selected: gr.Textbox, tab: gr.Tab, jobs: JobPanel, box: gr.Accordion
) -> None:
    """Lay out the check inside `box`, which lies in `tab`, and wire it.

    `selected` holds the version ("name@3"), whose two parts are the sets to begin with.
    """
    page = _Page()
    on = _Handlers(context)
    told: dict[str, Any] = {
        "show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last",
    }  # fmt: skip
    now: dict[str, Any] = {"queue": False, **told}
    sets = [page.a, page.b]
    offered: dict[str, Any] = {
        "fn": on.offered, "inputs": [selected, *sets], "outputs": sets, **now,
    }  # fmt: skip
    drawn: dict[str, Any] = {
        "fn": on.shown, "inputs": [*sets, page.threshold, page.place],
        "outputs": [page.place, page.shown], **now,
    }  # fmt: skip
    visible: dict[str, Any] = {"js": figures.if_shown("data-leaks")}

    for event in (tab.select(**offered), box.expand(**offered)):
        event.then(**drawn)
    selected.change(**offered, **visible).then(**drawn)
    page.check.click(
        on.checked, [*sets, page.threshold], jobs.task_id, **{**told, "trigger_mode": "once"}
    ).then(**drawn)
    gr.on([jobs.finished.change, *(one.input for one in sets), page.relabel.click], **drawn)
    page.shown.click(
        on.turned, [*sets, page.threshold, page.place], [page.place, page.shown],
        **(now | clicks.ONE_BY_ONE),
    )  # fmt: skip


class _Page:
    """The components of the check."""

    def __init__(self) -> None:
        self.place = gr.JSON(None, visible="hidden", elem_id="data-leaks-place")
        with gr.Column(elem_id="data-leaks", elem_classes=["work"]):
            gr.Markdown(label("dataset_work.leaks.help"), elem_classes=["work-help"])
            with gr.Row(elem_classes=["work-choices"]):
                self.a, self.b = _set("a"), _set("b")
                self.threshold = gr.Slider(
                    0.5, 1.0, THRESHOLD, step=0.05, label=label("dataset_work.leaks.threshold"),
                    interactive=True, min_width=150, scale=1, elem_id="leaks-threshold",
                )  # fmt: skip
                self.check = gr.Button(
                    label("dataset_work.leaks.check"), variant="primary", scale=0, min_width=110,
                    elem_id="leaks-check",
                )  # fmt: skip
            self.shown = gr.HTML(
                "", elem_id="leaks-part", apply_default_css=False, js_on_load=figures.CLICKS
            )
            self.relabel = gr.Button("", elem_classes=["work-relabel"])


def _set(name: str) -> gr.Dropdown:
    return gr.Dropdown(
        [], value=None, label=label(f"dataset_work.leaks.{name}"), interactive=True, scale=2,
        min_width=170, elem_id=f"leaks-{name}",
    )  # fmt: skip


class _Handlers:
    """From values to updates, with one call to a service between."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._datasets = context.datasets
        self._library = context.datasets.library

    def offered(
        self, request: gr.Request, selected: str | None, a: str | None, b: str | None
    ) -> list[Any]:
        """Offer all sets; of a version somebody just came to, its two parts are chosen."""
        reference, lang = reference_of(selected), self._context.language_of(request)
        if reference is None:
            return [gr.skip(), gr.skip()]
        try:
            versions = self._library.versions(reference.id)
            others = [one.current for one in self._library.list() if one.id != reference.id]
        except EasyTuneError:
            return [gr.skip(), gr.skip()]
        choices = [choice for facts in [*versions, *others] for choice in _choices(facts, lang)]
        known = {name for _, name in choices}
        if a in known and b in known and str(a).startswith(f"{selected}"):
            return [gr.update(choices=choices), gr.update(choices=choices)]
        first = f"{selected} train" if f"{selected} train" in known else f"{selected}"
        second = f"{selected} held_out" if f"{selected} held_out" in known else None
        return [gr.update(choices=choices, value=first), gr.update(choices=choices, value=second)]

    def checked(self, request: gr.Request, a: str | None, b: str | None, threshold: float) -> Any:
        """Begin to look, and return the id of the task."""
        lang = self._context.language_of(request)
        sides = _sides(a, b)
        if sides is None:
            said = t("dataset_work.leaks.choose", lang)
            gr.Warning(said, title=t("dataset_work.leaks.title", lang))
            return gr.skip()
        (first, part_a), (second, part_b) = sides
        try:
            return self._datasets.leaks(
                first, second, _share(threshold), part_a=part_a, part_b=part_b
            )
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def shown(
        self, request: gr.Request, a: str | None, b: str | None, threshold: float,
        place: Place | None,
    ) -> list[Any]:  # fmt: skip
        """Show what the last check of these two sets has found."""
        return self._drawn(request, a, b, threshold, place or {"kind": "exact", "first": 0})

    def turned(
        self, request: gr.Request, event: gr.EventData, a: str | None, b: str | None,
        threshold: float, place: Place | None,
    ) -> list[Any]:  # fmt: skip
        """Show another page of pairs, or the other kind."""
        told = dict(event._data)
        kind = str(told.get("kind", (place or {}).get("kind", "exact")))
        first = str(told.get("first", "0"))
        turned = {
            "kind": kind if kind in view.KINDS else "exact",
            "first": int(first) if first.isdigit() else 0,
        }
        return self._drawn(request, a, b, threshold, turned)

    def _drawn(
        self, request: gr.Request, a: str | None, b: str | None, threshold: float, place: Place
    ) -> list[Any]:
        lang, sides = self._context.language_of(request), _sides(a, b)
        if sides is None:
            return [place, figures.empty(t("dataset_work.leaks.choose", lang))]
        story = self._story(sides, _share(threshold))
        if story is None:
            return [place, figures.empty(t("dataset_work.leaks.not_checked", lang))]
        if story.is_active:
            return [place, figures.notice(t("dataset_work.leaks.checking", lang))]
        try:
            return self._found(story, sides, place, lang)
        except EasyTuneError as error:
            return [place, figures.notice(sentence(error, lang), "bad")]

    def _found(self, story: TaskStory, sides: "_Sides", place: Place, lang: str) -> list[Any]:
        from easytune.data.insight.leaks import Leaks

        found = Leaks.model_validate(self._datasets.tasks.get(story.id).result)
        kind = place["kind"] if view.pairs(found, place["kind"]) else view.first_kind(found)
        first = place["first"] if kind == place["kind"] else 0
        matches = view.pairs(found, kind)[first : first + view.PAGE]
        rows_a, rows_b = (self._rows(reference) for reference, _ in sides)
        texts = list(
            zip(
                rows_a.at([match.a for match in matches]),
                rows_b.at([match.b for match in matches]),
                strict=True,
            )
        )
        html = view.render(found, kind, first, texts, lang)
        return [{"kind": kind, "first": first}, html]

    def _rows(self, reference: Reference) -> Rows:
        return self._library.open(reference.id, reference.number)

    def _story(self, sides: "_Sides", threshold: float) -> TaskStory | None:
        """Return the last check of these two sets that runs or has found something."""
        (first, part_a), (second, part_b) = sides
        wanted = (str(first), part_a, str(second), part_b, threshold)
        for story in self._datasets.tasks.list():
            task = story.task
            if task.kind != "leaks" or not (story.is_active or story.state == "finished"):
                continue
            if (task.a, task.part_a, task.b, task.part_b, round(task.threshold, 2)) == wanted:
                return story
        return None


_Sides = tuple[tuple[Reference, Part | None], tuple[Reference, Part | None]]


def _sides(a: str | None, b: str | None) -> "_Sides | None":
    """Return the two sets that the choices stand for, None while one is missing."""
    first, second = _side(a), _side(b)
    return (first, second) if first and second and first != second else None


def _side(choice: str | None) -> tuple[Reference, Part | None] | None:
    name, _, wanted = (choice or "").partition(" ")
    reference = reference_of(name)
    part: Part | None = next((part for part in PARTS if part == wanted), None)
    return (reference, part) if reference else None


def _choices(facts: VersionFacts, lang: str) -> list[tuple[str, str]]:
    """Return a version as a set to choose, and its two parts where it has them."""
    version = t("dataset_work.versions.name", lang, number=facts.number)
    title, name = f"{facts.title} · {version}", str(facts.reference).removeprefix(PREFIX)
    whole = [(title, name)]
    if not facts.held_out:
        return whole
    return whole + [
        (f"{title} · {t(f'dataset_work.leaks.part.{part}', lang)}", f"{name} {part}")
        for part in PARTS
    ]


def _share(threshold: float) -> float:
    return round(min(max(float(threshold or THRESHOLD), 0.5), 1.0), 2)
