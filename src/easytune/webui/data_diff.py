"""What differs between any two versions: counted, and shown a page at a time."""

from typing import Any

import gradio as gr

from easytune.data.large import LARGE
from easytune.data.stored import Reference
from easytune.data.versions.diff import Diff
from easytune.data.versions.manifest import DatasetFacts, VersionFacts
from easytune.dataset_errors import TaskCancelled
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.webui import data_diff_view as view
from easytune.webui import data_figures as figures
from easytune.webui.context import Context
from easytune.webui.data_diff_view import Counts
from easytune.webui.data_figures import reference_of
from easytune.webui.language import label
from easytune.webui.spoken import sentence, spoken

Place = dict[str, Any]


class DiffPanel:
    """The components: two versions to choose, and their differences."""

    def __init__(self) -> None:
        """Build the panel here in the layout."""
        self.wanted = gr.Textbox("", visible="hidden", elem_id="data-compare")
        self.place = gr.JSON(None, visible="hidden", elem_id="data-diff-place")
        with gr.Column(elem_classes=["work-section"], elem_id="data-diff"):
            gr.Markdown(label("dataset_work.diff.title"), elem_classes=["work-title"])
            with gr.Row(elem_classes=["work-choices"]):
                self.before = _version("before")
                self.after = _version("after")
                self.compare = gr.Button(
                    label("dataset_work.diff.compare"), variant="primary", scale=0, min_width=110,
                    elem_id="diff-compare",
                )  # fmt: skip
            self.shown = gr.HTML(
                "", elem_id="diff-part", apply_default_css=False, js_on_load=figures.CLICKS
            )

    @property
    def choices(self) -> list[Any]:
        """Return the two choices of a version."""
        return [self.before, self.after]


def _version(name: str) -> gr.Dropdown:
    return gr.Dropdown(
        [], value=None, label=label(f"dataset_work.diff.{name}"), interactive=True, scale=1,
        min_width=150, elem_id=f"diff-{name}",
    )  # fmt: skip


