"""What the preprocess panel does: steps put together, looked at, kept as YAML, and taken."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from easytune.data.steps import pipeline as pipelines
from easytune.data.steps.options import Steps
from easytune.data.steps.pipeline import Pipeline, StepSpec
from easytune.data.stored import Reference
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services.data_tasks import TaskStory
from easytune.services.datasets import Datasets
from easytune.webui import data_figures as figures
from easytune.webui import data_preprocess_view as view
from easytune.webui.context import Context
from easytune.webui.data_figures import reference_of
from easytune.webui.form import Form
from easytune.webui.spoken import sentence, spoken

NEW_DATASET = "dataset"
LONGEST_TITLE, LONGEST_NOTE = 120, 2_000
_BUNDLED, _VERSION = "bundled", "version"
_COLUMNS = ("columns.drop", "columns.keep")
Held = dict[str, Any]
"""What the page holds: {"steps": as in YAML, "at": the open one, "broken": it cannot be used}."""


class Building(NamedTuple):
    """A pipeline that is being put together."""

    pipeline: Pipeline
    at: int = -1
    broken: bool = False

    @classmethod
    def read(cls, held: Held | None) -> "Building":
        """Return what the page holds; what does not load any more is begun anew."""
        if not held or not held.get("steps"):
            return cls(Pipeline(()))
        try:
            steps = pipelines.of(held["steps"], str(held.get("title", "")))
        except EasyTuneError:
            return cls(Pipeline(()))
        at = int(held.get("at", -1))
        return cls(steps, at if at < len(steps.steps) else -1, bool(held.get("broken")))

    @property
    def held(self) -> Held:
        """Return what the page is to hold."""
        return {
            "steps": self.pipeline.as_list, "at": self.at, "broken": self.broken,
            "title": self.pipeline.title,
        }  # fmt: skip

    def with_steps(self, steps: Sequence[StepSpec], at: int) -> "Building":
        """Return other steps under the same title."""
        return Building(Pipeline(tuple(steps), self.pipeline.title), at)


class PreprocessHandlers:
    """From values to updates, with one call to a service between.

    `drawn` are the values of the held JSON, the kept one, the steps, the YAML and the form.
    """

    def __init__(self, context: Context, form: Form[Steps]) -> None:
        self._context = context
        self._datasets: Datasets = context.datasets
        self._form = form

    # --- putting steps together -------------------------------------------------

    def entered(
        self, request: gr.Request, selected: str | None, held: Held | None, kept: Held | None
    ) -> list[Any]:
        """Show the pipeline this browser has, and offer what the version has to choose from."""
        building = Building.read(held or kept)
        lang = self._context.language_of(request)
        saved = gr.update(choices=self._saved(selected, lang), value=None)
        return [*self._drawn(building, lang, self._offer(selected)), saved]

    def added(self, request: gr.Request, name: str | None, held: Held | None) -> list[Any]:
        """Put a step at the end and open its options."""
        if not name:
            return [gr.skip() for _ in range(5 + len(self._form.outputs))]
        building = Building.read(held)
        try:
            steps = [*building.pipeline.steps, pipelines.spec(name)]
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error
        grown = building.with_steps(steps, len(steps) - 1)
        return [None, *self._drawn(grown, self._context.language_of(request))]

    def clicked(self, request: gr.Request, event: gr.EventData, held: Held | None) -> list[Any]:
        """Open a step, move it up or down, or take it out."""
        building = Building.read(held)
        told = dict(event._data)
        act, place = str(told.get("work", "")), str(told.get("place", ""))
        steps = list(building.pipeline.steps)
        if place.isdigit() and int(place) < len(steps):
            building = building.with_steps(*_moved(steps, act, int(place), building.at))
        return self._drawn(building, self._context.language_of(request))

    def edited(self, request: gr.Request, held: Held | None, *values: Any) -> list[Any]:
        """Take over the options of the open step, or say what is wrong with them."""
        building, lang = Building.read(held), self._context.language_of(request)
        steps = list(building.pipeline.steps)
        if not 0 <= building.at < len(steps):
            return [gr.skip() for _ in range(4 + len(self._form.outputs))]
        name = steps[building.at].name
        wrong = {
            path: said for path, said in self._form.validate(*values, lang=lang).items()
            if path.startswith(f"{name}.")
        }  # fmt: skip
        painted = self._only(name, self._form.paint(values, wrong))
        if wrong:
            return [*self._parts(building._replace(broken=True), lang), *painted]
        options = getattr(self._form.lenient(*values), name)
        steps[building.at] = StepSpec(name, options)
        changed = building.with_steps(steps, building.at)
        return [*self._parts(changed, lang), *painted]

    # --- YAML -------------------------------------------------------------------

    def opened(self, request: gr.Request, file: str) -> list[Any]:
        """Take over the pipeline of a YAML file."""
        return self._loaded(request, lambda: pipelines.load(Path(file)))

    def opened_saved(self, request: gr.Request, choice: str | None, selected: str) -> list[Any]:
        """Take over a pipeline that comes with EasyTune, or that made a version."""
        kind, _, name = (choice or "").partition(":")
        if not name:
            return [gr.skip() for _ in range(4 + len(self._form.outputs))]
        return self._loaded(request, lambda: self._of(kind, name, selected))

    def _loaded(self, request: gr.Request, load: Any) -> list[Any]:
        lang = self._context.language_of(request)
        try:
            found: Pipeline = load()
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return self._drawn(Building(found, 0), lang)

    def _of(self, kind: str, name: str, selected: str) -> Pipeline:
        if kind == _BUNDLED:
            return pipelines.load(pipelines.bundled().get(name, Path(name)))
        reference = reference_of(selected)
        facts = self._datasets.library.version(reference.id if reference else "", int(name))
        made = facts.origin
        return pipelines.of(made.steps if made.kind == "pipeline" else ())

    def _saved(self, selected: str | None, lang: str) -> list[tuple[str, str]]:
        bundled = [
            (t(f"steps.bundled.{name}", lang), f"{_BUNDLED}:{name}") for name in pipelines.bundled()
        ]
        reference = reference_of(selected)
        versions = self._versions(reference) if reference else []
        return bundled + [
            (t("dataset_work.preprocess.of_version", lang, number=number), f"{_VERSION}:{number}")
            for number in versions
        ]

    def _versions(self, reference: Reference) -> list[int]:
        try:
            found = self._datasets.library.versions(reference.id)
        except EasyTuneError:
            return []
        return [facts.number for facts in found if facts.origin.kind == "pipeline"]

    # --- looking ----------------------------------------------------------------

    def previewed(self, request: gr.Request, selected: str | None, held: Held | None) -> list[Any]:
        """Show what the pipeline would do, from the first row it changes on."""
        return self._previewed(request, selected, held, {"kind": "all", "first": 0})

    def turned(
        self,
        request: gr.Request,
        event: gr.EventData,
        selected: str,
        held: Held | None,
        place: Held | None,
    ) -> list[Any]:
        """Show another page of what the pipeline changes, or only one kind of change."""
        told = dict(event._data)
        kind = str(told.get("kind", (place or {}).get("kind", "all")))
        first = str(told.get("first", "0"))
        turned = {
            "kind": kind if kind in view.KINDS else "all",
            "first": int(first) if first.isdigit() else 0,
        }
        return self._previewed(request, selected, held, turned)

    def _previewed(
        self, request: gr.Request, selected: str | None, held: Held | None, place: Held
    ) -> list[Any]:
        reference, lang = reference_of(selected), self._context.language_of(request)
        if reference is None:
            said = figures.empty(t("dataset_work.no_version", lang)) if selected else gr.skip()
            return [gr.skip(), said]
        building = Building.read(held)
        if building.broken:
            return [place, figures.notice(t("dataset_work.preprocess.mend_first", lang), "warn")]
        if not building.pipeline.steps:
            return [place, figures.empty(t("dataset_work.preprocess.nothing_to_preview", lang))]
        try:
            pinned = self._datasets.library.version(reference.id, reference.number)
            found = _preview(
                self._datasets, str(pinned.reference), pinned.fingerprint,
                pipelines.dump(building.pipeline),
            )  # fmt: skip
        except EasyTuneError as error:
            return [place, figures.notice(sentence(error, lang), "bad")]
        return [place, view.previewed(found, place["kind"], place["first"], lang)]

    # --- doing ------------------------------------------------------------------

    def made(
        self,
        request: gr.Request,
        selected: str,
        held: Held | None,
        into: str,
        title: str,
        note: str,
        author: str,
    ) -> Any:
        """Begin to make the version, and return the id of the task."""
        reference, lang = reference_of(selected), self._context.language_of(request)
        building = Building.read(held)
        title = (title or "").strip()[:LONGEST_TITLE] if into == NEW_DATASET else ""
        lacking = _lacking(reference, building, into, title)
        if lacking or reference is None:
            said = t(f"dataset_work.preprocess.{lacking or 'no_version'}", lang)
            gr.Warning(said, title=t("dataset_work.preprocess.not_made", lang))
            return gr.skip()
        try:
            return self._datasets.preprocess(
                reference, building.pipeline, title, (author or "").strip(),
                (note or "").strip()[:LONGEST_NOTE],
            )  # fmt: skip
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def ended(self, request: gr.Request, task_id: str) -> list[Any]:
        """Show the version that a task has made, and what each step did to all rows."""
        story = self._story(task_id)
        result = story.result if story else None
        if story is None or story.task.kind != "preprocess" or not result:
            return [gr.skip(), gr.skip()]
        lang = self._context.language_of(request)
        name = f"{result['dataset']}@{result['number']}"
        return [name, view.made(result, lang)]

    def _story(self, task_id: str) -> TaskStory | None:
        try:
            return self._datasets.tasks.get(task_id) if task_id else None
        except EasyTuneError:
            return None

    # --- updates ----------------------------------------------------------------

    def _drawn(
        self, building: Building, lang: str, offered: dict[str, list[str]] | None = None
    ) -> list[Any]:
        """Return what shows a pipeline with the options of the open step."""
        steps = building.pipeline.steps
        shown = steps[building.at] if 0 <= building.at < len(steps) else None
        config = Steps().model_copy(update={shown.name: shown.options} if shown else {})
        filled = self._only(shown.name if shown else "", self._form.fill(config))
        for place, path in enumerate(self._form.placed):
            if path in (offered or {}):
                filled[place] = {**filled[place], **gr.update(choices=(offered or {})[path])}
        return [*self._parts(building._replace(broken=False), lang), *filled]

    def _only(self, name: str, updates: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave the controls of all other steps as they are: drawing them anew takes seconds."""
        placed = zip(self._form.placed, updates, strict=True)
        return [update if path.startswith(f"{name}.") else gr.skip() for path, update in placed]

    def _parts(self, building: Building, lang: str) -> list[Any]:
        held = building.held
        yaml = pipelines.dump(building.pipeline) if building.pipeline.steps else ""
        html = view.steps(building.pipeline, building.at, building.broken, lang)
        return [held, held, html, yaml]

    def _offer(self, selected: str | None) -> dict[str, list[str]]:
        """Return what can be chosen in some options: columns of the version, other datasets."""
        reference = reference_of(selected)
        if reference is None:
            return {}
        try:
            library = self._datasets.library
            others = [one.id for one in library.list() if one.id != reference.id]
            [*rows] = library.open(reference.id, reference.number).page(0, 20)
        except EasyTuneError:
            return {}
        columns = list(dict.fromkeys(
            name for row in rows if isinstance(row.value, dict) for name in row.value
        ))  # fmt: skip
        fields = [path for path in self._form.placed if path.endswith(".fields")]
        roles = ["system", "user", "assistant"]
        return (
            dict.fromkeys(_COLUMNS, columns)
            | {path: [*columns, *(r for r in roles if r not in columns)] for path in fields}
            | {"mix.datasets": others}
        )


def _moved(steps: list[StepSpec], act: str, place: int, at: int) -> tuple[list[StepSpec], int]:
    """Return the steps after one was moved or taken out, and the place of the open one."""
    match act:
        case "up" if place:
            steps.insert(place - 1, steps.pop(place))
            return steps, place - 1
        case "down" if place + 1 < len(steps):
            steps.insert(place + 1, steps.pop(place))
            return steps, place + 1
        case "remove":
            steps.pop(place)
            return steps, min(at, len(steps) - 1) if at <= place else at - 1
        case "edit":
            return steps, place
        case _:
            return steps, at


def _lacking(reference: Reference | None, building: Building, into: str, title: str) -> str:
    """Return what is missing before a version can be made; nothing when all is there."""
    if reference is None:
        return "no_version"
    if not building.pipeline.steps:
        return "no_steps"
    if building.broken:
        return "mend_first"
    return "needs_title" if into == NEW_DATASET and not title else ""


# Turning a page of the preview must not take all steps again.
@lru_cache(maxsize=2)
def _preview(datasets: Datasets, reference: str, _fingerprint: str, yaml: str) -> Any:
    return datasets.preview(reference, pipelines.loads(yaml))
