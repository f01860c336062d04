"""What a run learned from, and what has changed in it since: the card below the live run."""

from html import escape
from pathlib import Path

from easytune.config import TrainConfig
from easytune.data.stored import Reference
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import VersionFacts
from easytune.dataset_errors import DatasetUnknown, VersionDamaged, VersionUnknown
from easytune.i18n import t
from easytune.services import data_links
from easytune.services.data_links import Since


def card(config: TrainConfig, library: Library, lang: str) -> str:
    """Return what a run learned from; empty where that is no dataset of the home."""
    found = data_links.since(config, library)
    if not found:
        return ""
    items = "".join(_item(each, library, lang) for each in found)
    title = escape(t("run_data.title", lang))
    return (
        f'<div class="et-notices et-run-data" id="et-run-data"><b>{title}</b><ul>{items}</ul></div>'
    )


def stamp(config: TrainConfig, library: Library) -> list[str]:
    """Return what the card depends on, which is quick to tell."""
    return [str(each.current) for each in data_links.since(config, library)]


def names(config: TrainConfig, library: Library, lang: str) -> str:
    """Return what a run learned from, for a line in a list."""
    return ", ".join(_name(name, library, lang) for name in config.data.datasets)


def _name(name: str, library: Library, lang: str) -> str:
    reference = Reference.parse(name)
    if reference is not None:
        return _said(reference, _facts(reference, library), lang)
    if name.startswith("demo/"):
        return t(f"form.choice.demo.{name.removeprefix('demo/')}", lang)
    return Path(name).name


def _item(each: Since, library: Library, lang: str) -> str:
    facts = _facts(each.used, library)
    said = escape(_said(each.used, facts, lang))
    if facts is None:
        return f"<li>{said} · {escape(t('run_data.deleted', lang))}</li>"
    rows = escape(t("run_data.rows", lang, rows=f"{facts.rows:,}"))
    mark = escape(facts.fingerprint, quote=True)
    print_ = f'<code title="{mark}">{escape(facts.fingerprint[:12])}</code>'
    return f"<li>{said} · {rows} · {print_}{_changed(each, lang)}</li>"


def _changed(each: Since, lang: str) -> str:
    """Return what became of a version: that it is current, or a button that shows what changed."""
    if each.current is None or each.current == each.used:
        return f" · {escape(t('run_data.current', lang))}"
    pair = f"{each.used.id}@{each.used.number} {each.current.id}@{each.current.number}"
    newer = escape(t("run_data.newer", lang, number=each.current.number))
    return (
        f' · {newer} <button type="button" class="et-mini" data-et-since="{escape(pair)}">'
        f"{escape(t('run_data.since', lang))}</button>"
    )


def _said(reference: Reference, facts: VersionFacts | None, lang: str) -> str:
    title = facts.title if facts else reference.id
    return t("run_data.version", lang, title=title, number=reference.number or "")


def _facts(reference: Reference, library: Library) -> VersionFacts | None:
    try:
        return library.version(reference.id, reference.number)
    except (DatasetUnknown, VersionUnknown, VersionDamaged):
        return None
