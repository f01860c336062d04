"""What differs between any two versions: counted, and shown a page at a time."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from easytune.data import large_diff
from easytune.data.stored import Reference
from easytune.data.versions.diff import Diff
from easytune.data.versions.manifest import DatasetFacts, VersionFacts
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.webui import data_diff_view as view
from easytune.webui import data_figures as figures
from easytune.webui.context import Context
from easytune.webui.data_diff_view import Counts
from easytune.webui.data_figures import reference_of
from easytune.webui.language import label
from easytune.webui.spoken import spoken

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

    def wire(self, panel: DiffPanel) -> None:
        """Connect the panel. `panel.wanted` is set to "name@2 name@5" to compare these."""
        told: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}
        drawn: dict[str, Any] = {
            "outputs": [panel.place, panel.shown], "show_progress_on": panel.shown, **told,
        }  # fmt: skip
        panel.compare.click(self.chosen, panel.choices, **drawn)
        panel.shown.click(self.turned, panel.place, **drawn)
        panel.wanted.change(
            self.wished, panel.wanted, panel.choices, show_progress="hidden",
            api_visibility="private",
        ).then(self.chosen, panel.choices, **drawn)  # fmt: skip

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

    def chosen(self, request: gr.Request, before: str | None, after: str | None) -> list[Any]:
        """Show the differences from one version to the other, from the first on."""
        place = {"before": before or "", "after": after or "", "kind": "all", "first": 0}
        return self._shown(request, place)

    def turned(self, request: gr.Request, event: gr.EventData, place: Place | None) -> list[Any]:
        """Show another page, or one kind of difference."""
        if not place:
            return [gr.skip(), gr.skip()]
        told = dict(event._data)
        kind = str(told.get("kind", place["kind"]))
        first = str(told.get("first", "0"))
        turned = {"kind": kind if kind in view.KINDS else "all",
                  "first": int(first) if first.isdigit() else 0}  # fmt: skip
        return self._shown(request, {**place, **turned})

    def _shown(self, request: gr.Request, place: Place) -> list[Any]:
        lang = self._context.language_of(request)
        a, b = reference_of(place["before"]), reference_of(place["after"])
        if a is None or b is None or a.number is None or b.number is None:
            return [gr.skip(), figures.notice(t("dataset_work.diff.choose", lang), "warn")]
        try:
            diff = self._diff(a, b)
            kind = None if place["kind"] == "all" else place["kind"]
            changes = diff.page(kind, place["first"], view.PAGE)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        counts = Counts(diff.added, diff.removed, diff.changed, diff.moved, diff.same)
        return [place, view.render(counts, changes, place["kind"], place["first"], lang)]

    def _diff(self, a: Reference, b: Reference) -> Diff:
        prints = [self._library.version(one.id, one.number).fingerprint for one in (a, b)]
        return _compared(self._context.home, (a.id, a.number or 0), (b.id, b.number or 0), *prints)


# Versions do not change; a page of a diff must not count it again.
@lru_cache(maxsize=2)
def _compared(
    home: Path, a: tuple[str, int], b: tuple[str, int], _print_a: str, _print_b: str
) -> Diff:
    return large_diff.differences(home, a, b)


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
