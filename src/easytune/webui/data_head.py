"""What stands above the rows: the name of the dataset, what it holds, what can be done with it."""

from html import escape

from easytune import quantities
from easytune.data.versions.manifest import DatasetFacts, VersionFacts
from easytune.i18n import t
from easytune.webui import data_download, data_list
from easytune.webui.data_looked import Looked

MAIN = "data-main"


def draw(looked: Looked, dataset: DatasetFacts | None, lang: str) -> str:
    """Return the head as HTML; `dataset` is None for a demo."""
    if dataset is None or looked.facts is None:
        return _demo(looked, lang)
    facts = looked.facts
    buttons = "".join([
        _button("train_on", lang, MAIN), _button("add_rows", lang),
        data_download.menu(facts.reference, lang), _button("rename", lang),
        _button("delete", lang, "data-stop"),
    ])  # fmt: skip
    return _head(dataset.title, _chips(dataset, facts, lang), _figures(looked, lang), buttons)


def _demo(looked: Looked, lang: str) -> str:
    chip = f'<span class="et-chip">{escape(t("datasets.head.demo", lang))}</span>'
    buttons = _button("copy_demo", lang, MAIN) + _button("train_on", lang)
    said = f'<p class="data-hint">{escape(t("datasets.head.demo_hint", lang))}</p>'
    title = data_list.demo_title(looked.name, lang)
    return _head(title, chip, _figures(looked, lang), buttons) + said


def _head(title: str, chips: str, figures: str, buttons: str) -> str:
    return (
        f'<div class="data-head"><div class="data-title"><h2>{escape(title)}</h2>{chips}</div>'
        f'<p class="data-figures">{figures}</p><div class="data-actions">{buttons}</div></div>'
    )


def _chips(dataset: DatasetFacts, facts: VersionFacts, lang: str) -> str:
    said = t("datasets.head.version", lang, number=facts.number, of=dataset.versions)
    chips = [f'<span class="et-chip et-state-running data-still">{escape(said)}</span>']
    if not facts.current:
        chips = [f'<span class="et-chip et-state-stopped">{escape(said)}</span>']
        text = t("datasets.head.show_current", lang, number=dataset.current.number)
        name = f"{dataset.id}@{dataset.current.number}"
        chips.append(
            f'<button type="button" class="et-mini" data-act="open" data-name="{escape(name)}">'
            f"{escape(text)}</button>"
        )
    chips += [f'<span class="data-tag">{escape(tag)}</span>' for tag in facts.tags]
    return "".join(chips)


def _figures(looked: Looked, lang: str) -> str:
    figures = [t("datasets.list.rows", lang, rows=f"{looked.rows:,}")]
    if looked.held_out:
        figures.append(t("datasets.head.held_out", lang, rows=f"{looked.held_out:,}"))
    if looked.problems:
        figures.append(t("datasets.list.problems", lang, rows=f"{looked.problems:,}"))
    if looked.facts is not None:
        figures.append(quantities.size(looked.facts.size_bytes))
        figures.append(quantities.minute(looked.facts.created))
        figures += [part for part in (looked.facts.author, looked.facts.note) if part]
    return "".join(f"<span>{escape(text)}</span>" for text in figures)


def _button(act: str, lang: str, look: str = "") -> str:
    return (
        f'<button type="button" class="et-mini {look}" data-act="{act}">'
        f"{escape(t(f'datasets.{act}', lang))}</button>"
    )