class DiffHandlers:
    """From values to updates, with one call to a service between."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._library = context.datasets.library
        # Versions do not change; a page of a diff must not count it again.
        self._known: dict[tuple[str, ...], Diff] = {}
        self._cancelled: set[str | None] = set()

    def wire(self, panel: DiffPanel) -> None:
        """Connect the panel. `panel.wanted` is set to "name@2 name@5" to compare these."""
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        drawn: dict[str, Any] = {"outputs": [panel.place, panel.shown], **told}
        begun: dict[str, Any] = {"outputs": panel.shown, "queue": False, **told}
        panel.compare.click(self.begun, panel.choices, **begun).then(
            self.chosen, panel.choices, **drawn
        )
        panel.shown.click(self.turned, panel.place, **drawn)
        panel.wanted.change(
            self.wished, panel.wanted, panel.choices, show_progress="hidden",
            api_visibility="private",
        ).then(self.begun, panel.choices, **begun).then(
            self.chosen, panel.choices, **drawn
        )  # fmt: skip

    def wished(self, request: gr.Request, wanted: str) -> list[Any]:
        """Return the two versions that somebody elsewhere wants compared."""
        before, _, after = (wanted or "").partition(" ")
        reference, lang = reference_of(after), self._context.language_of(request)
        if reference is None or reference_of(before) is None:
            return [gr.skip(), gr.skip()]
        try:
            choices = self._choices(reference.id, lang)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        # With the choices: the page may have been opened for this, and knows none yet.
        return [gr.update(choices=choices, value=name) for name in (before, after)]

    def offered(
        self, reference: Reference, before: str | None, after: str | None, lang: str
    ) -> list[Any]:
        """Return the versions to choose from, and a sensible pair where none is chosen yet.

        Raises DatasetUnknown.
        """
        choices = self._choices(reference.id, lang)
        known = {name for _, name in choices}
        own = f"{reference.id}@"
        if before in known and after in known and str(after).startswith(own):
            return [gr.update(choices=choices), gr.update(choices=choices)]
        first, second = _pair(self._library.versions(reference.id), reference.number)
        return [gr.update(choices=choices, value=first), gr.update(choices=choices, value=second)]

    def _choices(self, dataset: str, lang: str) -> list[tuple[str, str]]:
        """Return all versions of a dataset, and the current ones of the others."""
        versions = self._library.versions(dataset)
        others = [one for one in self._library.list() if one.id != dataset]
        return [_choice(one, lang) for one in versions] + [_other(one, lang) for one in others]

    def begun(self, request: gr.Request, before: str | None, after: str | None) -> Any:
        """Say that large versions are being compared, and how to end that."""
        self._cancelled.discard(request.session_hash)
        sides = _sides(before, after)
        if sides is None:
            return gr.skip()
        try:
            is_known = self._key(sides) in self._known
            rows = sum(self._library.version(one.id, one.number).rows for one in sides)
        except EasyTuneError:
            # What is wrong is said by the comparison itself.
            return gr.skip()
        if is_known or rows < LARGE:
            return gr.skip()
        return view.comparing(rows, self._context.language_of(request))

    def chosen(self, request: gr.Request, before: str | None, after: str | None) -> list[Any]:
        """Show the differences from one version to the other, from the first on."""
        place = {"before": before or "", "after": after or "", "kind": "all", "first": 0}
        return self._shown(request, place)

    def turned(self, request: gr.Request, event: gr.EventData, place: Place | None) -> list[Any]:
        """Show another page, or one kind of difference."""
        told = dict(event._data)
        if told.get("work") == "cancel":
            self._cancelled.add(request.session_hash)
        if not place or told.get("work") == "cancel":
            return [gr.skip(), gr.skip()]
        kind = str(told.get("kind", place["kind"]))
        first = str(told.get("first", "0"))
        turned = {"kind": kind if kind in view.KINDS else "all",
                  "first": int(first) if first.isdigit() else 0}  # fmt: skip
        return self._shown(request, {**place, **turned})

    def _shown(self, request: gr.Request, place: Place) -> list[Any]:
        lang = self._context.language_of(request)
        sides = _sides(place["before"], place["after"])
        if sides is None:
            return [gr.skip(), figures.notice(t("dataset_work.diff.choose", lang), "warn")]
        try:
            diff = self._diff(sides, request.session_hash)
            kind = None if place["kind"] == "all" else place["kind"]
            changes = diff.page(kind, place["first"], view.PAGE)
        except TaskCancelled:
            return [gr.skip(), figures.empty(t("dataset_work.diff.cancelled", lang))]
        except EasyTuneError as error:
            return [gr.skip(), figures.notice(sentence(error, lang), "bad")]
        counts = Counts(diff.added, diff.removed, diff.changed, diff.moved, diff.same)
        return [place, view.render(counts, changes, place["kind"], place["first"], lang)]

    def _diff(self, sides: "_Sides", visitor: str | None) -> Diff:
        def watch() -> None:
            if visitor in self._cancelled:
                raise TaskCancelled("")

        key = self._key(sides)
        known = self._known.get(key)
        if known is None:
            a, b = ((one.id, one.number or 0) for one in sides)
            known = self._library.diff(a, b, watch)
            self._known = dict([*self._known.items()][1 - _KEPT :]) | {key: known}
        return known

    def _key(self, sides: "_Sides") -> tuple[str, ...]:
        prints = [self._library.version(one.id, one.number).fingerprint for one in sides]
        return (*map(str, sides), *prints)


_KEPT = 2
_Sides = tuple[Reference, Reference]


def _sides(before: str | None, after: str | None) -> "_Sides | None":
    """Return the two versions chosen, None while one is missing."""
    a, b = reference_of(before), reference_of(after)
    return (a, b) if a and b and a.number and b.number else None


def _choice(facts: VersionFacts, lang: str) -> tuple[str, str]:
    mark = f" · {t('dataset_work.versions.current', lang)}" if facts.current else ""
    name = t("dataset_work.versions.name", lang, number=facts.number)
    when = f"{facts.created.astimezone():%Y-%m-%d %H:%M}"
    return f"{name} · {when}{mark}", f"{facts.dataset}@{facts.number}"


def _other(dataset: DatasetFacts, lang: str) -> tuple[str, str]:
    name = t("dataset_work.versions.name", lang, number=dataset.current.number)
    return f"{dataset.title} · {name}", f"{dataset.id}@{dataset.current.number}"


def _pair(versions: list[VersionFacts], shown: int | None) -> tuple[str | None, str | None]:
    """Return the version that is shown with the one it was made of, or the one before it."""
    numbers = [one.number for one in versions]
    facts = next((one for one in versions if one.number == shown), versions[0])
    earlier = facts.parent if facts.parent in numbers else None
    if earlier is None:
        earlier = next((number for number in numbers if number < facts.number), None)
    second = f"{facts.dataset}@{facts.number}"
    return (f"{facts.dataset}@{earlier}" if earlier else None), second
